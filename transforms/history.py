"""The rows of one entity in the order of time: what Lag, Diff, TimeSinceLast and Expanding stand on."""

from __future__ import annotations

from typing import Final

import polars as pl

from headrace.engines.engine import Engine
from headrace.engines.kernels.earlier import earlier
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import CATEGORY, Window
from headrace.transforms.columns import Columns

INDEX: Final = "__history_index"
"""The row's place in the frame, which is its place in the source: it orders rows of equal time."""

PLACED: Final = "__history_placed"
"""Whether the row has an entity and a time. Rows without stand apart and do not count for others."""


def numbered(frame: pl.LazyFrame, by: Columns, order: str) -> pl.LazyFrame:
    """The rows with `INDEX` and `PLACED`; `forgotten` takes them off."""
    placed = pl.all_horizontal(pl.col(c).is_not_null() for c in (*by, order))
    return frame.with_row_index(INDEX).with_columns(placed.alias(PLACED))


def forgotten(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The rows without what `numbered` added."""
    return frame.drop(INDEX, PLACED)


def before(value: pl.Expr, n: int, by: Columns, order: str, engine: Engine) -> pl.Expr:
    """The value of the n-th row before, in numbered rows; null where there is none. Not for rows without a place."""
    return earlier(engine, value, n, by.names, order, placed=PLACED, index=INDEX)


def check_entity(step: Window, by: Columns, schema: pl.Schema) -> None:
    """Raise PipelineError unless `by` names columns whose values make an entity."""
    if not len(by):
        raise PipelineError(f"{type(step).__name__}: `by` must name at least one column")
    for column in by:
        if not CATEGORY.test(schema[column]):
            raise PipelineError(
                f"{type(step).__name__}: `by` takes {CATEGORY.words}, got {schema[column]} in column {column!r}"
            )


def check_order(step: Window, order: str, schema: pl.Schema) -> None:
    """Raise PipelineError unless `order` is a number or a time."""
    if not (schema[order].is_numeric() or schema[order].is_temporal()):
        raise PipelineError(
            f"{type(step).__name__} orders by a number or a time, got {schema[order]} in column {order!r}"
        )
