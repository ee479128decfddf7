from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_series_equal
from tests.engines.gpu.dialect.libcudf import computed, refusals, translated

from headrace.engines.gpu.dialect.zones import transitions

ZONES = ["America/New_York", "Asia/Kolkata", "Europe/Moscow", "Africa/Monrovia", "Etc/GMT+5", "Antarctica/Troll"]
NEW_YORK = pl.Datetime("us", "America/New_York")


def around_transitions(zone: str) -> pl.Series:
    """Each second at which the clocks are set, those beside it, and one instant a week."""
    times, _ = transitions(zone)
    weekly = pl.datetime_range(datetime(1801, 1, 1), datetime(2200, 1, 1), "7d3h", time_unit="us", eager=True)
    near = pl.concat([times.slice(1).dt.offset_by(by) for by in ("-1s", "0s", "1s")])
    return pl.concat([weekly, near]).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.slow
def test_transitions_are_those_of_polars(zone: str) -> None:
    times, ahead = transitions(zone)
    instants = around_transitions(zone)
    plain = instants.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    shown = plain + ahead.gather(times.search_sorted(plain, side="right"))
    assert_series_equal(shown, instants.dt.replace_time_zone(None), check_names=False)


@pytest.mark.parametrize("instant", [datetime(1990, 4, 5, 12), datetime(2006, 11, 1, 12), datetime(2013, 7, 1, 3)])
def test_transitions_are_those_of_the_tz_database(instant: datetime) -> None:
    for zone in ZONES:
        times, ahead = transitions(zone)
        known = instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset()
        assert ahead[times.search_sorted(instant, side="right")] == known


def frame(zone: str, unit: str = "us") -> pl.DataFrame:
    instants = around_transitions(zone).sample(60, seed=1).dt.cast_time_unit(unit)  # type: ignore[arg-type]
    return pl.DataFrame({"t": pl.concat([instants, pl.Series([None], dtype=instants.dtype)])})


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.slow
def test_clocks_show_what_they_do_on_the_cpu(zone: str, unit: str) -> None:
    rows = frame(zone, unit).filter(pl.col("t").dt.year().is_between(1900, 2200) | pl.col("t").is_null())
    for expression in (
        pl.col("t").dt.replace_time_zone(None),
        pl.col("t").dt.replace_time_zone("UTC"),
        pl.col("t").dt.hour(),
        pl.col("t").dt.weekday(),
        pl.col("t").dt.convert_time_zone("Asia/Tokyo").dt.replace_time_zone(None),
        pl.col("t").dt.convert_time_zone("UTC").dt.hour(),
    ):
        expected = rows.select(expression).to_series()
        assert_series_equal(computed(rows, expression).cast(expected.dtype), expected)


@pytest.mark.parametrize("ambiguous", ["earliest", "latest", "null"])
@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Europe/Dublin"])
@pytest.mark.slow
def test_clocks_are_read_as_they_are_on_the_cpu(zone: str, ambiguous: str) -> None:
    changes = transitions(zone)[0].slice(1)
    near = pl.concat([changes.dt.offset_by(f"{minutes}m") for minutes in range(-1560, 1560, 15)])
    rows = pl.DataFrame({"t": [*near.sample(1000, seed=1), None]}, schema={"t": pl.Datetime})
    for expression in (
        pl.col("t").dt.replace_time_zone(zone, ambiguous=ambiguous, non_existent="null"),  # type: ignore[arg-type]
        pl.col("t").dt.replace_time_zone("UTC").dt.replace_time_zone(zone, ambiguous="latest", non_existent="null"),
    ):
        expected = rows.select(expression).to_series()
        assert_series_equal(computed(rows, expression).cast(expected.dtype), expected)


def test_other_functions_of_times_with_a_zone_are_left_to_the_cpu() -> None:
    rows = pl.LazyFrame(schema={"t": NEW_YORK, "plain": pl.Datetime, "utc": pl.Datetime("us", "UTC")})
    assert refusals(rows.select(pl.col("t").dt.truncate("1d"))) == [
        "Truncate of times in America/New_York: cuDF takes them in UTC"
    ]
    assert refusals(rows.select(pl.col("plain").dt.replace_time_zone("Europe/Berlin"))) == [
        "times of clocks in Europe/Berlin, with an error for those that there are not, or twice: say what they become"
    ]
    assert refusals(rows.select(pl.col("plain", "utc").dt.truncate("1d"))) == []
    assert refusals(rows.select(pl.col("plain").dt.replace_time_zone("UTC"))) == []


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_constants_are_exact(unit: str, zone: str | None) -> None:
    dtype = pl.Datetime(unit, zone)  # type: ignore[arg-type]
    fractions = [0, 1, 29, 123_457, 500_000, 999_999]
    moments = [datetime(y, 7, 1, 12, 30) + timedelta(microseconds=f) for y in (1969, 2024) for f in fractions]
    some = pl.Series(moments).dt.cast_time_unit(unit).dt.replace_time_zone(zone)  # type: ignore[arg-type]
    rows = pl.DataFrame({"t": some})
    for moment in some:
        for comparison in (pl.col("t") >= pl.lit(moment, dtype), pl.col("t") == pl.lit(moment, dtype)):
            assert_series_equal(computed(rows, comparison), rows.select(comparison).to_series())


def test_constants_that_arrive_as_they_are_stay() -> None:
    rows = pl.LazyFrame(schema={"t": pl.Datetime, "d": pl.Date})
    plain = [pl.col("t") >= datetime(2024, 1, 1), pl.col("d") == date(2024, 1, 1)]
    nodes = translated(rows.select(e.alias(str(i)) for i, e in enumerate(plain)))
    assert [type(node.children[1]).__name__ for node in nodes] == ["Literal", "Literal"]
