"""NVIDIA Merlin's dataloader for torch, on the CPU. It shuffles rows within a partition, and never partitions."""

from __future__ import annotations

from merlin.dataloader.torch import Loader
from merlin.io import Dataset

from benchmarks.peers.loader_job import Job, run


def prepare(job: Job):
    rows = Dataset(job.files, engine="parquet", cpu=True)

    def batches(_: int):
        for columns, _ in Loader(rows, batch_size=job.batch, shuffle=True, drop_last=True, device="cpu"):
            yield {name: values.reshape(-1) for name, values in columns.items()}

    return batches


if __name__ == "__main__":
    run("merlin-dataloader", prepare)
