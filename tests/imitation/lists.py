"""Functions of columns of lists."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pylibcudf.copying import OutOfBoundsPolicy
from pylibcudf.types import DataType, TypeId
from tests.imitation.arrays import NUMBERS, Stream, Values, from_numbers, made, numbers, ready, valid
from tests.imitation.column import Column
from tests.imitation.scalar import Scalar
from tests.imitation.table import Table

_INT32 = DataType(TypeId.INT32)
_LIST = DataType(TypeId.LIST)


def count_elements(input: Column, stream: Stream | None = None, mr: None = None) -> Column:
    """How many elements each list has, null for a null list."""
    ready(stream, mr, input=(input, Column))
    known = valid(input)
    return from_numbers(_INT32, np.where(known, np.diff(_offsets(input)), 0), known)


def sequences(
    starts: Column, sizes: Column, steps: Column | None = None, stream: Stream | None = None, mr: None = None
) -> Column:
    """Lists of whole numbers from `starts` up by one, as many as `sizes` says."""
    ready(stream, mr, starts=(starts, Column), sizes=(sizes, Column))
    if steps is not None:
        raise NotImplementedError("steps other than one")
    if starts.null_count() or sizes.null_count() or {starts.type().id(), sizes.type().id()} - set(NUMBERS):
        raise TypeError("starts and sizes are integers without nulls")
    if starts.size() != sizes.size() or (numbers(sizes) < 0).any():
        raise ValueError("starts and sizes differ in length, or a size is negative: the result is undefined")
    values = [first + np.arange(size) for first, size in zip(numbers(starts), numbers(sizes), strict=True)]
    return _lists(from_numbers(starts.type(), _joined(values)), [len(v) for v in values])


def segmented_gather(
    input: Column,
    gather_map_list: Column,
    bounds_policy: OutOfBoundsPolicy = OutOfBoundsPolicy.DONT_CHECK,
    stream: Stream | None = None,
    mr: None = None,
) -> Column:
    """The elements at the places that each list of the map names; which rows are null then is not documented: none."""
    ready(stream, mr, input=(input, Column), gather_map_list=(gather_map_list, Column))
    if bounds_policy != OutOfBoundsPolicy.DONT_CHECK:
        raise NotImplementedError(bounds_policy.name)
    if gather_map_list.null_count() or gather_map_list.size() != input.size():
        raise ValueError("the map is a list for each row, none of them null")
    sizes = np.diff(_offsets(input))
    wanted = gather_map_list._array.to_pylist()
    if any(not -size <= place < size for size, row in zip(sizes, wanted, strict=True) for place in row):
        raise IndexError("the map leaves a list, which nobody checks on the device")
    places = [
        first + place % size
        for first, size, row in zip(_offsets(input)[:-1], sizes, wanted, strict=True)
        for place in row
    ]
    values = input.list_view().child()
    taken = made(values.type(), values._array.take(pa.array(places, pa.int64())))
    return _lists(taken, [len(row) for row in wanted])


def contains(input: Column, search_key: Column | Scalar, stream: Stream | None = None, mr: None = None) -> Column:
    """Whether each list holds the key: null for a null list, and for one with nulls in it that does not hold the key.

    Whether the latter is null is not documented in every version.
    """
    ready(stream, mr, input=(input, Column), search_key=(search_key, Scalar))
    assert isinstance(search_key, Scalar)
    values = input.list_view().child()
    if search_key.type() != values.type():
        raise TypeError(f"a key of {search_key.type().id().name} among elements of {values.type().id().name}")
    key = search_key._arrow().as_py()
    found = [
        None if row is None else key in row or (None if None in row else False) for row in input._array.to_pylist()
    ]
    return made(DataType(TypeId.BOOL8), pa.array(found, pa.bool_()))


def concatenate_rows(input: Table, stream: Stream | None = None, mr: None = None) -> Column:
    """The lists of a row, one behind the other; null lists are left out, a row of null lists only is null."""
    ready(stream, mr, input=(input, Table))
    first, *others = input.columns()
    if any(column._array.type.value_type != first._array.type.value_type for column in others):
        raise TypeError("lists of different types")
    rows = zip(*(column._array.to_pylist() for column in input.columns()), strict=True)
    joined = [
        None if all(part is None for part in row) else [e for part in row if part is not None for e in part]
        for row in rows
    ]
    return made(_LIST, pa.array(joined, pa.list_(first._array.type.value_type)))


def explode_outer(input: Table, explode_column_idx: int, stream: Stream | None = None, mr: None = None) -> Table:
    """A row for each element, the other columns repeated; a null element for an empty or null list.

    What a null list is over is not documented to be left out: here it is not.
    """
    ready(stream, mr, input=(input, Table), explode_column_idx=(explode_column_idx, int))
    lists = input.columns()[explode_column_idx]
    sizes, first = np.diff(_offsets(lists)), _offsets(lists)[:-1]
    rows = np.repeat(np.arange(len(sizes)), np.maximum(sizes, 1))
    places = [
        place for begin, size in zip(first, sizes, strict=True) for place in (range(begin, begin + size) or [None])
    ]
    values = lists.list_view().child()
    exploded = made(values.type(), values._array.take(pa.array(places, pa.int64())))
    return Table(
        [
            exploded if number == explode_column_idx else made(column.type(), column._array.take(pa.array(rows)))
            for number, column in enumerate(input.columns())
        ],
        len(rows),
    )


def _offsets(column: Column) -> Values:
    return numbers(column.list_view().offsets()).astype("i8")


def _lists(values: Column, sizes: list[int]) -> Column:
    offsets = from_numbers(_INT32, np.concatenate([[0], np.cumsum(sizes, dtype="i8")]))
    return Column(_LIST, len(sizes), None, None, 0, 0, [offsets, values])


def _joined(parts: list[Values]) -> Values:
    return np.concatenate([np.zeros(0, "i8"), *parts])
