"""Values in a contract or a step: from JSON to what a column of a dtype holds."""

from __future__ import annotations

import math
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl

from headrace.schemas.dtypes import dtype_name

_FLOAT32_MAX: Final = 2.0**128 - 2.0**104


def literal(value: bool | int | float | str, dtype: pl.DataType) -> Any:
    """Give the Python value that a column of ``dtype`` would hold.

    A time without a zone is taken in the zone of the column.

    Raises
    ------
    ValueError
        It could not hold it; the message says got and expected.
    """
    try:
        converted = _convert(value, dtype)
    except (ValueError, InvalidOperation, OverflowError):
        converted = None
    if converted is None:
        raise ValueError(f"got {value!r}, expected {_expected(dtype)}")
    return converted


def _convert(value: bool | int | float | str, dtype: pl.DataType) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if dtype.is_integer():
        whole = int(value) if number and value == math.floor(value) else None  # type: ignore[arg-type]
        low, high = integer_range(dtype)
        return whole if whole is not None and low <= whole <= high else None
    if dtype.is_float():
        largest = _FLOAT32_MAX if dtype == pl.Float32 else sys.float_info.max
        return float(value) if number and abs(value) <= largest else None  # type: ignore[arg-type]
    if isinstance(dtype, pl.Decimal):
        exact = Decimal(str(value)) if number or isinstance(value, str) else None
        return exact if exact is not None and exact == round(exact, dtype.scale) else None
    if dtype == pl.Boolean:
        return value if isinstance(value, bool) else None
    if not isinstance(value, str):
        return None
    match dtype:
        case pl.String():
            return value
        case pl.Date():
            return date.fromisoformat(value)
        case pl.Time():
            return time.fromisoformat(value)
        case pl.Datetime(time_zone=zone):
            return _datetime(value, zone)
    return None


def _datetime(value: str, zone: str | None) -> datetime | None:
    moment = datetime.fromisoformat(value)
    if zone is None:
        return moment if moment.tzinfo is None else None
    local = moment.replace(tzinfo=ZoneInfo(zone)) if moment.tzinfo is None else moment.astimezone(ZoneInfo(zone))
    there = local.astimezone(UTC).astimezone(ZoneInfo(zone))
    return local if there.replace(tzinfo=None) == local.replace(tzinfo=None) else None  # clocks skip an hour in spring


def integer_range(dtype: pl.DataType) -> tuple[int, int]:
    """Give the smallest and the largest value of an integer dtype."""
    bits = int("".join(character for character in str(dtype) if character.isdigit()))
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype.is_signed_integer() else (0, 2**bits - 1)


def _expected(dtype: pl.DataType) -> str:
    name = dtype_name(dtype)
    if dtype.is_integer():
        low, high = integer_range(dtype)
        return f"a whole number from {low} to {high} ({name})"
    match dtype:
        case pl.Datetime(time_zone=None):
            return f"ISO 8601 text without a zone, such as '2013-01-31T12:00:00' ({name})"
        case pl.Datetime(time_zone=str(zone)):
            return f"ISO 8601 text of a time that there is in {zone}, such as '2013-01-31T12:00:00' ({name})"
        case pl.Datetime() | pl.Date() | pl.Time():
            return f"ISO 8601 text, such as '2013-01-31' or '2013-01-31T12:00:00' ({name})"
    if dtype.is_nested() or dtype in (pl.Binary, pl.Duration):
        return f"nothing: {name} has no values that a contract can write"
    return f"a value of {name}"
