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
from headrace.transforms.windows import Lag, RollingStats

START = datetime(2020, 1, 1)


def hours(*numbers: float | None) -> pl.Series:
    return pl.Series([None if n is None else START + timedelta(hours=n) for n in numbers], dtype=pl.Datetime("us"))


FLIGHTS = pl.DataFrame(
    {
        "plane": ["a", "b", "a", "a", None, "b", "a", None],
        "at": hours(5, 1, 1, 3, 2, 9, None, 4),
        "landed": hours(8, 2, 4, 3, 3, 10, 1, 5),
        "delay": [50, 10, 1, 30, 2, 90, 7, 4],
    }
)


def test_the_value_of_the_row_before() -> None:
    got = applied([Lag(columns=["delay"], by=["plane"], order="at")], FLIGHTS)
    assert got.columns == [*FLIGHTS.columns, "delay_lag1"]
    assert got["delay_lag1"].to_list() == [30, None, None, 1, None, 10, None, None]
    assert got.drop("delay_lag1").equals(FLIGHTS)


def test_several_rows_back_and_any_type() -> None:
    got = applied([Lag(columns=["delay", "landed"], by="plane", order="at", n=2, output="{n}_{column}")], FLIGHTS)
    assert got["2_delay"].to_list() == [1, *[None] * 7]
    assert got["2_landed"].to_list() == [START + timedelta(hours=4), *[None] * 7]


def test_a_value_counts_only_once_it_is_known() -> None:
    # a: at 3 the flight of 1 has not landed (4); at 5 the flight of 3 has (3).
    got = applied([Lag(columns=["delay"], by="plane", order="at", known_at="landed")], FLIGHTS)
    assert got["delay_lag1"].to_list() == [30, None, None, None, None, 10, None, None]


def test_known_at_the_very_moment_is_too_late_and_null_is_never() -> None:
    frame = pl.DataFrame({"k": [1, 1, 1], "at": hours(1, 2, 3), "known": hours(2, None, 1), "x": [1, 2, 3]})
    assert applied([Lag(columns=["x"], by="k", order="at", known_at="known")], frame)["x_lag1"].to_list() == [None] * 3


def test_equal_times_stand_in_the_order_of_the_frame() -> None:
    frame = pl.DataFrame({"k": ["a"] * 4, "at": [2, 1, 2, 1], "x": [1, 2, 3, 4]})
    assert applied([Lag(columns=["x"], by="k", order="at")], frame)["x_lag1"].to_list() == [4, None, 1, 2]


def test_lag_agrees_with_duckdb_in_any_order() -> None:
    random = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "k": random.integers(0, 20, 700),
            "l": random.choice(["x", "y"], 700),
            "t": random.permutation(700),
            "x": range(700),
        }
    )
    connection = duckdb.connect()
    connection.register("f", frame.to_arrow())
    expected = connection.sql("select lag(x, 3) over (partition by k, l order by t) from f order by x").fetchall()
    got = applied([Lag(columns=["x"], by=["k", "l"], order="t", n=3)], frame)
    assert got["x"].to_list() == list(range(700))
    assert got.select("x_lag3").rows() == expected


def rolled(frame: pl.DataFrame, **fields: Any) -> pl.DataFrame:
    return applied(
        [RollingStats(**{"columns": ["delay"], "by": "plane", "order": "at", "window": "1d", **fields})], frame
    )


def test_statistics_of_the_rows_before() -> None:
    got = rolled(FLIGHTS, statistics=["count", "mean"])
    assert got.columns == [*FLIGHTS.columns, "delay_count_1d", "delay_mean_1d"]
    assert got["delay_count_1d"].to_list() == [2, 0, 0, 1, None, 1, None, None]
    assert got["delay_mean_1d"].to_list() == [15.5, None, None, 1.0, None, 10.0, None, None]
    assert got.select(FLIGHTS.columns).equals(FLIGHTS)


def test_the_window_is_as_long_as_it_says() -> None:
    assert rolled(FLIGHTS, statistics="sum", window="2h", output="s")["s"].to_list() == [
        30,
        0,
        0,
        1,
        None,
        0,
        None,
        None,
    ]


def test_values_count_from_when_they_were_known() -> None:
    got = rolled(FLIGHTS, statistics="sum", known_at="landed", output="{column}_{window}")
    # a at 5: landed by then are those that left at 1 (landed 4), at 3 (3) and at an unknown time (1); a at 3: the last.
    assert got["delay_1d"].to_list() == [38.0, 0.0, 0.0, 7.0, None, 10.0, None, None]


def test_dates() -> None:
    frame = pl.DataFrame({"plane": ["a"] * 3, "at": [date(2020, 1, n) for n in (9, 1, 8)], "delay": [True, True, None]})
    got = rolled(frame, window="7d", statistics=["count", "sum"])
    assert got["delay_count_7d"].to_list() == [0, 0, 1]
    assert got["delay_sum_7d"].to_list() == [0.0, 0.0, 1.0]


