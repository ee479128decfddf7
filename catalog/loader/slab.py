"""Memory that batches lie in: some steps of all slots, used again when the last batch is let go."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from headrace.catalog.loader.columns import Column, Contents
from headrace.catalog.loader.plan import Share

Array = npt.NDArray[Any]
Allocate = Callable[[int], Array]
"""Bytes to an array of so many UInt8."""

ROWS: Final = 65_536
"""A slab holds this many rows, so that small batches are written together, or one step if that is more."""

_ALIGNED: Final = 64
"""Bytes, of every entry: what vector units and devices like."""


@dataclass(frozen=True)
class Shape:
    """How slabs of a rank are cut: entry after entry, each [steps, slots, width] and the entry's own width."""

    contents: Contents
    slots: int
    width: int
    steps: int

    @classmethod
    def of(cls, contents: Contents, share: Share) -> Shape:
        rows = max(share.slots * share.width, 1)
        return cls(contents, share.slots, share.width, max(min(ROWS // rows, share.steps), 1))

    def places(self) -> tuple[int, ...]:
        """Where each entry begins, in bytes; one more for the end."""
        places = [0]
        for entry in self.contents.entries:
            size = self.steps * self.slots * self.width * (1 if entry.width is None else entry.width)
            places.append(places[-1] + -(-size * entry.dtype.itemsize // _ALIGNED) * _ALIGNED)
        return tuple(places)

    def arrays(self, memory: Array) -> dict[str, Array]:
        """Views of the memory, by entry."""
        made = {}
        for entry, (start, stop) in zip(self.contents.entries, pairwise(self.places()), strict=True):
            shape = (self.steps, self.slots, self.width, *(() if entry.width is None else (entry.width,)))
            size = int(np.prod(shape)) * entry.dtype.itemsize
            assert size <= stop - start
            made[entry.name] = memory[start : start + size].view(entry.dtype).reshape(shape)
        return made


@dataclass
class Slab:
    """Steps [number * steps, (number + 1) * steps) after the first, while and after they are written.

    Parameters
    ----------
    arrays
        By entry; of lists, their lengths, as Int64.
    values
        Of lists, by column and slot: the slot's position, and the values of the lists from there on.
    missing
        Rows that are still to be written.
    """

    memory: Array
    arrays: dict[str, Array]
    missing: int
    values: dict[tuple[str, int], list[tuple[int, Array]]] = field(default_factory=dict)

    def add(self, column: Column, slot: int, place: int, values: Array) -> None:
        self.values.setdefault((column.name, slot), []).append((place, values))

    def joined(self, column: Column, slot: int) -> Array:
        """The values of a slot's lists in the order of their rows."""
        parts = sorted(self.values.get((column.name, slot), []), key=lambda part: part[0])
        return np.concatenate([np.empty(0, column.dtype), *(values for _, values in parts)])


class Pool:
    """Memory for slabs, used again as soon as nothing refers to what was in it.

    A view of an array keeps that array, and so does a tensor on a view; the end of the last is what gives memory back.
    Nothing waits here, and no lock is taken: the end of an object may come at any time, in any thread.
    """

    def __init__(self, size: int, allocate: Allocate) -> None:
        self._size = size
        self._allocate = allocate
        self._free: deque[Array] = deque()

    def take(self) -> Array:
        try:
            memory = self._free.pop()
        except IndexError:
            memory = self._allocate(self._size)
        # An array on a memoryview is the end of its views' chain of bases, so that they keep it, not the memory alone.
        lent = np.frombuffer(memory.data, np.uint8)
        weakref.finalize(lent, self._free.append, memory).atexit = False
        return lent
