"""Kernel `lookup`: the position of each value in a vocabulary.

Contract: `output` (Int32) is `first` plus the index of the row of `vocabulary` whose `value` equals the column;
`missing` where the value is not there, `null` where the column is null (both null unless given). `value` is unique and
not null, of the column's dtype. Rows keep their number and order.
"""

from __future__ import annotations

import threading
import weakref
from typing import Final

import polars as pl

_VALUE: Final = "__vocabulary_value"
_INDEX: Final = "__vocabulary_index"


def cpu(
    frame: pl.LazyFrame,
    column: str,
    vocabulary: pl.DataFrame,
    output: str,
    *,
    first: int = 0,
    missing: int | None = None,
    null: int | None = None,
) -> pl.LazyFrame:
    """Look values up: strings in the hash index of an Enum (4x faster than a join), all else by a left join.

    The Enum lives inside this expression only; what leaves it is an Int32. All is one expression, so that Polars runs
    the lookups of many columns side by side.
    """
    value = pl.col(column)
    if vocabulary.height == 0:
        index = pl.lit(None, pl.Int32)
    elif vocabulary.schema["value"] == pl.String:
        index = value.cast(_enum(vocabulary), strict=False).to_physical().cast(pl.Int32)
    else:
        return join(frame, column, vocabulary, output, first=first, missing=missing, null=null)
    return frame.with_columns(_ids(value, index, first, missing, null).alias(output))


def join(
    frame: pl.LazyFrame,
    column: str,
    vocabulary: pl.DataFrame,
    output: str,
    *,
    first: int = 0,
    missing: int | None = None,
    null: int | None = None,
) -> pl.LazyFrame:
    """The same by a left join, for values of any type."""
    table = vocabulary.select(pl.col("value").alias(_VALUE)).with_row_index(_INDEX).lazy()
    joined = frame.join(table, left_on=column, right_on=_VALUE, how="left", maintain_order="left")
    ids = _ids(pl.col(column), pl.col(_INDEX).cast(pl.Int32), first, missing, null)
    return joined.with_columns(ids.alias(output)).drop(_INDEX)


def stand_in(frame: pl.LazyFrame, column: str, output: str) -> pl.LazyFrame:
    """A column of the kernel's output type, for the translation check."""
    return frame.with_columns(pl.col(column).is_null().cast(pl.Int32).alias(output))


def _ids(value: pl.Expr, index: pl.Expr, first: int, missing: int | None, null: int | None) -> pl.Expr:
    ids = index + pl.lit(first, pl.Int32) if first else index
    if missing is not None:
        ids = ids.fill_null(pl.lit(missing, pl.Int32))
    if missing is not None or null is not None:
        ids = pl.when(value.is_null()).then(pl.lit(null, pl.Int32)).otherwise(ids)
    return ids


# The hash index of an Enum costs as much as looking a partition up; a process builds one per vocabulary. It is built
# when the type is handed to Polars' core, so it is that form of it that is kept.
_enums: dict[int, pl.DataTypeExpr] = {}
_BUILDING: Final = threading.Lock()


def _enum(vocabulary: pl.DataFrame) -> pl.DataTypeExpr:
    key = id(vocabulary)
    with _BUILDING:  # by one of the threads that want it
        if key not in _enums:
            _enums[key] = pl.Enum(vocabulary["value"]).to_dtype_expr()
            weakref.finalize(vocabulary, _enums.pop, key, None)
        return _enums[key]
