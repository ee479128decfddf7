"""Columns that Arrow decodes, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.catalog.loader.columns import Column
from headrace.catalog.loader.plan import Picked
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


def span(picked: Picked) -> tuple[int, int]:
    """The first of the rows that are picked, and the one behind the last."""
    return (picked.start, picked.stop) if isinstance(picked, slice) else (int(picked.min()), int(picked.max()) + 1)


def lists(array: pa.Array, picked: Picked) -> tuple[Array, Array]:
    """Lengths of the picked lists, as Int64, and their values one behind the other."""
    if isinstance(picked, slice):
        taken = array.slice(picked.start, picked.stop - picked.start)
    else:
        taken = array.take(pa.array(picked))
    return numbers(pc.list_value_length(taken)).astype(np.int64), numbers(taken.flatten())
