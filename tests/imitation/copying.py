"""Rows by their position: gather, scatter, slice, choose."""

from __future__ import annotations

import builtins
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pylibcudf.copying import OutOfBoundsPolicy
from pylibcudf.types import TypeId
from tests.imitation.arrays import NUMBERS, Stream, Values, made, numbers, ready
from tests.imitation.column import Column
from tests.imitation.scalar import Scalar
from tests.imitation.table import Table

__all__ = ["OutOfBoundsPolicy", "copy_if_else", "gather", "scatter", "slice"]

ColumnOrTable = TypeVar("ColumnOrTable", Column, Table)


def gather(
    source_table: Table,
    gather_map: Column,
    bounds_policy: OutOfBoundsPolicy,
    stream: Stream | None = None,
    mr: None = None,
) -> Table:
    """The rows at these positions; from the end where they are negative, null outside where NULLIFY says so."""
    ready(stream, mr, source_table=(source_table, Table), gather_map=(gather_map, Column))
    height = source_table.num_rows()
    places, inside = _places(gather_map, height)
    if bounds_policy == OutOfBoundsPolicy.DONT_CHECK and not inside.all():
        raise IndexError("the gather map leaves the table, which nobody checks on the device")
    taken = pa.array(places, mask=~inside)
    return Table([made(c.type(), c._array.take(taken)) for c in source_table.columns()], len(places))


def scatter(
    source: Table, scatter_map: Column, target_table: Table, stream: Stream | None = None, mr: None = None
) -> Table:
    """The target, with row `scatter_map[i]` replaced by row `i` of the source."""
    ready(stream, mr, source=(source, Table), scatter_map=(scatter_map, Column), target_table=(target_table, Table))
    height = target_table.num_rows()
    places, inside = _places(scatter_map, height)
    if len(places) != source.num_rows() or source.num_columns() != target_table.num_columns():
        raise ValueError("the source has another shape than the scatter map and the target")
    if not inside.all() or len(np.unique(places)) < len(places):
        raise IndexError("the scatter map leaves the target or repeats itself: the result is undefined")
    taken = np.arange(height)
    taken[places] = height + np.arange(len(places))
    columns = []
    for new, old in zip(source.columns(), target_table.columns(), strict=True):
        if new.type() != old.type():
            raise TypeError(f"cannot scatter {new.type().id().name} into {old.type().id().name}")
        both = pa.concat_arrays([old._array, new._array])
        columns.append(made(old.type(), both.take(pa.array(taken))))
    return Table(columns, height)


def slice(input: ColumnOrTable, indices: list[int], stream: Stream | None = None) -> list[ColumnOrTable]:
    """The runs of rows between pairs of positions."""
    ready(stream, None)
    ends = list(zip(indices[::2], indices[1::2], strict=True))
    height = input.size() if isinstance(input, Column) else input.num_rows()
    if any(not 0 <= first <= last <= height for first, last in ends):
        raise IndexError(f"{ends} do not lie within {height} rows")
    return [_run(input, first, last) for first, last in ends]


def copy_if_else(
    lhs: Column | Scalar, rhs: Column | Scalar, boolean_mask: Column, stream: Stream | None = None, mr: None = None
) -> Column:
    """`lhs` where the mask is true, `rhs` where it is false or null."""
    ready(stream, mr, boolean_mask=(boolean_mask, Column))
    if lhs.type() != rhs.type():
        raise TypeError(f"cannot choose between {lhs.type().id().name} and {rhs.type().id().name}")
    if boolean_mask.type().id() != TypeId.BOOL8:
        raise TypeError(f"the mask must be BOOL8, got {boolean_mask.type().id().name}")
    for side in (lhs, rhs):
        if isinstance(side, Column) and side.size() != boolean_mask.size():
            raise ValueError(f"the mask has {boolean_mask.size()} rows, a side has {side.size()}")
    sides = [side._array if isinstance(side, Column) else side._arrow() for side in (lhs, rhs)]
    chosen = pc.if_else(pa.array(numbers(boolean_mask)), *sides)
    return made(lhs.type(), chosen)


def _places(positions: Column, height: int) -> tuple[Values, Values]:
    if positions.type().id() not in NUMBERS or positions.null_count():
        raise ValueError(f"positions are integers without nulls, got {positions.type().id().name}")
    places = numbers(positions).astype("i8")
    inside = (places >= -height) & (places < height)
    return np.where(places < 0, places + height, places), inside


def _run(input: ColumnOrTable, first: int, last: int) -> ColumnOrTable:
    if isinstance(input, Column):
        return made(input.type(), input._array[builtins.slice(first, last)])
    return Table([_run(column, first, last) for column in input.columns()], last - first)
