"""headrace's loader, at its default settings."""

from __future__ import annotations

from benchmarks.peers.loader_job import Batches, Job, run
from headrace import open_dataset


def prepare(job: Job):
    """The files lie in `<catalog>/<dataset>/builds/<build>/train`."""
    dataset = open_dataset(job.folder.parents[2])
    loader = dataset.torch_loader("train", columns=dataset.columns, batch_size=job.batch)

    def batches(epoch: int) -> Batches:
        loader.set_epoch(epoch)
        return iter(loader)

    return batches


if __name__ == "__main__":
    run("headrace", prepare)
