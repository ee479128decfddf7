"""Differences against DuckDB's lag and literals."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from tests.transforms.fitting import applied, gpu_gaps

from headrace.engines.translation import available
from headrace.schemas.errors import PipelineError
from headrace.transforms.differences import Diff, TimeSinceLast

START = datetime(2020, 1, 1)
FLIGHTS = pl.DataFrame(
    {
        "plane": ["a", "b", "a", "a", None, "b", "a", None],
        "at": [None if h is None else START + timedelta(hours=h) for h in (5, 1, 1, 3, 2, 9, None, 4)],
        "delay": pl.Series([50, 10, 1, None, 2, -90, 7, 4], dtype=pl.Int8),
    }
)
RANDOM = np.random.default_rng(3)
MANY = pl.DataFrame(
    {
        "k": RANDOM.integers(0, 20, 700),
        "l": RANDOM.choice(["x", "y"], 700),
        "t": RANDOM.permutation(700),
        "at": pl.Series(RANDOM.permutation(10**6)[:700]).cast(pl.Datetime("ms")),
        "x": RANDOM.normal(size=700),
        "row": range(700),
    }
)


def by_duckdb(query: str) -> list[Any]:
    connection = duckdb.connect()
    connection.register("f", MANY.to_arrow())
    return [row[0] for row in connection.sql(f"select {query} from f order by row").fetchall()]


def test_a_value_less_that_of_the_row_before() -> None:
    got = applied([Diff(columns="delay", by="plane", order="at")], FLIGHTS)
    assert got.columns == [*FLIGHTS.columns, "delay_diff1"]
    assert got["delay_diff1"].dtype == pl.Int64
    # a: 1 at 1, null at 3, 50 at 5; b: 10 at 1, -90 at 9.
    assert got["delay_diff1"].to_list() == [None, None, None, None, None, -100, None, None]
    assert got.drop("delay_diff1").equals(FLIGHTS)


def test_several_rows_back() -> None:
    got = applied([Diff(columns=["delay"], by="plane", order="at", n=2, output="{n}_{column}")], FLIGHTS)
    assert got["2_delay"].to_list() == [49, *[None] * 7]


def test_differences_agree_with_duckdb_in_any_order() -> None:
    got = applied([Diff(columns="x", by=["k", "l"], order="t", n=3)], MANY)
    assert got["x_diff3"].to_list() == by_duckdb("x - lag(x, 3) over (partition by k, l order by t)")


def test_types_and_what_they_cannot_hold() -> None:
    lowest, highest = -(2**63), 2**63 - 1
    frame = pl.DataFrame(
        {
            "k": [1] * 6,
            "t": range(6),
            "big": [lowest, highest, 0, lowest, 2**53 + 1, 2**53],
            "byte": pl.Series([0, 255, 0, 255, 1, 2], dtype=pl.UInt8),
            "flag": [True, False, True, None, True, True],
            "half": pl.Series([0.5, 0.25, float("inf"), float("inf"), 1, 1], dtype=pl.Float32),
        }
    )
    got = applied([Diff(columns=["big", "byte", "flag", "half"], by="k", order="t", output="{column}")], frame)
    assert got.schema == {**frame.schema, "byte": pl.Int64, "flag": pl.Int64}
    assert got["big"].to_list() == [None, None, -highest, lowest, None, -1]
    assert got["byte"].to_list() == [None, 255, -255, 255, -254, 1]
    assert got["flag"].to_list() == [None, -1, 1, None, None, 0]
    assert [str(v) for v in got["half"]] == ["None", "-0.25", "inf", "nan", "-inf", "0.0"]


def test_seconds_since_the_row_before() -> None:
    got = applied([TimeSinceLast(by="plane", order="at")], FLIGHTS)
    assert got.schema == {**FLIGHTS.schema, "at_since_last": pl.Float64}
    assert got["at_since_last"].to_list() == [7200.0, None, None, 7200.0, None, 28800.0, None, None]
    assert got.drop("at_since_last").equals(FLIGHTS)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_seconds_agree_with_duckdb_in_any_order(unit: Any) -> None:
    frame = MANY.with_columns(pl.col("at").cast(pl.Datetime(unit)))
    got = applied([TimeSinceLast(by=["k", "l"], order="at", output="s")], frame)
    expected = by_duckdb('(epoch_ms("at") - epoch_ms(lag("at") over (partition by k, l order by "at"))) / 1000')
    assert got["s"].to_list() == [v if v is None else pytest.approx(v, rel=1e-15) for v in expected]


def test_equal_times_stand_in_source_order_and_a_day_has_86400_seconds() -> None:
    frame = pl.DataFrame({"k": ["a"] * 4, "day": [date(2020, 1, n) for n in (3, 1, 3, 1)], "x": [1, 2, 3, 4]})
    got = applied([TimeSinceLast(by="k", order="day", output="s"), Diff(columns="x", by="k", order="day")], frame)
    assert got["s"].to_list() == [172800.0, None, 0.0, 0.0]
    assert got["x_diff1"].to_list() == [-3, None, 2, 2]


def test_clocks_that_change_do_not_change_the_seconds() -> None:
    # New York goes from UTC-5 to UTC-4 on 8 March 2020: from noon to noon it is 23 hours.
    times = pl.Series([datetime(2020, 3, 7, 12), datetime(2020, 3, 8, 12)]).dt.replace_time_zone("America/New_York")
    got = applied([TimeSinceLast(by="k", order="at", output="s")], pl.DataFrame({"k": "a", "at": times}))
    assert got["s"].to_list() == [None, 23 * 3600.0]


@pytest.mark.parametrize("frame", [FLIGHTS.clear(), FLIGHTS.head(1)])
def test_little_or_nothing(frame: pl.DataFrame) -> None:
    got = applied([Diff(columns="delay", by="plane", order="at"), TimeSinceLast(by="plane", order="at")], frame)
    assert got.schema == {**frame.schema, "delay_diff1": pl.Int64, "at_since_last": pl.Float64}
    assert got.null_count().select("delay_diff1", "at_since_last").row(0) == (frame.height, frame.height)


def test_entities_reads_and_writes() -> None:
    diff = Diff(columns=["delay"], by=["plane"], order="at")
    since = TimeSinceLast(by="plane", order="at")
    assert (diff.entity, diff.reads, diff.writes) == (("plane",), ("delay", "plane", "at"), ("delay_diff1",))
    assert (since.entity, since.reads, since.writes) == (("plane",), ("plane", "at"), ("at_since_last",))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValidationError, match="several columns cannot all be called 'x'"):
        Diff(columns=["a", "b"], by="k", order="t", output="x")
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Diff(columns="a", by="k", order="t", n=0)
    schema = FLIGHTS.with_columns(wide=pl.lit(1, pl.UInt64)).schema
    with pytest.raises(PipelineError, match=r"Diff takes .* other than UInt64, got UInt64 in column 'wide'"):
        Diff(columns="wide", by="plane", order="at").resolve(schema)
    with pytest.raises(PipelineError, match="Diff orders by a number or a time, got String in column 'plane'"):
        Diff(columns="delay", by="plane", order="plane").resolve(schema)
    with pytest.raises(PipelineError, match=r"Diff: `by` takes .* got Datetime"):
        Diff(columns="delay", by="at", order="at").resolve(schema)
    with pytest.raises(PipelineError, match="a date or a datetime as `order`, got Int8 in 'delay'"):
        TimeSinceLast(by="plane", order="delay").resolve(schema)


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
def test_all_of_it_runs_on_the_gpu() -> None:
    assert gpu_gaps(Diff(columns="delay", by="plane", order="at"), FLIGHTS) == ([], set())
    assert gpu_gaps(TimeSinceLast(by="plane", order="at"), FLIGHTS) == ([], set())
