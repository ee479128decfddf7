"""A constant of a column's own type: what a value in a step means for the column it meets."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import polars as pl
from pydantic import BeforeValidator

Value = Annotated[
    bool | int | float | str,
    BeforeValidator(lambda value: value.isoformat() if isinstance(value, (date, datetime)) else value),
]
"""A constant as it stands in YAML and JSON; dates and times as ISO 8601 text."""


def integer_range(dtype: pl.DataType) -> tuple[int, int]:
    """The smallest and the largest value of an integer type."""
    bits = int("".join(c for c in str(dtype) if c.isdigit()))
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if dtype.is_signed_integer() else (0, (1 << bits) - 1)


def literal(value: bool | int | float | str, dtype: pl.DataType) -> Any:
    """The value as Python's object for `dtype`, which holds it exactly (floats: to that type's precision).

    Raises
    ------
    ValueError
        A value that the type cannot hold; the text says why.
    """
    match dtype:
        case pl.Boolean() if isinstance(value, bool):
            return value
        case pl.String() if isinstance(value, str):
            return value
        case pl.Date() if isinstance(value, str):
            return date.fromisoformat(value)
        case pl.Datetime() if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            if dtype.time_zone is None and moment.tzinfo is not None:
                raise ValueError(f"{value} has a time zone and {dtype} has none")
            if dtype.time_zone is not None and moment.tzinfo is None:
                moment = moment.replace(tzinfo=ZoneInfo(dtype.time_zone))
            return moment
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if dtype.is_float():
            return float(value)
        if dtype.is_integer() and (isinstance(value, int) or value.is_integer()):
            lowest, highest = integer_range(dtype)
            if lowest <= value <= highest:
                return int(value)
            raise ValueError(f"{value} is outside the range of {dtype}, which is {lowest} to {highest}")
    raise ValueError(f"{value!r} is no value of {dtype}")


def lit(value: bool | int | float | str, dtype: pl.DataType) -> pl.Expr:
    """The value as an expression of exactly that type."""
    return pl.lit(literal(value, dtype), dtype=dtype)
