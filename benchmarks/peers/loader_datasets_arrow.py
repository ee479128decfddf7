"""Hugging Face `datasets` on its own copy of the files in Arrow (`prepare_s` is what that takes), indices shuffled."""

from __future__ import annotations

from datasets import Dataset

from benchmarks.peers.loader_job import Job, run


def prepare(job: Job):
    rows = Dataset.from_parquet(job.files, cache_dir=str(job.work / "hf")).with_format("torch")

    def batches(epoch: int):
        return rows.shuffle(seed=epoch, keep_in_memory=True).iter(batch_size=job.batch, drop_last_batch=True)

    return batches


if __name__ == "__main__":
    run("datasets", prepare)
