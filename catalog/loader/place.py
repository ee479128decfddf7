"""Where rows go: stretches of a slab, all of one slot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.catalog.loader.columns import Column
from headrace.catalog.loader.plain import Target
from headrace.catalog.loader.slab import Slab, Spot

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Place:
    """Stretches of a slab that rows of a row group are written to, each of as many rows.

    Parameters
    ----------
    row
        Of the slab, counted over its steps and slots: where the first stretch begins.
    stretches, rows
        How many there are, and of how many rows each.
    apart
        Rows of the slab from the beginning of one to that of the next.
    start
        Which of the rows that are written is the first one here.
    """

    slab: Slab
    slot: int
    row: int
    stretches: int
    rows: int
    apart: int
    start: int

    @property
    def stop(self) -> int:
        return self.start + self.stretches * self.rows

    def of(self, column: Column) -> Array:
        """Where a column goes: [stretches, rows] and its own width; of lists of any length, their lengths."""
        spot = self.slab.shape.spot(column)
        inner = {} if column.width is None else {column.width: spot.dtype.itemsize}
        return self._at(
            spot, (self.stretches, self.rows, *inner), (self.apart * spot.apart, spot.apart, *inner.values())
        )

    def at(self, spot: Spot) -> Array:
        """Where numbers go whose first one lies at a spot: [stretches, rows]."""
        return self._at(spot, (self.stretches, self.rows), (self.apart * spot.apart, spot.apart))

    def together(self, spot: Spot, count: int, apart: int) -> Array:
        """Where columns go, the first at a spot, each so many bytes behind the one before: [count, stretches, rows]."""
        return self._at(spot, (count, self.stretches, self.rows), (apart, self.apart * spot.apart, spot.apart))

    def _at(self, spot: Spot, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
        return np.ndarray(shape, spot.dtype, self.slab.memory, spot.begin + self.row * spot.apart, strides)


def places(slab: Slab, slot: int, position: int, start: int, stop: int) -> Iterator[Place]:
    """Where rows [start, stop) go from a slot's position in a slab on.

    Of one slot alone that is one stretch; else the rest of a step, whole steps, and a part of one.
    """
    shape = slab.shape
    if shape.slots == 1:
        yield Place(slab, slot, position, 1, stop - start, 0, start)
        return
    width, apart = shape.width, shape.width * shape.slots
    step, offset = divmod(position, width)
    while start < stop:
        whole = 0 if offset else (stop - start) // width
        stretches, rows = (whole, width) if whole else (1, min(width - offset, stop - start))
        yield Place(slab, slot, step * apart + slot * width + offset, stretches, rows, apart, start)
        step, offset, start = step + stretches, 0, start + stretches * rows


def targets(first: int, places: Sequence[Place]) -> list[Target]:
    """The stretches that rows of a row group go to, from its row `first` on."""
    return [
        Target(
            first + place.start + n * place.rows,
            first + place.start + (n + 1) * place.rows,
            place.slab.bytes,
            place.row + n * place.apart,
        )
        for place in places
        for n in range(place.stretches)
    ]
