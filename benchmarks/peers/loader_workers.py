"""By hand, with torch's DataLoader: an IterableDataset over row groups, which worker processes share between them.

Each worker does what `loader_pyarrow` does with its part, and sends whole batches through shared memory.
"""

from __future__ import annotations

import random

import pyarrow.parquet as pq
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from benchmarks.peers.loader_job import Batches, Job, run
from benchmarks.peers.loader_pyarrow import shuffled


class Rows(IterableDataset):
    """Batches of the row groups that a worker is given."""

    def __init__(self, job: Job, epoch: int) -> None:
        self.job = job
        self.epoch = epoch

    def __iter__(self) -> Batches:
        files = [pq.ParquetFile(path, memory_map=True) for path in self.job.files]
        groups = [(file, number) for file in files for number in range(file.num_row_groups)]
        random.Random(self.epoch).shuffle(groups)
        worker = get_worker_info()
        return shuffled(groups[worker.id :: worker.num_workers], self.job.batch, random.Random(self.epoch))


def prepare(job: Job):
    return lambda epoch: iter(DataLoader(Rows(job, epoch), batch_size=None, num_workers=job.workers))


if __name__ == "__main__":
    run("torch", prepare)
