"""Statistics that are merged on disk: which buckets of groups a task takes, and how all come into one order.

A pass leaves the rows of its groups in buckets by their hash, so that a task reads nothing but those it merges. What
is left of them, each task's in order, is brought into one order a range of values at a time: memory does not grow with
the groups. Nothing of it depends on how many buckets, tasks or ranges there were.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cmp_to_key
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from headrace.pipelines.work import Work, whole_folder
from headrace.transforms.base import Order

MERGED_BYTES: Final = 128 << 20
"""Statistics that one task merges at once, about."""

RANGE_BYTES: Final = 64 << 20
"""Rows that are sorted at once, about."""


def shares(work: Work, measured: Mapping[int, int]) -> dict[int, int]:
    """Into how many tasks the merging of each learner falls, from the bytes that a pass measured for it."""
    return {i: max(1, min(work.plan.group_buckets, -(-size // MERGED_BYTES))) for i, size in measured.items()}


def share_of(work: Work, share: int, count: int) -> range:
    """The buckets that one of `count` tasks merges."""
    buckets = work.plan.group_buckets
    return range(share * buckets // count, (share + 1) * buckets // count)


def table_of(file: Path, buckets: range) -> pl.DataFrame:
    """What a pass measured for the groups of some buckets."""
    with pa.memory_map(str(file)) as source:
        reader = pa.ipc.open_file(source)
        table = pa.Table.from_batches([reader.get_batch(bucket) for bucket in buckets], schema=reader.schema)
    frame = pl.from_arrow(table, rechunk=False)
    assert isinstance(frame, pl.DataFrame)
    return frame


def merged_folder(work: Work, index: int) -> Path:
    """Where the tasks of one learner leave what they merged."""
    return work.path / "merged" / str(index)


def merged_file(work: Work, index: int, share: int, count: int) -> Path:
    """Where one of `count` tasks leaves what it merged for one learner."""
    return merged_folder(work, index) / f"{share:05d}-of-{count:05d}.arrow"


def is_merged(work: Work, index: int, share: int, count: int) -> bool:
    """Whether one of `count` tasks has done its part, which later ones may have taken up."""
    return _ordered(work, index).is_dir() or merged_file(work, index, share, count).exists()


def spilled(work: Work, index: int, count: int, order: Order) -> pl.DataFrame:
    """What `count` tasks have left of the statistics of all groups, in this order: files mapped into memory."""
    files = [merged_file(work, index, share, count) for share in range(count)]
    if not order:
        return _together(files)
    ordered = in_one_order(files, order, _ordered(work, index))
    for file in files:
        file.unlink(missing_ok=True)
    return ordered


def leave(table: pl.DataFrame, path: Path) -> None:
    """Write a table so that it appears whole, and can be mapped into memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    table.write_ipc(temporary)
    os.replace(temporary, path)


def in_one_order(files: Sequence[Path], order: Order, folder: Path) -> pl.DataFrame:
    """The rows of files that are each in this order in it together, worked out in `folder` unless they are there.

    Cost: the rows written and read once more; memory for a few times `RANGE_BYTES`.
    """
    if not folder.is_dir():
        size = sum(file.stat().st_size for file in files)
        with whole_folder(folder) as made:
            splitters = _splitters(files, order, -(-size // RANGE_BYTES))
            bounds = [_bounds(file, order, splitters) for file in files]
            names, last = [c for c, _ in order], [last for _, last in order]
            for number in range(len(splitters) + 1):
                # Mapped anew each time: pages of what is done do not stay this process's.
                parts = [
                    pl.read_ipc(file, memory_map=True).slice(places[number], places[number + 1] - places[number])
                    for file, places in zip(files, bounds, strict=True)
                ]
                leave(pl.concat(parts).sort(names, descending=last), made / f"{number:05d}.arrow")
    return _together(sorted(folder.glob("*.arrow")))


def _ordered(work: Work, index: int) -> Path:
    return merged_folder(work, index) / "ordered"


def _together(files: Sequence[Path]) -> pl.DataFrame:
    # Mapped, so that the system can let go of pages and read them again.
    return pl.concat([pl.read_ipc(file, memory_map=True) for file in files], rechunk=False)


def _splitters(files: Sequence[Path], order: Order, ranges: int) -> list[tuple[Any, ...]]:
    """Rows that part all into `ranges` of about as many rows: every so many-th of a sample."""
    names = [c for c, _ in order]
    tables = [pl.read_ipc(file, memory_map=True).select(names) for file in files]
    step = max(1, sum(table.height for table in tables) // (ranges * _SAMPLED))
    sample = pl.concat([table.gather_every(step) for table in tables])
    sample = sample.sort(names, descending=[last for _, last in order])
    places = [number * sample.height // ranges for number in range(1, ranges)]
    return list(dict.fromkeys(sample.row(place) for place in places))


def _bounds(file: Path, order: Order, splitters: Sequence[tuple[Any, ...]]) -> list[int]:
    """Where the rows of each range begin in a file, and where the last one's end."""
    table = pl.read_ipc(file, memory_map=True).select(c for c, _ in order)
    key = cmp_to_key(lambda one, other: _compared(one, other, order))
    rows = range(table.height)
    starts = [bisect_left(rows, key(splitter), key=lambda place: key(table.row(place))) for splitter in splitters]
    bounds = [0, *starts, table.height]
    assert all(low <= high for low, high in pairwise(bounds))
    return bounds


def _compared(one: tuple[Any, ...], other: tuple[Any, ...], order: Order) -> int:
    for a, b, (_, last) in zip(one, other, order, strict=True):
        if a != b:
            return 1 if (a < b) == last else -1
    return 0


_SAMPLED: Final = 64
