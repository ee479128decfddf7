"""mosaicml-streaming on MDS shards of the same rows, which `headrace datasets export --format mds` has written."""

from __future__ import annotations

import sys
from types import ModuleType

from torch.utils.data import DataLoader

from benchmarks.peers.loader_job import Job, run

# Its datasets of pictures import torchvision, and one that is built for CUDA does not import beside a torch
# that is not.
sys.modules |= {f"streaming.{name}": ModuleType(name) for name in ("vision", "text", "multimodal")}

from streaming import StreamingDataset  # noqa: E402


def prepare(job: Job):
    rows = StreamingDataset(local=str(job.folder), shuffle=True, shuffle_seed=0, batch_size=job.batch)
    loader = DataLoader(rows, batch_size=job.batch, num_workers=job.workers, drop_last=True)
    return lambda _: iter(loader)


if __name__ == "__main__":
    run("mosaicml-streaming", prepare)
