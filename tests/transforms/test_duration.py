from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.transforms.duration import format_duration, parse_duration, parse_period


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", timedelta(days=7)),
        ("1w", timedelta(days=7)),
        ("1h30m", timedelta(minutes=90)),
        ("500ms", timedelta(milliseconds=500)),
        ("5us", timedelta(microseconds=5)),
        ("45s", timedelta(seconds=45)),
        ("2d 6h", timedelta(hours=54)),
        ("0", timedelta(0)),
    ],
)
def test_reads_durations(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "7", "d", "1mo", "1y", "-1h", "1.5h", "1h x", 7, None, timedelta(-1), "99999999999999d"]
)
def test_refuses_what_has_no_fixed_length(text: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_duration(text)


@given(st.timedeltas(timedelta(0), timedelta(days=5000)))
def test_text_reads_back(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


def numbers(every: str, times: pl.Series) -> list[int]:
    expression = parse_period(every).number("t", times.dtype)
    return pl.DataFrame({"t": times}).select(expression).to_series().to_list()


@pytest.mark.parametrize(
    ("every", "same", "next_one"),
    [
        ("1mo", (date(2020, 2, 1), date(2020, 2, 29)), date(2020, 3, 1)),
        ("1q", (date(2020, 10, 1), date(2020, 12, 31)), date(2021, 1, 1)),
        ("1y", (date(1969, 1, 1), date(1969, 12, 31)), date(1970, 1, 1)),
        ("1w", (date(2020, 3, 2), date(2020, 3, 8)), date(2020, 3, 9)),
        ("1w", (date(1969, 12, 29), date(1970, 1, 4)), date(1970, 1, 5)),
        ("1d", (date(1969, 12, 31), date(1969, 12, 31)), date(1970, 1, 1)),
    ],
)
def test_periods_of_the_calendar(every: str, same: tuple[date, date], next_one: date) -> None:
    first, last, after = numbers(every, pl.Series([*same, next_one]))
    assert first == last == after - 1


def test_hours_and_units_of_time() -> None:
    times = [datetime(2020, 1, 1, 5, 59, 59), datetime(2020, 1, 1, 6), datetime(1969, 12, 31, 23)]
    expected = numbers("6h", pl.Series(times, dtype=pl.Datetime("us")))
    assert expected == [73048, 73049, -1]
    for unit in ("ms", "ns"):
        assert numbers("6h", pl.Series(times, dtype=pl.Datetime(unit))) == expected


def test_columns_with_a_zone_use_the_calendar_of_utc() -> None:
    times = pl.Series([datetime(2020, 1, 31, 23)], dtype=pl.Datetime("us")).dt.replace_time_zone("America/New_York")
    (got,) = numbers("1mo", times)
    (february,) = numbers("1mo", pl.Series([date(2020, 2, 1)]))
    assert got == february


def test_null_stays_null() -> None:
    assert numbers("1mo", pl.Series([None], dtype=pl.Date)) == [None]


@pytest.mark.parametrize("text", ["", "0d", "mo", "1m", "1.5d", "1h30m", "9999999999999999999d"])
def test_refuses_other_periods(text: str) -> None:
    with pytest.raises(ValueError, match="expected a calendar period"):
        parse_period(text)
