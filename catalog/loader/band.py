"""Columns that are read and written together, with one call where each would take one of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
    """Columns that lie in slabs at equal distances: arrays one behind the other, or side by side in a matrix.

    Parameters
    ----------
    pages
        Of each column, if their values lie in the file as in memory; empty if Arrow has to decode them.
    dtype
        Of the values that are gathered. Unsigned, of the same size, where they are not converted after.
    spot, apart
        Where the first one lies in a slab, and how many bytes behind it the next.
    """

    columns: tuple[Column, ...]
    pages: tuple[Pages, ...]
    dtype: np.dtype[Any]
    spot: Spot
    apart: int = 0

    @property
    def lists(self) -> bool:
        """One column of lists, which is read and written by itself."""
        return self.columns[0].ragged or self.columns[0].width is not None

    def joined(self, other: Band) -> Band | None:
        """With another one behind it; None if that does not fit."""
        mine, its = self.columns[0], other.columns[0]
        apart = other.spot.begin - self.spot.begin - self.apart * (len(self.columns) - 1)
        fits = (
            len(self.columns) < COLUMNS
            and not (self.lists or other.lists)
            and (mine.entry == its.entry if mine.packed else not its.packed)
            and bool(self.pages) == bool(other.pages)
            and (self.dtype, self.spot.dtype, self.spot.apart) == (other.dtype, other.spot.dtype, other.spot.apart)
            and self.apart in (0, apart)
        )
        return (
            replace(self, columns=self.columns + other.columns, pages=self.pages + other.pages, apart=apart)
            if fits
            else None
        )

    def write(self, values: Array | Sequence[Array], places: Sequence[Place]) -> None:
        """Write rows to where they go.

        Parameters
        ----------
        values
            [columns, rows], or each column's. Not of lists.
        """
        for place in places:
            target = place.together(self.spot, len(self.columns), self.apart)
            if isinstance(values, np.ndarray):
                target[...] = values[:, place.start : place.stop].reshape(target.shape)
            else:
                for one, column in zip(target, values, strict=True):
                    one[...] = column[place.start : place.stop].reshape(one.shape)


def bands(shape: Shape, columns: Iterable[tuple[Column, Pages | None]]) -> Iterator[Band]:
    """Columns, as many together as can be, in their order."""
    band = None
    for column, pages in columns:
        alone = _alone(column, pages, shape.spot(column))
        together = band.joined(alone) if band else None
        if band and not together:
            yield band
        band = together or alone
    if band:
        yield band


def _alone(column: Column, pages: Pages | None, spot: Spot) -> Band:
    stored = pages.stored if pages else column.dtype
    if stored == spot.dtype:
        stored = np.dtype(f"u{stored.itemsize}")
        spot = replace(spot, dtype=stored)
    return Band((column,), (pages,) if pages else (), stored, spot)
