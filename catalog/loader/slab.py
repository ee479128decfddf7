"""Memory that batches lie in: some steps of all slots, used again when the last batch is let go."""

from __future__ import annotations

import mmap
import os
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from operator import itemgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from headrace.catalog.loader.columns import Column, Contents, Entry
from headrace.catalog.loader.plan import Share
from headrace.schemas.errors import RunError

Array = npt.NDArray[Any]
Allocate = Callable[[int], Array]
"""Bytes to an array of so many UInt8."""

ROWS: Final = 65_536
"""A slab holds at least this many rows, so that small batches are written together."""

BYTES: Final = 96 << 20
"""And no more than this, if that is more than one step."""

_OWN: Final = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
"""Memory of the process's own, where systems ask: a child that is forked gets a copy, as of all else."""

_ALIGNED: Final = 64
"""Bytes, of every entry: what vector units and devices like."""


@dataclass(frozen=True)
class Spot:
    """Where a column lies in a slab.

    Parameters
    ----------
    begin, apart
        Byte of its first row, and bytes from one row to the next.
    """

    dtype: np.dtype[Any]
    begin: int
    apart: int


@dataclass(frozen=True)
class Shape:
    """How slabs of a rank are cut: entry after entry, each [steps, slots, width] and the entry's own width."""

    contents: Contents
    slots: int
    width: int
    steps: int

    @classmethod
    def of(cls, contents: Contents, share: Share, group_rows: int) -> Shape:
        """As many steps as a row group of so many rows fills of a slot: they are written by one copy a column."""
        step = cls(contents, share.slots, share.width, 1)
        steps = max(ROWS // max(share.slots * share.width, 1), group_rows // max(share.width, 1))
        return replace(step, steps=max(min(steps, BYTES // max(step.bytes, 1), share.steps), 1))

    @cached_property
    def places(self) -> tuple[tuple[Entry, int, int, tuple[int, ...]], ...]:
        """Each entry, where it begins and ends in bytes, and its shape."""
        found, start = [], 0
        for entry in self.contents.entries:
            shape = (self.steps, self.slots, self.width, *(() if entry.width is None else (entry.width,)))
            stop = start + prod(shape) * entry.dtype.itemsize
            found.append((entry, start, stop, shape))
            start = -(-stop // _ALIGNED) * _ALIGNED
        return tuple(found)

    @property
    def bytes(self) -> int:
        return self.places[-1][2]

    def spot(self, column: Column) -> Spot:
        return self._spots[column.name]

    @cached_property
    def _spots(self) -> dict[str, Spot]:
        begins = {entry.name: (entry, start) for entry, start, _, _ in self.places}
        found = {}
        for column in self.contents.columns:
            entry, start = begins[column.entry]
            size = entry.dtype.itemsize
            found[column.name] = Spot(entry.dtype, start + column.at * size, size * (entry.width or 1))
        return found


class Slab:
    """Some steps, while they are written and after.

    Parameters
    ----------
    memory
        For all entries.
    missing
        Rows that are still to be written.

    Attributes
    ----------
    bytes
        The memory.
    """

    def __init__(self, shape: Shape, memory: Array, missing: int) -> None:
        self.shape = shape
        self.memory = memory
        self.missing = missing
        self.bytes = memory.data
        self._values: dict[tuple[str, int], list[tuple[int, Array]]] = {}

    def arrays(self) -> dict[str, Array]:
        """By entry, [steps, slots, width] and the entry's own width; of lists, their lengths."""
        return {
            entry.name: self.memory[start:stop].view(entry.dtype).reshape(shape)
            for entry, start, stop, shape in self.shape.places
        }

    def add(self, column: Column, slot: int, row: int, values: Array) -> None:
        """Keep the values of lists of a slot, the first of which is that of a row of the slab."""
        self._values.setdefault((column.name, slot), []).append((row, values))

    def joined(self, column: Column, slot: int) -> Array:
        """The values of a slot's lists in the order of their rows."""
        parts = sorted(self._values.get((column.name, slot), []), key=itemgetter(0))
        return np.concatenate([np.empty(0, column.dtype), *(values for _, values in parts)])


def machine_bytes() -> int | None:
    """The memory of this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def aligned(size: int) -> Array:
    """Memory that begins with a page, of zeros.

    Decoded columns do so, too, and on processors of AMD's Zen family a copy to 16 bytes behind the beginning of a page,
    where malloc would put it, takes six times as long (https://sourceware.org/bugzilla/show_bug.cgi?id=30994). It comes
    from the system itself, because NumPy asks for huge pages: they have to be found and cleared first, and a process's
    first epoch took twice as long.
    """
    try:
        return np.frombuffer(mmap.mmap(-1, max(size, 1), **_OWN), np.uint8, size)
    except (OSError, OverflowError, MemoryError) as error:
        raise RunError(
            f"there is no memory for {size:,} bytes of batches",
            hint="a smaller batch_size, fewer columns, or less in other processes",
        ) from error


class Memory:
    """What a thread uses again for a column at a time: what was handed out last is gone with the next."""

    def __init__(self) -> None:
        self._held = aligned(0)

    def of(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """So much, of old values."""
        size = prod(shape) * dtype.itemsize
        if len(self._held) < size:
            self._held = aligned(size)
        return self._held[:size].view(dtype).reshape(shape)


class Pool:
    """Memory for slabs, used again as soon as nothing refers to what was in it.

    A view of an array keeps that array, and so does a tensor on a view; the end of the last is what gives memory back.
    Nothing waits here, and no lock is taken: the end of an object may come at any time, in any thread.
    """

    def __init__(self, size: int, allocate: Allocate) -> None:
        self.size = size
        self._allocate = allocate
        self._free: deque[Array] = deque()

    def take(self) -> Array:
        try:
            memory = self._free.pop()
        except IndexError:
            memory = self._allocate(self.size)
        # An array on a memoryview is the end of its views' chain of bases, so that they keep it, not the memory alone.
        lent = np.frombuffer(memory.data, np.uint8)
        weakref.finalize(lent, self._free.append, memory).atexit = False
        return lent
