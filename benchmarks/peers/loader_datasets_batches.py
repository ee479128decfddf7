"""Hugging Face `datasets` at its fastest: a stream of Arrow batches; files in random order, rows permuted in a batch.

Its own shuffle takes rows one by one, so it is done by hand here; a batch has rows of one or two row groups.
"""

from __future__ import annotations

import random

import torch
from datasets import load_dataset

from benchmarks.peers.loader_job import Batches, Job, run
from benchmarks.peers.loader_pyarrow import tensors


def prepare(job: Job):
    def batches(epoch: int) -> Batches:
        files = random.Random(epoch).sample(job.files, len(job.files))
        rows = load_dataset("parquet", data_files=files, split="train", streaming=True, cache_dir=str(job.work / "hf"))
        for table in rows.with_format("arrow").iter(batch_size=job.batch, drop_last_batch=True):
            permuted = torch.randperm(job.batch)
            yield {name: values[permuted] for name, values in tensors(table).items()}

    return batches


if __name__ == "__main__":
    run("datasets", prepare)
