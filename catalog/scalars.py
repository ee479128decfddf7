"""Scalars of each column: how many values are null, NaN or infinite, the extremes of the others, and their moments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from headrace.engines.engine import Engine, Held

Row = dict[str, Any]
"""What is known of a column, by name: nulls, nans, infinities, min, max, mean, var, and bytes of the longest text."""


def finite(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Whether a value enters min to top."""
    return column.is_finite() if dtype.is_float() else column.is_not_null()


def measure_scalars(rows: Held, engine: Engine) -> dict[str, Row]:
    """Scalars by column.

    Cost: one pass, a second over float columns that hold NaN, infinities or numbers too large to sum. Of the rows only
    columns of type Array are copied to the host: cudf-polars passes them through, and no more.
    """
    schema = dict(rows.schema)
    plain = {name: dtype for name, dtype in schema.items() if not isinstance(dtype, pl.Array)}
    found = _reduce(rows, {name: _reductions(pl.col(name), dtype) for name, dtype in plain.items()}, engine)
    sums = {name: found[name]["mean"] or 0.0 for name, dtype in plain.items() if dtype.is_float()}
    again = [name for name, mean in sums.items() if not math.isfinite(mean)]
    for name, row in _reduce(rows, {name: _of_finite(pl.col(name), schema[name]) for name in again}, engine).items():
        found[name] |= row
    arrays = [name for name in schema if name not in plain]
    if arrays:
        [copied] = engine.collect([rows.lazy().select(arrays)])
        found |= {name: {"nulls": copied[name].null_count()} for name in arrays}
    return found


def _reductions(column: pl.Expr, dtype: pl.DataType) -> Iterator[tuple[str, pl.Expr]]:
    yield "nulls", column.null_count()
    if dtype.is_numeric() or dtype == pl.String:
        yield from _of_values(column, dtype)
    if dtype == pl.String:
        yield "bytes", column.str.len_bytes().max()


def _of_values(column: pl.Expr, dtype: pl.DataType) -> Iterator[tuple[str, pl.Expr]]:
    yield "min", column.min()
    yield "max", column.max()
    if dtype.is_numeric():
        exact = column.cast(pl.Float64) if dtype == pl.Float32 else column  # Float32 would be rounded
        yield "mean", exact.mean()
        yield "var", exact.var(ddof=0)


def _of_finite(column: pl.Expr, dtype: pl.DataType) -> Iterator[tuple[str, pl.Expr]]:
    yield "nans", column.is_nan().cast(pl.Int64).sum()
    yield "infinities", column.is_infinite().cast(pl.Int64).sum()
    yield from _of_values(pl.when(column.is_finite()).then(column), dtype)


def _reduce(rows: Held, wanted: Mapping[str, Iterable[tuple[str, pl.Expr]]], engine: Engine) -> dict[str, Row]:
    # By number: a name may hold anything.
    numbers = {str(number): name for number, name in enumerate(wanted)}
    query = [expr.alias(f"{number}.{what}") for number, name in numbers.items() for what, expr in wanted[name]]
    by_column: dict[str, Row] = {name: {} for name in wanted}
    if query:
        [found] = engine.collect([rows.lazy().select(query)])
        for key, value in found.row(0, named=True).items():
            number, what = key.split(".")
            by_column[numbers[number]][what] = value
    return by_column
