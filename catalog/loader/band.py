"""Columns that are read and written together, with one call where each would take one of its own."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from headrace.catalog.loader.columns import Column
from headrace.catalog.loader.place import Place
from headrace.catalog.loader.plain import Pages
from headrace.catalog.loader.slab import Shape, Spot

Array = npt.NDArray[Any]

COLUMNS: Final = 8
"""Of a band at most: what they are gathered from and to stays in the processor's outer cache."""


@dataclass(frozen=True)
class Band:
    """Columns of one type, in the file and in slabs, all of them arrays or all of them of one matrix.

    Parameters
    ----------
    pages
        Of each column, if their values lie in the file as in memory; empty if Arrow has to decode them.
    dtype
        Of the values that are gathered. Unsigned, of the same size, where they are not converted after.
    spots
        Where each lies in a slab.
    """

    columns: tuple[Column, ...]
    pages: tuple[Pages, ...]
    dtype: np.dtype[Any]
    spots: tuple[Spot, ...]

    @property
    def lists(self) -> bool:
        """One column of lists, which is read and written by itself."""
        return self.columns[0].ragged or self.columns[0].width is not None

    @property
    def kind(self) -> Hashable:
        """What columns have to have in common to be of one band."""
        column, spot = self.columns[0], self.spots[0]
        matrix, alone = column.entry if column.packed else None, column.name if self.lists else None  # "" is a name
        return matrix, alone, bool(self.pages), self.dtype, spot.dtype, spot.apart

    @cached_property
    def apart(self) -> int | None:
        """Bytes from one column to the next in a slab; None if they differ."""
        found = {after.begin - before.begin for before, after in pairwise(self.spots)} or {0}
        return found.pop() if len(found) == 1 else None

    def write(self, values: Array | Sequence[Array], places: Sequence[Place]) -> None:
        """Write rows to where they go.

        Parameters
        ----------
        values
            [columns, rows], or each column's. Not of lists.
        """
        for place in places:
            rows = slice(place.start, place.stop)
            if isinstance(values, np.ndarray) and self.apart is not None:
                target = place.together(self.spots[0], len(self.spots), self.apart)
                target[...] = values[:, rows].reshape(target.shape)
            else:
                for spot, column in zip(self.spots, values, strict=True):
                    target = place.at(spot)
                    target[...] = column[rows].reshape(target.shape)


def bands(shape: Shape, columns: Iterable[tuple[Column, Pages | None]]) -> Iterator[Band]:
    """Columns, as many together as can be; those of a kind in their order."""
    begun: dict[Hashable, Band] = {}
    for column, pages in columns:
        band = _alone(column, pages, shape.spot(column))
        kind = band.kind
        if other := begun.pop(kind, None):
            band = replace(
                band,
                columns=other.columns + band.columns,
                pages=other.pages + band.pages,
                spots=other.spots + band.spots,
            )
        if len(band.columns) == COLUMNS:
            yield band
        else:
            begun[kind] = band
    yield from begun.values()


def _alone(column: Column, pages: Pages | None, spot: Spot) -> Band:
    stored = pages.stored if pages else column.dtype
    if stored == spot.dtype:
        stored = np.dtype(f"u{stored.itemsize}")
        spot = replace(spot, dtype=stored)
    return Band((column,), (pages,) if pages else (), stored, (spot,))
