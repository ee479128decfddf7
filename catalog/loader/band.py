"""Columns of a matrix that are written some at a time: a row is visited once for all of them, not once for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy.typing as npt

from headrace.catalog.loader.columns import Column
from headrace.catalog.loader.decode import Room
from headrace.catalog.loader.plan import Picked
from headrace.catalog.loader.slab import Memory

Array = npt.NDArray[Any]

COLUMNS: Final = 8
"""That are kept until they are written, however many a matrix has: 16 gain no more."""

BLOCK: Final = 8192
"""Rows that are written at once: what they are read from stays in the cache."""


class Band:
    """Columns of a matrix that lie side by side, each as its rows are wanted; written when the next is none of them.

    Parameters
    ----------
    picked, places
        Rows of a row group, and where they go.
    memory, gathered
        For all columns of a band, and for one that has another type than its matrix.
    """

    def __init__(self, picked: Picked, places: Sequence[Room], memory: Memory, gathered: Memory) -> None:
        self._picked = picked
        self._places = places
        self._memory = memory
        self._gathered = gathered
        self._columns: list[Column] = []

    def add(self, source: Array, column: Column) -> None:
        """A column of one number a row. What it is read from may change after."""
        if self._columns and not self._fits(column):
            self.end()
        self._columns.append(column)
        values = self._held(column)[len(self._columns) - 1]
        if isinstance(self._picked, slice):
            values[:] = source[self._picked]
        elif source.dtype == values.dtype:
            source.take(self._picked, out=values, mode="wrap")  # "raise" would copy once more
        else:
            part = self._gathered.of(len(self._picked), source.dtype)
            values[:] = source.take(self._picked, out=part, mode="wrap")

    def end(self) -> None:
        """Write what is kept."""
        if not self._columns:
            return
        first, count = self._columns[0], len(self._columns)
        held = self._held(first)[:count]
        for room in self._places:
            target = room.slab.targets[first.entry][(*room.place, slice(first.at, first.at + count))]
            row = room.start
            for part in (target,) if len(room.shape) == 1 else target:
                for start in range(0, len(part), BLOCK):
                    block = part[start : start + BLOCK]
                    block[...] = held[:, row + start : row + start + len(block)].T
                row += len(part)
        self._columns = []

    def _fits(self, column: Column) -> bool:
        last = self._columns[-1]
        return column.entry == last.entry and column.at == last.at + 1 and len(self._columns) < COLUMNS

    def _held(self, column: Column) -> Array:
        dtype = self._places[0].slab.targets[column.entry].dtype
        return self._memory.of(COLUMNS, dtype, self._places[-1].stop)
