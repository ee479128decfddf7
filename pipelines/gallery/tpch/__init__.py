"""Will an order line be returned? TPC-H's tables: the pipeline, its contract and its sample data."""
