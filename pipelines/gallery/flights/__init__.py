"""Will a flight from New York arrive more than 15 minutes late? The pipeline, its contract and its sample data."""
