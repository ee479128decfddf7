"""The host side of the imitation: columns as Arrow arrays and NumPy values, and what all functions check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
from pylibcudf.types import DataType, NullOrder, Order, TypeId

if TYPE_CHECKING:
    from tests.imitation.column import Column
    from tests.imitation.table import Table

Values: TypeAlias = np.ndarray[Any, Any]

_ARROW: Final = {
    TypeId.EMPTY: pa.null(),
    TypeId.BOOL8: pa.bool_(),
    TypeId.STRING: pa.string(),
    TypeId.TIMESTAMP_DAYS: pa.date32(),
    TypeId.TIMESTAMP_SECONDS: pa.timestamp("s"),
    TypeId.TIMESTAMP_MILLISECONDS: pa.timestamp("ms"),
    TypeId.TIMESTAMP_MICROSECONDS: pa.timestamp("us"),
    TypeId.TIMESTAMP_NANOSECONDS: pa.timestamp("ns"),
    TypeId.DURATION_SECONDS: pa.duration("s"),
    TypeId.DURATION_MILLISECONDS: pa.duration("ms"),
    TypeId.DURATION_MICROSECONDS: pa.duration("us"),
    TypeId.DURATION_NANOSECONDS: pa.duration("ns"),
}
NUMBERS: Final = {
    TypeId.INT8: np.dtype("i1"),
    TypeId.INT16: np.dtype("i2"),
    TypeId.INT32: np.dtype("i4"),
    TypeId.INT64: np.dtype("i8"),
    TypeId.UINT8: np.dtype("u1"),
    TypeId.UINT16: np.dtype("u2"),
    TypeId.UINT32: np.dtype("u4"),
    TypeId.UINT64: np.dtype("u8"),
    TypeId.FLOAT32: np.dtype("f4"),
    TypeId.FLOAT64: np.dtype("f8"),
}
_DECIMALS: Final = {TypeId.DECIMAL32: 9, TypeId.DECIMAL64: 18, TypeId.DECIMAL128: 38}


class Stream:
    """A CUDA stream, as far as kernels know it."""

    def synchronize(self) -> None:
        """Nothing is ever under way."""


def ready(stream: Stream | None, mr: None, **arguments: tuple[object, type]) -> None:
    """Refuse a call without a stream, with a memory resource, or with something other than the type it must be."""
    if not isinstance(stream, Stream):
        raise TypeError(f"every call must pass on the stream of its frame, got {stream!r}")
    if mr is not None:
        raise TypeError("kernels use the process's memory resource: pass none")
    for name, (value, wanted) in arguments.items():
        if not isinstance(value, wanted):
            raise TypeError(f"{name} must be a {wanted.__name__}, got {type(value).__name__}")


def arrow_type(dtype: DataType) -> pa.DataType:
    """The Arrow type of a column's values; lists and structs have none of their own."""
    if dtype.id() in NUMBERS:
        return pa.from_numpy_dtype(NUMBERS[dtype.id()])
    if dtype.id() in _DECIMALS:
        return pa.decimal128(_DECIMALS[dtype.id()], -dtype.scale())
    return _ARROW[dtype.id()]


def physical(dtype: DataType) -> np.dtype[Any]:
    """How a type of fixed width is stored."""
    if dtype.id() in NUMBERS:
        return NUMBERS[dtype.id()]
    if dtype.id() == TypeId.BOOL8:
        return np.dtype("?")
    if dtype.id() in (TypeId.TIMESTAMP_DAYS, TypeId.DURATION_DAYS):
        return np.dtype("i4")
    if dtype.id().name.startswith(("TIMESTAMP_", "DURATION_")):
        return np.dtype("i8")
    raise TypeError(f"{dtype.id().name} has no fixed width here")


def made(dtype: DataType, array: pa.Array) -> Column:
    """A column of these values."""
    from tests.imitation.column import Column

    if not pa.types.is_nested(array.type) and array.type != arrow_type(dtype):
        raise TypeError(f"{array.type} is no array of {dtype.id().name}")
    column = Column.__new__(Column)
    column._type, column._array = dtype, array
    return column


def numbers(column: Column) -> Values:
    """The stored values of a column of fixed width, 0 where they are null."""
    array, stored = column._array, physical(column.type())
    if stored == np.dtype("?"):
        filled: Values = array.fill_null(False).to_numpy(zero_copy_only=False)
        return filled
    whole = array.view(pa.from_numpy_dtype(stored))
    values: Values = whole.fill_null(0).to_numpy(zero_copy_only=False)
    return values


def valid(column: Column) -> Values:
    mask: Values = column._array.is_valid().to_numpy(zero_copy_only=False)
    return mask


def from_numbers(dtype: DataType, values: Values, known: Values | None = None) -> Column:
    """A column of stored values, null where they are not known."""
    values = np.ascontiguousarray(values, dtype=physical(dtype))
    mask = None if known is None else ~np.asarray(known, dtype=bool)
    array = pa.array(values, mask=mask)
    return made(dtype, array if array.type == arrow_type(dtype) else array.view(arrow_type(dtype)))


def ranks(tables: Sequence[Table], orders: Sequence[Order], nulls: Sequence[NullOrder]) -> list[Values]:
    """A number per row of each table that sorts as libcudf sorts the rows of all of them together.

    NaN is above all numbers and equal to itself, strings go by their bytes, nulls where `nulls` says, and a descending
    order turns all of that around.
    """
    width = tables[0].num_columns()
    if len(orders) != width or len(nulls) != width:
        raise ValueError(f"{width} columns need as many orders and null orders, got {len(orders)} and {len(nulls)}")
    heights = [table.num_rows() for table in tables]
    combined = np.zeros(sum(heights), dtype="i8")
    for place, (order, null) in enumerate(zip(orders, nulls, strict=True)):
        columns = [table.columns()[place] for table in tables]
        if len({column.type() for column in columns}) > 1:
            raise TypeError(f"column {place} has different types: {[c.type().id().name for c in columns]}")
        rank = _rank(columns, null)
        rank = -rank if order == Order.DESCENDING else rank
        together = combined * (2 * len(rank) + 2) + rank + len(rank)  # a rank is at most len(rank) away from 0
        combined = np.unique(together, return_inverse=True)[1].reshape(-1)
    return list(np.split(combined, np.cumsum(heights)[:-1]))


def _rank(columns: Sequence[Column], null: NullOrder) -> Values:
    if columns[0].type().id() == TypeId.STRING:
        values = np.concatenate([c._array.fill_null("").to_numpy(zero_copy_only=False) for c in columns])
    else:
        values = np.concatenate([numbers(c) for c in columns])
    known = np.concatenate([valid(c) for c in columns])
    rank: Values = np.unique(values, return_inverse=True)[1].reshape(-1).astype("i8")
    rank[~known] = -1 if null == NullOrder.BEFORE else len(rank)
    return rank
