"""Times in zones as their clocks show them, and constants of time to the microsecond.

cudf-polars takes the parts of a time with a zone in UTC. To take its zone away it looks up libcudf's table of
transitions, whose second half, the rules of today for the 400 years from 1970 on, overlaps the first, with one binary
search over both: a clock in New York is an hour off for some weeks of each year before 2007. To read clocks in a zone
it uses the same table. Here the transitions are those of Polars, so that both engines show and read the same.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal

import polars as pl
from cudf_polars.containers import DataType
from cudf_polars.dsl import expr
from pylibcudf.binaryop import BinaryOperator as Op

from headrace.engines.gpu.dialect.once import Once, given, kind

Name = expr.TemporalFunction.Name

_PARTS: Final = frozenset(
    (Name.Century, Name.Date, Name.Day, Name.DaysInMonth, Name.Hour, Name.IsLeapYear, Name.IsoYear, Name.Microsecond,
     Name.Millennium, Name.Millisecond, Name.Minute, Name.Month, Name.Nanosecond, Name.OrdinalDay, Name.Quarter,
     Name.Second, Name.Week, Name.WeekDay, Name.Year)
)  # fmt: skip
_OF_THE_INSTANT: Final = frozenset((Name.CastTimeUnit, Name.ConvertTimeZone, Name.TimeStamp))
_FIRST, _LAST = datetime(1800, 1, 1), datetime(2250, 1, 1)
_EPOCH: Final = datetime(1970, 1, 1)


def temporal(node: expr.TemporalFunction) -> expr.Expr:
    """The function as Polars means it.

    Raises
    ------
    NotImplementedError
        One of times with a zone that is neither a part of the clock's time nor the same whatever the zone.
    """
    zone = _zone(node.children[0])
    if node.name == Name.ReplaceTimeZone:
        return _replaced(node, zone)
    if zone is None or node.name in _OF_THE_INSTANT:
        return node
    if node.name in _PARTS:
        return node.reconstruct([local(node.children[0], zone), *node.children[1:]])
    raise NotImplementedError(f"{node.name.name} of times in {zone}: cuDF takes them in UTC")


def local(time: expr.Expr, zone: str) -> expr.Expr:
    """What a clock in the zone shows, as a time without a zone."""
    plain = DataType(pl.Datetime(kind(time).time_unit))
    return _moved(plain, Op.ADD, time, *transitions(zone))


def instant(node: expr.TemporalFunction, clock: expr.Expr) -> expr.Expr:
    """The instant at which clocks in the node's zone show a time; null where there is none, or two and so the rule.

    Raises
    ------
    NotImplementedError
        Where there is none, or two, an error is asked for, or another rule in each row.
    """
    zone, missing = node.options
    ambiguous = getattr(node.children[1], "value", None)
    if missing != "null" or ambiguous not in ("earliest", "latest", "null"):
        raise NotImplementedError(
            f"times of clocks in {zone}, with an error for those that there are not, or twice: say what they become"
        )
    return _moved(node.dtype, Op.SUB, clock, *readings(zone, ambiguous))


def _moved(dtype: DataType, by: Any, time: expr.Expr, starts: pl.Series, ahead: pl.Series) -> expr.Expr:
    """A time moved by what holds from the last of `starts` at or before it on: `ahead` has one more, the first."""
    unit = kind(time).time_unit
    x = given(time.dtype)
    place = expr.UnaryFunction(
        DataType(pl.UInt32()), "search_sorted", ("right", False), _column(starts.cast(pl.Datetime(unit))), x
    )
    offset = expr.Gather(DataType(pl.Duration(unit)), _column(ahead.cast(pl.Duration(unit))), place)
    return Once(dtype, expr.BinOp(dtype, by, x, offset), time)


@lru_cache(maxsize=64)
def transitions(zone: str) -> tuple[pl.Series, pl.Series]:
    """The instants at which the clocks of a zone are set, and by how much they are before UTC: one more of those.

    Of the years 1800 to 2250; the first of the instants is there in every zone, and changes nothing.
    """
    hours = pl.datetime_range(_FIRST, _LAST, "1h", time_unit="us", eager=True)
    ahead = _ahead(hours, zone)
    changed = hours.filter(ahead.diff().fill_null(timedelta(0)) != timedelta(0))
    seconds = pl.int_range(3600, eager=True) * 1_000_000  # of the hour before each
    pairs = changed.to_frame("hour").join(seconds.cast(pl.Duration("us")).to_frame("back"), how="cross")
    times = pairs.select(time=pl.col("hour") - pl.col("back")).to_series().sort()
    found = times.filter(_ahead(times, zone) != _ahead(times.dt.offset_by("-1s"), zone))
    times = pl.concat([hours.head(1), found]).alias("time")
    return times, pl.concat([ahead.head(1), _ahead(times, zone)]).alias("ahead")


@lru_cache(maxsize=64)
def readings(zone: str, ambiguous: Literal["earliest", "latest", "null"]) -> tuple[pl.Series, pl.Series]:
    """The times on clocks of a zone from which on they are before UTC by another amount, and that: one more of those.

    Null where clocks never show the time, and where they show it twice if the rule is so.
    """
    times, ahead = transitions(zone)
    before, after = (times + part for part in (ahead.head(len(times)), ahead.slice(1)))
    starts = pl.concat([before, after]).unique().sort()
    read = starts.dt.replace_time_zone(zone, ambiguous=ambiguous, non_existent="null")
    found = starts - read.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return starts, pl.concat([ahead.head(1), found])


def constant(node: expr.Literal) -> expr.Expr:
    """A constant that reaches the device as it is: pylibcudf takes a datetime by way of its seconds as a float."""
    if not isinstance(node.value, datetime):
        return node
    unit = kind(node).time_unit
    value = node.value
    since = value - (_EPOCH.replace(tzinfo=UTC) if value.tzinfo else _EPOCH)
    exact = since // timedelta(microseconds=1) * 1_000 // _NANOSECONDS[unit]
    if int(since.total_seconds() * (1_000_000_000 // _NANOSECONDS[unit])) == exact:
        return node
    return expr.Cast(node.dtype, True, expr.Literal(DataType(pl.Int64()), exact))


_NANOSECONDS: Final = {"ms": 1_000_000, "us": 1_000, "ns": 1}


def _replaced(node: expr.TemporalFunction, zone: str | None) -> expr.Expr:
    to = node.options[0]
    if zone is None and to in (None, "UTC"):
        return node
    clock = node.children[0] if zone is None else local(node.children[0], zone)
    if to not in (None, "UTC"):
        return instant(node, clock)
    return clock if to is None else Once(node.dtype, given(node.dtype), clock)


def _zone(time: expr.Expr) -> str | None:
    """The zone, None for UTC and for none."""
    zone: str | None = getattr(kind(time), "time_zone", None)
    return None if zone == "UTC" else zone


def _column(values: pl.Series) -> expr.LiteralColumn:
    return expr.LiteralColumn(DataType(values.dtype), values)


def _ahead(times: pl.Series, zone: str) -> pl.Series:
    clock: pl.Series = times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    ahead: pl.Series = clock - times
    return ahead
