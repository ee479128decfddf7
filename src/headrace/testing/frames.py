"""The awkward columns that operators are tried on, and the tables for those that join."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import polars as pl

from headrace.transforms.table import Table

_TYPES: Final[Mapping[str, pl.DataType]] = {
    "number": pl.Float64(),
    "constant": pl.Float64(),
    "nothing": pl.Float64(),
    "odd": pl.Float64(),
    "single": pl.Float32(),
    "whole": pl.Int64(),
    "big": pl.Int64(),
    "small": pl.Int8(),
    "flag": pl.Boolean(),
    "text": pl.String(),
    "city": pl.String(),
    "empty_text": pl.String(),
    "day": pl.Date(),
    "moment": pl.Datetime("us"),
    "zoned": pl.Datetime("us", "America/New_York"),
    "visits": pl.List(pl.Int16),
    "scores": pl.List(pl.Float32),
    "words": pl.List(pl.String),
}

SCHEMA: Final = pl.Schema(_TYPES)
NAN, INF = math.nan, math.inf


def row_of(n: int) -> dict[str, Any]:
    return {
        "number": [1.5, -2.25, 0.0, 1e-3, None, 7.0, 3.5, 100.0][n % 8],
        "constant": 3.0,
        "nothing": None,
        "odd": [NAN, INF, -INF, None, 0.0, -0.0, 1e300, -1e300][n % 8],
        "single": [0.1, NAN, None, -3.0, 1e30, INF, 2.0, 2.5][n % 8],
        "whole": [3, 1, None, 2, 2, 9, 4, 100][n % 8],
        "big": [2**53 + 1, 2**53, 2**63 - 1, -(2**63), None, 0, 1, -1][n % 8],
        "small": [127, -128, 0, None, 1, 2, 3, 4][n % 8],
        "flag": [True, None, False, True][n % 4],
        "text": ["a", "", None, "é", "日本", "b", "a", "A"][n % 8],
        "city": ["x", "y", "x", None][n % 4],
        "empty_text": None,
        "day": [date(1969, 12, 31), date(2024, 2, 29), None, date(2013, 12, 30)][n % 4],
        "moment": [datetime(2013, 7, 1, 0, 30), None, datetime(1969, 12, 31, 23, 59), datetime(2024, 12, 30)][n % 4],
        "zoned": None if n % 4 == 3 else datetime(2013, 1 + n % 8, 1, 5, 15),
        "visits": [[3, None, -2], [], None, [1, 2, 3, 4]][n % 4],
        "scores": [[NAN, 1.5], [INF, -INF], [None], [], None, [NAN], [0.1, 0.2, 0.3], [-0.0]][n % 8],
        "words": [["a"], ["é", None, ""], None, []][n % 4],
    }


def frame_of(rows: Sequence[int]) -> pl.DataFrame:
    plain = pl.Schema({n: pl.Datetime("us") if n == "zoned" else t for n, t in SCHEMA.items()})
    frame = pl.DataFrame([row_of(n) for n in rows], schema=plain)
    zone = pl.col("zoned").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    return frame.with_columns(zone)


FRAMES: Final[Mapping[str, pl.DataFrame]] = {
    "many rows": frame_of(range(24)),
    "one row": frame_of([0]),
    "no rows": frame_of([]),
    "all null": pl.DataFrame({name: [None] * 3 for name in SCHEMA}, schema=SCHEMA),
}

TABLES: Final[Mapping[str, Table]] = {
    "cities": Table(pl.DataFrame({"city": ["x", "y"], "people": [10, 20]})),
    "weather": Table(
        pl.DataFrame(
            {"city": ["x", "x"], "moment": [datetime(1960, 1, 1), datetime(2013, 7, 1)], "wind": [1.0, 2.0]},
            schema_overrides={"moment": pl.Datetime("us")},
        )
    ),
}
