"""Columns: an Arrow array under libcudf's type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from pylibcudf.types import DataType, TypeId
from tests.imitation.arrays import Stream, made, ready, valid
from tests.imitation.scalar import Scalar


class Column:
    """A column; made by functions, or of two children, which a list is."""

    _type: DataType
    _array: pa.Array

    def __init__(
        self,
        data_type: DataType,
        size: int,
        data: None,
        mask: None,
        null_count: int,
        offset: int,
        children: Iterable[Column],
        validate: bool = True,
    ) -> None:
        if data_type.id() != TypeId.LIST or (data, mask, null_count, offset) != (None, None, 0, 0):
            raise NotImplementedError("only lists without nulls are made of their children")
        offsets, values = children
        array = pa.ListArray.from_arrays(offsets._array, values._array)
        if len(array) != size:
            raise ValueError(f"{len(offsets._array)} offsets make no column of {size} lists")
        self._type, self._array = data_type, array

    def type(self) -> DataType:
        return self._type

    def size(self) -> int:
        return len(self._array)

    def null_count(self) -> int:
        count: int = self._array.null_count
        return count

    def with_mask(self, mask: Any, null_count: int, validate: bool = True) -> Column:
        """The same values under another mask, as `null_mask` gives it."""
        known = np.asarray(mask, dtype=bool)
        if len(known) != self.size() or np.count_nonzero(~known) != null_count:
            raise ValueError(f"the mask has {len(known)} bits and {np.count_nonzero(~known)} nulls")
        places = pa.array(np.arange(len(known)), mask=~(known & valid(self)))
        return made(self._type, self._array.take(places))

    def copy(self, stream: Stream | None = None, mr: None = None) -> Column:
        """The same rows, and nothing of what a slice is cut from."""
        ready(stream, mr)
        return made(self._type, self._array.take(pa.array(np.arange(self.size()))))

    def list_view(self) -> ListsColumnView:
        return ListsColumnView(self)

    @staticmethod
    def from_scalar(scalar: Scalar, size: int, /, stream: Stream | None = None, mr: None = None) -> Column:
        """A scalar as often as asked for; its parameter is called otherwise in the stub than in the module."""
        ready(stream, mr, scalar=(scalar, Scalar), size=(size, int))
        return made(scalar.type(), pa.repeat(scalar._arrow(), size))

    @staticmethod
    def all_null_like(like: Column, size: int, stream: Stream | None = None, mr: None = None) -> Column:
        ready(stream, mr, like=(like, Column), size=(size, int))
        return made(like.type(), pa.nulls(size, like._array.type))


class ListsColumnView:
    """The two columns that a list column is."""

    def __init__(self, column: Column) -> None:
        if column.type().id() != TypeId.LIST:
            raise TypeError(f"a column of {column.type().id().name} has no list view")
        self._column = column

    def child(self) -> Column:
        return _typed(self._column._array.values)

    def offsets(self) -> Column:
        return _typed(self._column._array.offsets)

    def get_sliced_child(self, stream: Stream | None = None) -> Column:
        """The items of the lists of a slice, of which `child` has those of all rows."""
        ready(stream, None)
        if not self._column.size():
            raise IndexError("the offsets of a column without rows may be empty: libcudf would read behind them")
        return _typed(self._column._array.flatten())


def _typed(array: pa.Array) -> Column:
    if pa.types.is_nested(array.type):
        return made(DataType(TypeId.LIST), array)
    return made(DataType.from_arrow(array.type), array)