def test_rolling_agrees_with_duckdb_in_any_order() -> None:
    random = np.random.default_rng(7)
    frame = pl.DataFrame(
        {
            "plane": random.choice(["a", "b", "c"], 600),
            "at": hours(*(int(h) for h in random.integers(0, 900, 600))),
            "delay": random.integers(-20, 200, 600),
            "row": range(600),
        }
    )
    connection = duckdb.connect()
    connection.register("f", frame.to_arrow())
    window = (
        'partition by plane order by "at" range between interval 7 days preceding and interval 1 microsecond preceding'
    )
    expected = connection.sql(
        f"select count(delay) over w, avg(delay) over w, max(delay) over w from f window w as ({window}) order by row"
    ).fetchall()
    got = rolled(frame, window="7d", statistics=["count", "mean", "max"])
    for row, other in zip(got.select("delay_count_7d", "delay_mean_7d", "delay_max_7d").rows(), expected, strict=True):
        assert row == pytest.approx(other)


@pytest.mark.parametrize(
    "frame", [FLIGHTS.clear(), FLIGHTS.head(1), FLIGHTS.with_columns(delay=pl.lit(None, pl.Int64))]
)
def test_little_or_nothing(frame: pl.DataFrame) -> None:
    lagged = applied([Lag(columns=["delay"], by="plane", order="at", known_at="landed")], frame)
    assert lagged.schema == {**frame.schema, "delay_lag1": pl.Int64}
    assert lagged["delay_lag1"].null_count() == frame.height
    got = rolled(frame, statistics=["count", "mean"])
    assert got.schema == {**frame.schema, "delay_count_1d": pl.Int64, "delay_mean_1d": pl.Float64}
    assert got["delay_mean_1d"].null_count() == frame.height


def test_later_rows_do_not_matter() -> None:
    steps = [
        Lag(columns=["delay"], by="plane", order="at", known_at="landed"),
        RollingStats(columns=["delay"], by="plane", order="at", window="7d", known_at="landed"),
    ]
    early = FLIGHTS.filter(pl.col("at") < START + timedelta(hours=5))
    changed = FLIGHTS.with_columns(
        delay=pl.when(pl.col("at") >= START + timedelta(hours=4)).then(-1).otherwise(pl.col("delay"))
    )
    for step in steps:
        wanted = [c for c in (*early.columns, *step.writes) if c != "delay"]
        whole, other = applied([step], FLIGHTS), applied([step], changed)
        before = pl.col("at") < START + timedelta(hours=4)
        assert whole.filter(before).select(wanted).equals(other.filter(before).select(wanted))


def test_entities_reads_and_writes() -> None:
    lag = Lag(columns=["delay"], by=["plane"], order="at", known_at="landed")
    assert lag.entity == ("plane",)
    assert lag.reads == ("delay", "plane", "at", "landed")
    rolling = RollingStats(
        columns="numeric", by="plane", order="at", window=timedelta(days=1), statistics=["sum", "max"]
    )
    resolved = rolling.resolve(FLIGHTS.schema)
    assert resolved.entity == ("plane",)
    assert resolved.writes == ("delay_sum_1d", "delay_max_1d")
    for step in (lag, rolling, resolved):
        assert type(step).model_validate_json(step.model_dump_json()) == step


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"window": "0"}, "longer than 0"),
        ({"window": "1mo"}, "expected a duration"),
        ({"statistics": ["sum", "sum"]}, "named twice"),
        ({"statistics": ["sum", "mean"], "output": "x"}, "several statistics"),
        ({"columns": ["a", "b"], "output": "x"}, "several columns"),
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RollingStats(**{"columns": ["delay"], "by": "plane", "order": "at", "window": "1d", **fields})


def test_columns_that_do_not_fit() -> None:
    schema = FLIGHTS.schema
    with pytest.raises(PipelineError, match="known_at and order must be of one dtype"):
        Lag(columns=["delay"], by="plane", order="at", known_at="delay").resolve(schema)
    with pytest.raises(PipelineError, match="orders by a number or a time, got String"):
        Lag(columns=["delay"], by="plane", order="plane").resolve(schema)
    with pytest.raises(PipelineError, match="a date or a datetime as `order`, got Int64"):
        RollingStats(columns=["delay"], by="plane", order="delay", window="1d").resolve(schema)
    with pytest.raises(PipelineError, match=r"`by` takes .* got Datetime"):
        Lag(columns=["delay"], by="landed", order="at").resolve(schema)
    with pytest.raises(PipelineError, match="`by` must name"):
        Lag(columns=["delay"], by=[], order="at").resolve(schema)


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
def test_run_on_the_gpu_but_for_the_kernel() -> None:
    assert gpu_gaps(Lag(columns=["delay"], by="plane", order="at", known_at="landed"), FLIGHTS) == ([], set())
    rolling = RollingStats(columns=["delay"], by="plane", order="at", window="7d")
    assert gpu_gaps(rolling, FLIGHTS) == ([], {"rolling"})


def test_a_day_has_24_hours_also_when_the_clocks_change() -> None:
    # New York goes from UTC-5 to UTC-4 on 8 March 2020: from noon to noon it is 23 hours.
    times = pl.Series([datetime(2020, 3, 7, 12), datetime(2020, 3, 8, 12, 30), datetime(2020, 3, 8, 13, 30)])
    frame = pl.DataFrame({"k": "a", "at": times.dt.replace_time_zone("America/New_York"), "x": [1.0, 2.0, 4.0]})
    step = RollingStats(columns="x", by="k", order="at", window="1d", statistics="sum", output="sum")
    got = applied([step], frame)
    assert got["sum"].to_list() == [0.0, 1.0, 2.0]
    assert got["at"].equals(frame["at"])
