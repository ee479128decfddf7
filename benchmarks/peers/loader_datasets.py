"""Hugging Face `datasets`: files as a stream, rows shuffled in a buffer of two batches, batches in torch's format."""

from __future__ import annotations

from datasets import load_dataset

from benchmarks.peers.loader_job import Job, run

BUFFER = 131_072


def stream(job: Job):
    rows = load_dataset("parquet", data_files=job.files, split="train", streaming=True, cache_dir=str(job.work / "hf"))
    return rows.shuffle(seed=0, buffer_size=BUFFER).with_format("torch")


def prepare(job: Job):
    rows = stream(job)

    def batches(epoch: int):
        rows.set_epoch(epoch)
        return rows.iter(batch_size=job.batch, drop_last_batch=True)

    return batches


if __name__ == "__main__":
    run("datasets", prepare)
