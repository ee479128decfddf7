"""TimeZone against Python's zoneinfo."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from pydantic import ValidationError

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Transform
from headrace.transforms.elements import parts
from headrace.transforms.zones import TimeZone

ENGINE = CpuEngine()


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_another_zone_shows_the_same_instants(zone: str, unit: Any) -> None:
    hours = [datetime(2013, month, 3, hour, 30, tzinfo=UTC) for month in range(1, 13) for hour in range(24)]
    aware = pl.Series("aware", [*hours, None]).dt.cast_time_unit(unit)
    frame = pl.DataFrame([aware, aware.dt.replace_time_zone(None).alias("naive")])
    for before in ("UTC", "Europe/Paris"):
        step = TimeZone(columns="all", zone=zone, output="{column}").resolve(frame.schema)
        got = step.apply(frame.lazy().with_columns(pl.col("aware").dt.convert_time_zone(before)), ENGINE).collect()
        assert got.dtypes == [pl.Datetime(unit, zone)] * 2
        for column in ("aware", "naive"):
            expected = [h.astimezone(ZoneInfo(zone)) for h in hours]
            assert got[column].to_list() == [*expected, None]
            assert [t.utcoffset() for t in got[column].drop_nulls()] == [t.utcoffset() for t in expected]


def test_an_hour_that_a_clock_shows_twice_stays_two_instants() -> None:
    # New York sets its clocks back from 02:00 to 01:00 on 3 November 2013, at 06:00 UTC.
    frame = pl.LazyFrame({"t": [datetime(2013, 11, 3, 5, 30), datetime(2013, 11, 3, 6, 30)]})
    got = TimeZone(columns="t", zone="America/New_York", output="local").apply(frame, ENGINE).collect()
    assert [str(t) for t in got["local"]] == ["2013-11-03 01:30:00-04:00", "2013-11-03 01:30:00-05:00"]
    assert got["t"].equals(frame.collect()["t"])


def test_a_zone_that_is_not_known_and_a_date_are_refused() -> None:
    with pytest.raises(ValidationError, match="did you mean America/New_York"):
        TimeZone(columns="t", zone="America/NewYork")
    with pytest.raises(PipelineError, match="TimeZone takes a datetime, got Date in column 'd'"):
        TimeZone(columns="d", zone="UTC").resolve(pl.Schema({"d": pl.Date}))


def read(times: list[datetime | None], zone: str, unit: Any = "us", **rules: Any) -> list[datetime | None]:
    frame = pl.LazyFrame({"t": pl.Series(times, dtype=pl.Datetime).dt.cast_time_unit(unit)})
    step = TimeZone(columns="t", zone=zone, mode="set", **rules).resolve(frame.collect_schema())
    got = step.apply(frame, ENGINE).collect()["t"]
    assert got.dtype == pl.Datetime(unit, zone)
    return [t if t is None else t.astimezone(UTC).replace(tzinfo=None) for t in got]


# New York sets its clocks forward from 02:00 to 03:00 on 10 March 2013, at 07:00 UTC, and back in November.
NEW_YORK = "America/New_York"
SKIPPED, TWICE = datetime(2013, 3, 10, 2, 30), datetime(2013, 11, 3, 1, 30)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_of_a_zones_clocks_become_instants(unit: Any) -> None:
    times = [
        datetime(2013, 1, 1, 5),
        datetime(2013, 7, 1, 5),
        datetime(2013, 3, 10, 1, 59),
        datetime(2013, 3, 10, 3),
        None,
    ]
    expected = [
        datetime(2013, 1, 1, 10),
        datetime(2013, 7, 1, 9),
        datetime(2013, 3, 10, 6, 59),
        datetime(2013, 3, 10, 7),
        None,
    ]
    assert read(times, NEW_YORK, unit) == expected


def test_a_time_that_clocks_show_twice() -> None:
    assert read([TWICE], NEW_YORK) == [datetime(2013, 11, 3, 5, 30)]
    assert read([TWICE], NEW_YORK, ambiguous="earliest") == [datetime(2013, 11, 3, 5, 30)]
    assert read([TWICE], NEW_YORK, ambiguous="latest") == [datetime(2013, 11, 3, 6, 30)]
    assert read([TWICE], NEW_YORK, ambiguous="null") == [None]
    assert read([TWICE], NEW_YORK, ambiguous="null", missing="shift") == [None]


def test_a_time_that_clocks_skip() -> None:
    assert read([SKIPPED], NEW_YORK) == [None]
    assert read([SKIPPED], NEW_YORK, missing="shift") == [datetime(2013, 3, 10, 7, 30)]
    assert read([SKIPPED], NEW_YORK, ambiguous="null", missing="shift") == [datetime(2013, 3, 10, 7, 30)]


ZONES = [NEW_YORK, "Europe/Dublin", "Australia/Lord_Howe", "Asia/Kolkata", "America/Caracas", "UTC"]


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_every_quarter_of_an_hour_is_read_as_python_reads_it(zone: str) -> None:
    first = datetime(2007, 1, 1)
    times: list[datetime | None] = [first + timedelta(minutes=15 * n) for n in range(366 * 96)]
    for fold, rule in ((0, "earliest"), (1, "latest")):
        aware = [t.replace(tzinfo=ZoneInfo(zone), fold=fold) for t in times if t]
        expected = [t.astimezone(UTC).replace(tzinfo=None) for t in aware]
        there = [
            t.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == t.replace(tzinfo=None) for t in aware
        ]
        assert read(times, zone, ambiguous=rule) == [t if ok else None for t, ok in zip(expected, there, strict=True)]
        if rule == "earliest":
            assert read(times, zone, missing="shift") == expected


def test_a_day_that_was_skipped_whole() -> None:
    # Samoa crossed the date line: no clock there ever showed 30 December 2011.
    assert read([datetime(2011, 12, 30, 12)], "Pacific/Apia") == [None]
    assert read([datetime(2011, 12, 30, 12)], "Pacific/Apia", missing="shift") == [datetime(2011, 12, 30, 22)]


def test_rules_without_set_and_a_column_that_has_a_zone_are_refused() -> None:
    for rule in ({"ambiguous": "earliest"}, {"missing": "null"}):
        with pytest.raises(ValidationError, match="is for mode `set`"):
            TimeZone(columns="t", zone="UTC", **rule)
    with pytest.raises(ValidationError, match="'earliest', 'latest' or 'null'"):
        TimeZone(columns="t", zone="UTC", mode="set", ambiguous="raise")
    with pytest.raises(PipelineError, match="takes times without a zone, got column 't' in Asia/Tokyo"):
        TimeZone(columns="t", zone="UTC", mode="set").resolve(pl.Schema({"t": pl.Datetime("us", "Asia/Tokyo")}))


def test_elements_of_lists() -> None:
    frame = pl.DataFrame({"t": [[datetime(2013, 7, 1, 5), None], [], None]})
    [step] = parts(TimeZone(columns="t", zone=NEW_YORK, mode="set"), frame.schema)
    assert isinstance(step, Transform)
    got = step.apply(frame.lazy(), ENGINE).collect()["t"]
    assert got.dtype == pl.List(pl.Datetime("us", NEW_YORK))
    assert got.to_list() == [[datetime(2013, 7, 1, 5, tzinfo=ZoneInfo(NEW_YORK)), None], [], None]
