"""The job that every loader is given: batches of shuffled rows of the same Parquet files, a tensor for each column.

A peer's module has a function from a `Job` to its batches, and ends with `run(...)`. It needs nothing but its own
library, so that it runs in an environment of its own:

    python -m benchmarks.peers.loader_pyarrow FOLDER RESULT --batch 65536 --seconds 30
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from benchmarks import measure

Batches = Iterator[Mapping[str, Any]]

COLUMNS = 40
GROUP = 131_072
"""Rows of a row group, which `row` numbers."""


@dataclass(frozen=True)
class Job:
    """What to load.

    Parameters
    ----------
    folder
        Of Parquet files; of MDS shards for its reader.
    work
        A folder for what a library keeps of its own.
    batch
        Rows of a batch.
    workers
        Processes, for a loader that takes some.
    """

    folder: Path
    work: Path
    batch: int
    workers: int

    @property
    def files(self) -> list[str]:
        return sorted(map(str, self.folder.glob("*.parquet")))


def run(library: str, prepare: Callable[[Job], Callable[[int], Batches]]) -> None:
    """Epoch after epoch until the time is over, then the rows, seconds and CPU seconds until the last whole batch.

    `prepare` does what is done once, such as an index, and gives the batches of an epoch.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--work", type=Path, default=Path("/tmp"))
    parser.add_argument("--batch", type=int, default=65_536)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    began = time.perf_counter()
    batches = prepare(Job(options.folder, options.work, options.batch, options.workers))
    found = {"version": metadata.version(library), "prepare_s": time.perf_counter() - began}
    found |= loaded(batches, options.batch, options.seconds, options.epochs)
    options.result.write_text(json.dumps(found))


def loaded(batches: Callable[[int], Batches], size: int, seconds: float, epochs: int) -> dict[str, Any]:
    """Take batches for so long, or for so many epochs."""
    began, used = time.perf_counter(), cpu_seconds()
    rows = groups = 0
    first = elapsed = 0.0
    for epoch in range(epochs):
        for batch in batches(epoch):
            if not rows:
                first = time.perf_counter() - began
                groups = check(batch, size)
            rows += len(batch["row"])
            elapsed = time.perf_counter() - began
            if elapsed > seconds:
                break
        if elapsed > seconds:
            break
    return {
        "rows": rows,
        "seconds": elapsed,
        "cpu_seconds": cpu_seconds() - used,
        "first_batch_s": first,
        "groups": groups,
        "batch": size,
    }


def check(batch: Mapping[str, Any], size: int) -> int:
    """In how many row groups the rows of a batch lie. An assertion fails unless it is what was asked for."""
    assert len(batch) == COLUMNS, f"{len(batch)} columns"
    for name, values in batch.items():
        assert isinstance(values, torch.Tensor), f"{name} is {type(values)}"
        assert values.shape == (size,), f"{name} is {tuple(values.shape)}"
    return len(torch.unique(batch["row"] // GROUP))


def cpu_seconds() -> float:
    """Of this process and those that it started, ended or not."""
    ended = os.times()
    total = ended.user + ended.system + ended.children_user + ended.children_system
    return total + measure.cpu_seconds(measure.tree(os.getpid())[1:])
