"""Lengths of time as people write them, and the calendar periods that folds are cut by."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final, NamedTuple

import polars as pl
from pydantic import BeforeValidator, PlainSerializer

from headrace.engines.utc import utc

_UNITS: Final = {
    "us": timedelta(microseconds=1),
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_PART: Final = re.compile(r"(\d+)(us|ms|[smhdw])")
_PERIOD: Final = re.compile(r"(\d+)(mo|[hdwqy])")
_MONTHS: Final = {"mo": 1, "q": 3, "y": 12}
_DAY: Final = 86_400_000_000


def parse_duration(value: Any) -> timedelta:
    """Read `"7d"`, `"1h30m"`, `"500ms"` or a timedelta; longer than nothing, `"0"` apart.

    Units are us, ms, s, m (minutes), h, d (24 hours) and w. Months and years have no fixed length and are refused.

    >>> parse_duration("1h30m")
    datetime.timedelta(seconds=5400)

    Raises
    ------
    ValueError
        Anything else; the message says what is expected.
    """
    if isinstance(value, timedelta):
        if value < timedelta(0):
            raise ValueError(f"got the negative duration {format_duration(-value)!r} x -1, expected one of 0 or more")
        return value
    text = value.replace(" ", "") if isinstance(value, str) else ""
    if text == "0":
        return timedelta(0)
    if not text or _PART.sub("", text):
        raise ValueError(f"got {value!r}, expected a duration such as '7d', '1h30m' or '500ms'")
    try:
        return sum((int(number) * _UNITS[unit] for number, unit in _PART.findall(text)), timedelta(0))
    except OverflowError:
        raise ValueError(f"got {value!r}, expected a duration of at most {timedelta.max.days} days") from None


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back, in days and smaller units.

    >>> format_duration(timedelta(hours=36))
    '1d12h'
    """
    rest, text = value, ""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        number, rest = divmod(rest, _UNITS[unit])
        text += f"{number}{unit}" if number else ""
    return text or "0"


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]
"""A field that holds a timedelta and is written as text."""


class Period(NamedTuple):
    """A run of the calendar: so many months, or so many microseconds."""

    months: int
    microseconds: int

    def number(self, column: str, dtype: pl.DataType) -> pl.Expr:
        """The number of the period (Int64) that a Date or Datetime falls in; later periods have greater numbers.

        The calendar is that of UTC for columns with a zone. Weeks begin on Monday, other runs at 1970-01-01. Null
        stays null. Made of what both engines run: no truncation, no offsets.
        """
        time = utc(column, dtype)
        if self.months:
            month = time.dt.year().cast(pl.Int64) * 12 + time.dt.month().cast(pl.Int64) - 1
            return month // self.months
        moment = time.cast(pl.Datetime("us")).cast(pl.Int64)
        if self.microseconds % (7 * _DAY) == 0:
            moment = moment + 3 * _DAY  # 1970-01-01 is a Thursday
        return moment // self.microseconds


def parse_period(text: str) -> Period:
    """Read a calendar period: `"1mo"`, `"1q"`, `"1y"`, `"2w"`, `"1d"`, `"6h"`.

    Raises
    ------
    ValueError
        Anything else; the message says what is expected.
    """
    match = _PERIOD.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"got {text!r}, expected a calendar period such as '1mo', '1q', '1y', '2w', '1d' or '6h'")
    number, unit = int(match[1]), match[2]
    months, microseconds = number * _MONTHS.get(unit, 0), 0
    if unit in _UNITS:
        microseconds = number * (_UNITS[unit] // timedelta(microseconds=1))
    if max(months, microseconds) >= 1 << 63:
        raise ValueError(f"got {text!r}, expected a calendar period of less than 292,000 years")
    return Period(months, microseconds)
