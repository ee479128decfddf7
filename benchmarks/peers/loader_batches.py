"""By hand, in one process: `ParquetFile.iter_batches` of one file after the other, in random order, rows permuted
within a batch. The least that anyone would write; a batch has rows of one or two row groups."""

from __future__ import annotations

import random

import pyarrow.parquet as pq
import torch

from benchmarks.peers.loader_job import Batches, Job, run
from benchmarks.peers.loader_pyarrow import tensors


def prepare(job: Job):
    import pyarrow as pa

    def batches(epoch: int) -> Batches:
        for path in random.Random(epoch).sample(job.files, len(job.files)):
            for rows in pq.ParquetFile(path, memory_map=True).iter_batches(batch_size=job.batch):
                if len(rows) == job.batch:
                    columns = tensors(pa.Table.from_batches([rows]))
                    permuted = torch.randperm(job.batch)
                    yield {name: values[permuted] for name, values in columns.items()}

    return batches


if __name__ == "__main__":
    run("pyarrow", prepare)
