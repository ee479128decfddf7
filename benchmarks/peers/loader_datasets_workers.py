"""Hugging Face `datasets` as a stream through torch's DataLoader, as its guide shows it: rows one by one, collated."""

from __future__ import annotations

from torch.utils.data import DataLoader

from benchmarks.peers.loader_datasets import stream
from benchmarks.peers.loader_job import Job, run


def prepare(job: Job):
    rows = stream(job)

    def batches(epoch: int):
        rows.set_epoch(epoch)
        return iter(DataLoader(rows, batch_size=job.batch, num_workers=job.workers, drop_last=True))

    return batches


if __name__ == "__main__":
    run("datasets", prepare)
