"""Slabs cut into batches, as NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.catalog.device import Ragged
from headrace.catalog.loader.columns import VALID, Column
from headrace.catalog.loader.plan import Share
from headrace.catalog.loader.slab import Shape, Slab

Array = npt.NDArray[Any]
Batch = dict[str, Any]
"""Arrays or tensors by entry, in the order of `columns` and then of `pack`."""


@dataclass(frozen=True)
class Cutter:
    """Cuts slabs: a whole step is a view of its slab's memory, a short one is copied."""

    shape: Shape
    share: Share
    padded: bool

    def all(self, slabs: Iterable[Slab], step: int) -> Iterator[Batch]:
        """The batches of an epoch's slabs from a step on."""
        for number, slab in enumerate(slabs):
            yield from self.batches(slab, step + number * self.shape.steps)

    def batches(self, slab: Slab, step: int) -> Iterator[Batch]:
        """The batches of a slab whose first step is `step`."""
        steps = min(self.shape.steps, self.share.steps - step)
        arrays = slab.arrays()
        whole = (self.shape.width,) * self.shape.slots
        valid = self.share.valid(step + steps - 1)
        if valid != whole:  # only the last step can be short
            for array in arrays.values():
                for slot, count in enumerate(valid):
                    array[steps - 1, slot, count:] = 0
        lists = {
            column.name: self._lists(slab, column, arrays[column.name][:steps]) for column in self.shape.contents.ragged
        }
        for at in range(steps):
            rows = valid if at == steps - 1 else whole
            batch: Batch = {name: self._entry(array[at], rows) for name, array in arrays.items()}
            for name, parts in lists.items():
                batch[name] = _ragged(batch[name], [values[starts[at] : starts[at + 1]] for values, starts in parts])
            if self.padded:
                batch[VALID] = np.concatenate([np.arange(self.shape.width) < count for count in rows])
            yield batch

    def _entry(self, array: Array, valid: tuple[int, ...]) -> Array:
        if self.padded or sum(valid) == self.shape.slots * self.shape.width:
            return array.reshape(-1, *array.shape[2:])
        return np.concatenate([array[slot, :rows] for slot, rows in enumerate(valid)])

    def _lists(self, slab: Slab, column: Column, lengths: Array) -> list[tuple[Array, list[int]]]:
        """By slot: the values of a slab's lists, and where those of each step begin, and the last's end."""
        ends = np.cumsum(lengths.sum(axis=2), axis=0).tolist()
        return [(slab.joined(column, slot), [0, *(step[slot] for step in ends)]) for slot in range(self.shape.slots)]


def _ragged(lengths: Array, parts: list[Array]) -> Ragged:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Ragged(np.concatenate(parts), offsets)
