"""Parts of dates and clocks in zones against Python's datetime, circles against literals."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from pydantic import ValidationError

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.dates import Cyclic, DateParts

ENGINE = CpuEngine()
DAYS = [date(1969, 12, 31), date(2000, 2, 29), date(2012, 1, 1), date(2013, 7, 6), date(2024, 12, 30), date(2021, 1, 3)]


def test_parts_of_a_date_are_those_of_python() -> None:
    parts = ["year", "quarter", "month", "week", "day_of_year", "day", "weekday", "is_weekend"]
    got = DateParts(columns="d", parts=parts).apply(pl.LazyFrame({"d": [*DAYS, None]}), ENGINE).collect().drop("d")
    assert got.rows() == [
        (
            d.year, (d.month + 2) // 3, d.month, d.isocalendar().week, d.timetuple().tm_yday, d.day, d.isoweekday(),
            int(d.isoweekday() > 5),
        )
        for d in DAYS
    ] + [(None,) * 8]  # fmt: skip
    assert got.dtypes == [pl.Int32, pl.Int8, pl.Int8, pl.Int8, pl.Int16, pl.Int8, pl.Int8, pl.UInt8]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])
def test_a_time_zone_moves_the_clock_before_parts_are_taken(zone: str) -> None:
    hours = [datetime(2013, month, 9 + month, hour, 30, tzinfo=UTC) for month in range(1, 13) for hour in (0, 7, 15)]
    step = DateParts(columns=["aware", "naive"], parts=["hour", "minute", "day", "weekday"], time_zone=zone)
    frame = pl.LazyFrame({"aware": hours, "naive": [h.replace(tzinfo=None) for h in hours]})
    got = step.apply(frame, ENGINE).collect()
    local = [h.astimezone(ZoneInfo(zone)) for h in hours]
    expected = [(t.hour, t.minute, t.day, t.isoweekday()) for t in local]
    for column in ("aware", "naive"):
        assert got.select(f"{column}_{p}" for p in ("hour", "minute", "day", "weekday")).rows() == expected


def test_without_a_time_zone_the_columns_own_clock_counts() -> None:
    naive = pl.Series("t", [datetime(2013, 1, 1, 5)])
    time = naive.dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    got = DateParts(columns="t", parts=["hour", "year"]).apply(pl.LazyFrame([time]), ENGINE).collect()
    assert got.select("t_hour", "t_year").rows() == [(0, 2013)]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"parts": ["hours"]}, "'year', 'quarter'"),
        ({"parts": []}, "at least 1"),
        ({"parts": ["hour"], "time_zone": "America/NewYork"}, "did you mean America/New_York"),
    ],
)
def test_unknown_parts_and_zones_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DateParts(columns="t", **fields)
    assert words in str(caught.value)


def test_a_date_has_no_hour_and_no_time_zone() -> None:
    schema = pl.Schema({"d": pl.Date})
    with pytest.raises(PipelineError, match="column 'd' is a Date, which has no part 'hour'"):
        DateParts(columns="d", parts=["hour"]).resolve(schema)
    with pytest.raises(PipelineError, match="which has no time zone"):
        DateParts(columns="d", parts=["day"], time_zone="UTC").resolve(schema)


def test_a_turn_ends_where_it_began() -> None:
    got = Cyclic(columns="hour", period=24).apply(pl.LazyFrame({"hour": [0, 6, 12, 18, 24, None]}), ENGINE).collect()
    assert got.schema == {"hour": pl.Int64, "hour_sin": pl.Float32, "hour_cos": pl.Float32}
    assert got["hour_sin"].to_list() == [*(pytest.approx(v, abs=1e-7) for v in (0, 1, 0, -1, 0)), None]
    assert got["hour_cos"].to_list() == [*(pytest.approx(v, abs=1e-7) for v in (1, 0, -1, 0, 1)), None]


@pytest.mark.parametrize("period", [0, -1, float("nan"), float("inf")])
def test_a_period_that_is_no_length_is_refused(period: float) -> None:
    with pytest.raises(ValidationError):
        Cyclic(columns="hour", period=period)
