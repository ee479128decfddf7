"""Batches for training jobs: every row once over all ranks, in an order that seed, epoch and manifest decide."""
