"""Awkward rows for columns of any types: made from a user's own rows, with the values at the edges of each type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import polars as pl

from headrace.transforms.literal import integer_range

ROWS: Final = 24
"""How many rows of edges there are: enough for each value to meet others."""

_OWN: Final = 3
"""How many of the user's own values stand among the edges of each column."""


def frames_of(rows: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    """The rows given, and awkward ones with the same columns: one, none, all null, constant, and the edges."""
    nulls = pl.DataFrame({name: [None] * 3 for name in rows.columns}, schema=rows.schema)
    constant = rows if rows.height < 2 else pl.concat([rows.head(1)] * 3)
    return {
        "many rows": rows,
        "one row": rows.head(1),
        "no rows": rows.clear(),
        "all null": nulls,
        "constant": constant,
        "fractions": _fractions(rows),
        "edges": pl.DataFrame([_column(rows[name], place) for place, name in enumerate(rows.columns)]),
    }


def _fractions(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows, over and over, with floats of which no sum is exact: their order shows in the last digit."""
    many = pl.concat([rows] * (1 + ROWS // max(rows.height, 1))).head(ROWS)
    sevenths = pl.Series([0.1 + n * n / 7 for n in range(many.height)])
    return many.with_columns(sevenths.cast(t).alias(c) for c, t in many.schema.items() if t.is_float())


def _column(own: pl.Series, place: int) -> pl.Series:
    """A cycle of a column's own values, null and the edges of its type; each cycle begins elsewhere, so that values
    of two columns meet in many ways."""
    edges = edge_values(own.dtype)
    kept = own.head(_OWN)
    values = [*kept.to_list(), None, *edges] if not isinstance(own.dtype, pl.Datetime) else [None, *edges]
    if isinstance(own.dtype, pl.Datetime):
        naive = pl.Series(own.name, values, pl.Datetime(own.dtype.time_unit))
        zone = own.dtype.time_zone
        series = naive.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else naive
        series = pl.concat([kept, series])
    else:
        series = pl.Series(own.name, values, own.dtype)
    return series.gather([(n + place * (1 + n // len(series))) % len(series) for n in range(ROWS)])


def edge_values(dtype: pl.DataType) -> list[Any]:
    """The values at the edges of a type: extremes, what is not finite, what a float cannot hold; none where unknown."""
    match dtype:
        case pl.Float32() | pl.Float64():
            large = 1e300 if dtype == pl.Float64 else 1e38
            return [math.nan, math.inf, -math.inf, 0.0, -0.0, large, -large, 1e-30]
        case pl.Boolean():
            return [True, False]
        case pl.String():
            return ["", "a", "A", "é", "日本", " "]
        case pl.Date():
            return [date(1969, 12, 31), date(2024, 2, 29), date(1900, 1, 1)]
        case pl.Datetime():
            return [datetime(1969, 12, 31, 23, 59), datetime(2024, 2, 29), datetime(2013, 11, 3, 5, 30)]
        case pl.Time():
            return [time(0), time(23, 59, 59)]
        case pl.Duration():
            return [timedelta(0), timedelta(days=-1), timedelta(days=400)]
        case pl.List():
            inner = edge_values(dtype.inner)  # type: ignore[arg-type]
            return [[], [None], inner, inner[:1]]
        case _ if dtype.is_integer():
            lowest, highest = integer_range(dtype)
            return [lowest, highest, 0, 1, *(n for n in (2**53, 2**53 + 1) if n < highest)]
        case _:
            return []
