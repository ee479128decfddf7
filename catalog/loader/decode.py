"""A row group into slabs: decoded, permuted in windows, and written where the batches will be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.catalog.loader.columns import Column
from headrace.catalog.loader.permutation import Rows
from headrace.catalog.loader.plain import Target
from headrace.catalog.loader.plan import Picked
from headrace.catalog.loader.slab import Memory, Slab
from headrace.schemas.errors import DataError

Array = npt.NDArray[Any]
Decoded = dict[str, Any]
"""By column: its values, [rows] or [rows, width]; of lists of any length, the Arrow array."""


def decoded(table: pa.Table, columns: Sequence[Column], where: str) -> Decoded:
    """The columns of a row group as arrays that share its memory; booleans, which are bits there, are copied.

    Raises DataError for nulls, which a column without them cannot have, and for nulls in lists.
    """
    return {column.name: _values(_one(table.column(column.name)), column, where) for column in columns}


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _values(array: pa.Array, column: Column, where: str) -> Any:
    inner = array.flatten() if column.ragged or column.width is not None else array
    if nulls := array.null_count or inner.null_count:
        raise DataError(
            f"column {column.name!r} has {nulls} nulls{' in its lists' if not array.null_count else ''}, "
            "and tensors have no nulls",
            hint="leave it out of `columns`, or fill it in the pipeline and keep a mask column (FillNull)",
            where=where,
        )
    if column.ragged:
        return array
    values = numbers(inner)
    return values if column.width is None else values.reshape(len(array), column.width)


def numbers(array: pa.Array) -> Array:
    """The values of an Arrow array without nulls; `to_numpy` would import pandas if it is there, half a second."""
    if pa.types.is_boolean(array.type):
        return numbers(array.cast(pa.uint8())).view(np.bool_)
    dtype = np.dtype(array.type.to_pandas_dtype())
    if not len(array):
        return np.empty(0, dtype)
    return np.frombuffer(array.buffers()[1], dtype, len(array), array.offset * dtype.itemsize)


@dataclass(frozen=True)
class Room:
    """A part of a slab that rows are written to.

    Parameters
    ----------
    slab
        Its entries are [steps, slots, width] and their own width.
    place
        Index of the part in all entries.
    shape
        Of the part.
    start, stop
        Which of the rows that are written go there.
    """

    slab: Slab
    place: tuple[int | slice, int, slice]
    shape: tuple[int, ...]
    start: int
    stop: int

    def of(self, column: Column) -> Array:
        """Where values of a column go; not of lists of any length."""
        target = self.slab.targets[column.entry]
        if not column.packed:
            return target[self.place]
        return target[(*self.place, column.at if column.width is None else slice(column.at, column.at + column.width))]

    def stretches(self, column: Column) -> Iterator[tuple[int, memoryview]]:
        """The same, stretch by stretch of rows that lie there one behind the other: how many, and their bytes."""
        target = self.of(column)
        for part in (target,) if len(self.shape) == 1 else target:
            yield len(part), part.data.cast("B")


def rooms(slab: Slab, slot: int, position: int, width: int, start: int, stop: int) -> Iterator[Room]:
    """Where rows [start, stop) go from a slot's position on: the rest of a step, whole steps, a part of one."""
    step, offset = divmod(position, width)
    if offset:
        cut = min(start + width - offset, stop)
        yield Room(slab, (step, slot, slice(offset, offset + cut - start)), (cut - start,), start, cut)
        step, start = step + 1, cut
    whole = (stop - start) // width
    if whole:
        cut = start + whole * width
        steps = step if whole == 1 else slice(step, step + whole)
        yield Room(slab, (steps, slot, slice(0, width)), (width,) if whole == 1 else (whole, width), start, cut)
        step, start = step + whole, cut
    if start < stop:
        yield Room(slab, (step, slot, slice(0, stop - start)), (stop - start,), start, stop)


def targets(column: Column, picked: slice, places: Sequence[Room]) -> list[Target]:
    """Where rows of a row group that follow one another go, each stretch of them; not into a matrix."""
    found, row = [], picked.start
    for room in places:
        for rows, memory in room.stretches(column):
            found.append(Target(row, row + rows, memory))
            row += rows
    return found


def span(picked: Picked) -> tuple[int, int]:
    """The first of the rows that are picked, and the one behind the last."""
    return (picked.start, picked.stop) if isinstance(picked, slice) else (int(picked.min()), int(picked.max()) + 1)


def write(source: Any, column: Column, picked: Picked, places: Sequence[Room], memory: Memory) -> None:
    """Write picked rows of a column of a row group to where they go.

    They are gathered first, all at once, and then copied: two long calls for which a thread lets the others run, where
    gathering them in place would be many short ones.
    """
    if column.ragged:
        _write_lists(source, column, picked, places)
        return
    part = source[picked] if isinstance(picked, slice) else _gathered(source, column, picked, memory)
    for room in places:
        target = room.of(column)
        target[...] = part[room.start : room.stop].reshape(target.shape)


def _gathered(source: Array, column: Column, picked: Rows, memory: Memory) -> Array:
    part = memory.of(len(picked), column.dtype, column.width)
    source.take(picked, axis=0, out=part, mode="wrap")  # "raise" would copy once more
    return part


def _write_lists(source: pa.Array, column: Column, picked: Picked, places: Sequence[Room]) -> None:
    lengths, values = lists(source, picked)
    ends = [0, *np.cumsum(lengths).tolist()]
    for room in places:
        room.slab.targets[column.entry][room.place] = lengths[room.start : room.stop].reshape(room.shape)
        room.slab.add(column, room.place, values[ends[room.start] : ends[room.stop]])


def lists(array: pa.Array, picked: Picked) -> tuple[Array, Array]:
    """Lengths of the picked lists, as Int64, and their values one behind the other."""
    if isinstance(picked, slice):
        taken = array.slice(picked.start, picked.stop - picked.start)
    else:
        taken = array.take(pa.array(picked))
    return numbers(pc.list_value_length(taken)).astype(np.int64), numbers(taken.flatten())
