"""LitData's streaming of Parquet files, through its own DataLoader."""

from __future__ import annotations

from litdata import StreamingDataLoader, StreamingDataset, index_parquet_dataset
from litdata.streaming.item_loader import ParquetLoader

from benchmarks.peers.loader_job import Job, run


def prepare(job: Job):
    index = job.work / "litdata"
    index.mkdir(exist_ok=True)
    folder = str(job.folder)
    index_parquet_dataset(folder, str(index), num_workers=job.workers)
    rows = StreamingDataset(
        folder, item_loader=ParquetLoader(), shuffle=True, seed=0, drop_last=True, index_path=str(index)
    )
    loader = StreamingDataLoader(
        rows,
        batch_size=job.batch,
        num_workers=job.workers,
        shuffle=True,
        drop_last=True,
        multiprocessing_context="spawn",  # it refuses to fork: Polars has threads
    )
    return lambda _: iter(loader)


if __name__ == "__main__":
    run("litdata", prepare)
