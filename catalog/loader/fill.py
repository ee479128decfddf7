"""A row group into slabs: read or decoded, permuted in windows, and written where the batches will be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.catalog.loader.band import Band, bands
from headrace.catalog.loader.columns import Column
from headrace.catalog.loader.decode import decoded, lists, span
from headrace.catalog.loader.place import Place, targets
from headrace.catalog.loader.plain import Pages, Target
from headrace.catalog.loader.plan import Picked
from headrace.catalog.loader.shards import Group, Shards
from headrace.catalog.loader.slab import Memory, Shape

Array = npt.NDArray[Any]


class Filler:
    """One thread's.

    Parameters
    ----------
    stopped
        Asked now and then; once it is so, what is begun is left.
    """

    def __init__(self, shape: Shape, shards: Shards, stopped: Callable[[], bool]) -> None:
        self._shape = shape
        self._shards = shards
        self._stopped = stopped
        self._source = Memory()
        self._gathered = Memory()

    def fill(self, group: Group, picked: Picked, places: Sequence[Place]) -> bool:
        """Write the picked rows of a row group to where they go; False if that was stopped."""
        columns = [(column, self._shards.pages(group, column)) for column in self._shape.contents.columns]
        if isinstance(picked, slice):
            columns = self._in_place(group, picked, places, columns)
        for band in bands(self._shape, columns):
            if self._stopped():
                return False
            if band.lists:
                self._write_lists(group, band.columns[0], picked, places)
            else:
                band.write(self._values(group, band, picked, places[-1].stop), places)
        return True

    def _in_place(
        self, group: Group, picked: slice, places: Sequence[Place], columns: list[tuple[Column, Pages | None]]
    ) -> list[tuple[Column, Pages | None]]:
        """Read what needs no change right to where it goes. Returns the other columns."""
        direct, others = [], []
        for column, pages in columns:
            if pages and pages.stored == column.dtype and not column.packed:
                direct.append((pages, self._shape.spot(column).begin))
            else:
                others.append((column, pages))
        if direct:
            self._shards.fill(group, direct, targets(picked.start, places))
        return others

    def _values(self, group: Group, band: Band, picked: Picked, rows: int) -> Array | list[Array]:
        """So many picked rows of a band's columns: [columns, rows], or each column's. The next ones overwrite them."""
        first, last = span(picked)
        gathered = self._gathered.of((len(band.columns), rows), band.dtype)
        if not band.pages:
            arrays = self._decoded(group, band)
            if isinstance(picked, slice):
                return [array[picked] for array in arrays]
            for array, values in zip(arrays, gathered, strict=True):
                array.take(picked, out=values, mode="wrap")  # "raise" would copy once more
        elif isinstance(picked, slice):
            self._read(group, band, gathered, Target(first, last, gathered.data.cast("B"), 0))
        else:
            source = self._source.of((len(band.columns), last), band.dtype)
            self._read(group, band, source, Target(first, last, source.data.cast("B"), first))
            source.take(picked, axis=1, out=gathered, mode="wrap")
        return gathered

    def _read(self, group: Group, band: Band, memory: Array, target: Target) -> None:
        """Rows of a band's columns as they lie in the file, to memory of [columns, rows]."""
        begins = range(0, memory.nbytes, memory.strides[0])
        self._shards.fill(group, list(zip(band.pages, begins, strict=True)), [target])

    def _decoded(self, group: Group, band: Band) -> list[Array]:
        found = decoded(self._shards.read(group, band.columns), band.columns, group.file.path)
        return [found[column.name].view(band.dtype) for column in band.columns]

    def _write_lists(self, group: Group, column: Column, picked: Picked, places: Sequence[Place]) -> None:
        array = decoded(self._shards.read(group, [column]), [column], group.file.path)[column.name]
        part, values = lists(array, picked) if column.ragged else (array[picked], None)
        ends = [] if values is None else [0, *np.cumsum(part).tolist()]
        for place in places:
            target = place.of(column)
            target[...] = part[place.start : place.stop].reshape(target.shape)
            if values is not None:
                place.slab.add(column, place.slot, place.row, values[ends[place.start] : ends[place.stop]])
