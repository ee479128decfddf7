"""Spans of time in the units that columns of times count in."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

_UNITS: Final = {"ms": timedelta(milliseconds=1), "us": timedelta(microseconds=1)}


def ticks(span: timedelta, dtype: pl.DataType) -> int:
    """How many whole units of a Date or Datetime fit into a span.

    Two times of that dtype are at most `span` apart exactly if they are at most that many units apart.
    """
    if dtype == pl.Date:
        return span // timedelta(days=1)
    if not isinstance(dtype, pl.Datetime):
        raise TypeError(f"a time must be a Date or a Datetime, got {dtype}")
    if dtype.time_unit == "ns":
        return span // timedelta(microseconds=1) * 1000
    return span // _UNITS[dtype.time_unit]
