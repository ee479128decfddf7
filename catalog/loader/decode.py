"""A row group into slabs: decoded, permuted in windows, and written where the batches will be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.catalog.loader.columns import Column, Contents
from headrace.catalog.loader.plan import Picked
from headrace.catalog.loader.slab import Slab
from headrace.schemas.errors import DataError

Array = npt.NDArray[Any]
Decoded = dict[str, Any]
"""By column: its values, [rows] or [rows, width]; of lists of any length, the Arrow array."""


def decoded(table: pa.Table, contents: Contents, where: str) -> Decoded:
    """The columns of a row group as arrays that share its memory; booleans, which are bits there, are copied.

    Raises DataError for nulls, which a column without them cannot have, and for nulls in lists.
    """
    return {column.name: _values(_one(table.column(column.name)), column, where) for column in contents.columns}


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
    """The values of an Arrow array without nulls."""
    if pa.types.is_boolean(array.type):
        return array.cast(pa.uint8()).to_numpy().view(np.bool_)  # type: ignore[no-any-return]
    return array.to_numpy()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Room:
    """A part of an entry that rows are written to, [slots' positions from `start`].

    Parameters
    ----------
    steps, offsets
        Index into [steps, slots, width] beside the slot.
    start, stop
        Which of the rows that are written go there.
    """

    steps: int | slice
    offsets: slice
    start: int
    stop: int


def rooms(place: int, rows: int, width: int) -> Iterator[Room]:
    """Where rows from a position of a slot go in [steps, width]: the rest of a step, whole steps, a part of one."""
    step, offset = divmod(place, width)
    done = 0
    if offset:
        done = min(width - offset, rows)
        yield Room(step, slice(offset, offset + done), 0, done)
        step += 1
    whole = (rows - done) // width
    if whole == 1:
        yield Room(step, slice(0, width), done, done + width)
    elif whole:
        yield Room(slice(step, step + whole), slice(0, width), done, done + whole * width)
    done += whole * width
    if done < rows:
        yield Room(step + whole, slice(0, rows - done), done, rows)


def write(columns: Decoded, contents: Contents, slot: int, place: int, picked: Picked, slab: Slab) -> int:
    """Write picked rows of a row group to positions of a slot from `place` on, counted in the slab. Gives how many."""
    rows = picked.stop - picked.start if isinstance(picked, slice) else len(picked)
    for column in contents.columns:
        target = _slot(slab.arrays[column.entry], slot)
        source, taken = columns[column.name], picked
        if column.ragged:
            source, values = lists(source, picked)
            taken = slice(0, rows)
            slab.add(column, slot, place, values)
        elif target.ndim == 3:
            target = target[:, :, column.at : column.at + (column.width or 1)]
            source = source.reshape(len(source), -1)
        for room in rooms(place, rows, target.shape[1]):
            _copy(source, taken, room, target[room.steps, room.offsets])
    return rows


def _slot(array: Array, slot: int) -> Array:
    """The part of an entry that is a slot's: [steps, width, ...], as one long step where there is no other slot."""
    return array[:, slot] if array.shape[1] > 1 else array.reshape(1, -1, *array.shape[3:])


def _copy(source: Array, picked: Picked, room: Room, target: Array) -> None:
    if isinstance(picked, slice):
        target[...] = source[picked.start + room.start : picked.start + room.stop].reshape(target.shape)
    elif target.flags.c_contiguous and target.dtype == source.dtype and target.shape[1:] == source.shape[1:]:
        np.take(source, picked[room.start : room.stop], axis=0, out=target, mode="clip")  # "raise" would copy once more
    else:
        target[...] = source[picked[room.start : room.stop]].reshape(target.shape)


def lists(array: pa.Array, picked: Picked) -> tuple[Array, Array]:
    """Lengths of the picked lists, as Int64, and their values one behind the other."""
    if isinstance(picked, slice):
        taken = array.slice(picked.start, picked.stop - picked.start)
    else:
        taken = array.take(pa.array(picked))
    return pc.list_value_length(taken).to_numpy().astype(np.int64), numbers(taken.flatten())
