"""Sorted files as one sorted table: a range of values at a time, so that memory does not grow with them."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Sequence
from functools import cmp_to_key, partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from headrace.pipelines.work import whole_folder
from headrace.transforms.base import Order
from headrace.transforms.order import by_order

RANGE_BYTES: Final = 64 << 20
"""Rows that are sorted at once, about."""


def leave(table: pl.DataFrame, path: Path) -> None:
    """Write a table so that it appears whole, and can be mapped into memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    table.write_ipc(temporary)
    os.replace(temporary, path)


def together(files: Sequence[Path]) -> pl.DataFrame:
    """The rows of several files one after the other: mapped, so that the system can let go of pages and read again."""
    return pl.concat([pl.read_ipc(file, memory_map=True) for file in files], rechunk=False)


def in_one_order(files: Sequence[Path], order: Order, folder: Path) -> pl.DataFrame:
    """The rows of files that are each in this order in it together, worked out in `folder` unless they are there.

    Cost: the rows written and read once more; memory for a few times `RANGE_BYTES`.
    """
    if not folder.is_dir():
        size = sum(file.stat().st_size for file in files)
        with whole_folder(folder) as made:
            splitters = _splitters(files, order, -(-size // RANGE_BYTES))
            bounds = [_bounds(file, order, splitters) for file in files]
            for number in range(len(splitters) + 1):
                # Mapped anew each time: pages of what is done do not stay this process's.
                parts = [
                    pl.read_ipc(file, memory_map=True).slice(places[number], places[number + 1] - places[number])
                    for file, places in zip(files, bounds, strict=True)
                ]
                leave(by_order(pl.concat(parts), order), made / f"{number:05d}.arrow")
    return together(sorted(folder.glob("*.arrow")))


def _splitters(files: Sequence[Path], order: Order, ranges: int) -> list[tuple[Any, ...]]:
    """Rows that part all into `ranges` of about as many rows: every so many-th of a sample."""
    names = [c for c, _ in order]
    tables = [pl.read_ipc(file, memory_map=True).select(names) for file in files]
    step = max(1, sum(table.height for table in tables) // (ranges * _SAMPLED))
    sample = by_order(pl.concat([table.gather_every(step) for table in tables]), order)
    places = [number * sample.height // ranges for number in range(1, ranges) if sample.height]
    return list(dict.fromkeys(sample.row(place) for place in places))


def _bounds(file: Path, order: Order, splitters: Sequence[tuple[Any, ...]]) -> list[int]:
    """Where the rows of each range begin in a file, and where the last one's end."""
    table = pl.read_ipc(file, memory_map=True).select(c for c, _ in order)
    key = cmp_to_key(partial(_compared, order))
    rows = range(table.height)
    starts = [bisect_left(rows, key(splitter), key=lambda place: key(table.row(place))) for splitter in splitters]
    return [0, *starts, table.height]


def _compared(order: Order, one: tuple[Any, ...], other: tuple[Any, ...]) -> int:
    for a, b, (_, last) in zip(one, other, order, strict=True):
        if a != b:
            return 1 if (a < b) == last else -1
    return 0


_SAMPLED: Final = 64
