from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from headrace.engines.cpu import CpuEngine
from headrace.engines.kernels.rolling import Output, Rolling

ENGINE = CpuEngine()
STATISTICS = ("count", "sum", "mean", "std", "min", "max")
START = datetime(2020, 1, 1)


def at(hour: float | None) -> datetime | None:
    return None if hour is None else START + timedelta(hours=hour)


def rolled(
    rows: list[tuple[Any, ...]],
    *,
    hours: float = 10,
    known_at: str | None = None,
    statistics: tuple[str, ...] = STATISTICS,
) -> pl.DataFrame:
    """`rows` are (key, hour, value, hour known)."""
    frame = pl.DataFrame(
        [(r[0], at(r[1]), r[2], at(r[3]) if len(r) > 3 else None, n) for n, r in enumerate(rows)],
        schema={"k": pl.String, "t": pl.Datetime("us"), "x": pl.Float64, "known": pl.Datetime("us"), "row": pl.Int64},
        orient="row",
    )
    outputs = tuple(Output(s, "x", s) for s in statistics)  # type: ignore[arg-type]
    length = timedelta(hours=hours)
    lazy = ENGINE.kernel(frame.lazy(), Rolling(by=("k",), on="t", known_at=known_at, length=length, outputs=outputs))
    result = ENGINE.collect([lazy])[0]
    assert result.columns == [*frame.columns, *statistics]
    assert result.select(frame.columns).equals(frame)
    return result


def test_statistics_of_the_rows_before() -> None:
    got = rolled([("a", 1, 1.0), ("a", 2, 2.0), ("a", 3, 6.0), ("a", 4, 0.0)])
    assert got.row(0)[5:] == (0, 0.0, None, None, None, None)
    assert got.row(1)[5:] == (1, 1.0, 1.0, None, 1.0, 1.0)
    assert got.row(3)[5:] == (3, 9.0, 3.0, pytest.approx(math.sqrt(7)), 1.0, 6.0)


def test_types() -> None:
    schema = rolled([("a", 1, 1.0)]).schema
    assert [schema[s] for s in STATISTICS] == [pl.Int64] + [pl.Float64] * 5


def test_the_window_has_its_beginning_and_not_its_end() -> None:
    got = rolled([("a", 0, 1.0), ("a", 10, 2.0), ("a", 20.5, 4.0)], hours=10, statistics=("sum",))
    assert got["sum"].to_list() == [0.0, 1.0, 0.0]


def test_rows_of_one_time_do_not_see_each_other() -> None:
    got = rolled([("a", 1, 1.0), ("a", 2, 2.0), ("a", 2, 4.0), ("a", 3, 8.0)], statistics=("sum", "count"))
    assert got["sum"].to_list() == [0.0, 1.0, 1.0, 7.0]
    assert got["count"].to_list() == [0, 1, 1, 3]


def test_keys_are_apart_and_rows_keep_their_order() -> None:
    got = rolled([("b", 5, 1.0), ("a", 4, 2.0), ("b", 1, 4.0), ("a", 9, 8.0), ("a", 1, 16.0)], statistics=("sum",))
    assert got["sum"].to_list() == [4.0, 16.0, 0.0, 18.0, 0.0]


def test_null_keys_and_times_give_null_and_count_for_nothing() -> None:
    got = rolled([(None, 1, 1.0), (None, 2, 1.0), ("a", None, 1.0), ("a", 2, 2.0), ("a", 3, 2.0)])
    assert got["count"].to_list() == [None, None, None, 0, 1]
    assert got["sum"].to_list() == [None, None, None, 0.0, 2.0]


def test_null_values_do_not_count() -> None:
    got = rolled([("a", 1, None), ("a", 2, 3.0), ("a", 3, None), ("a", 4, None)])
    assert got["count"].to_list() == [0, 0, 1, 1]
    assert got["mean"].to_list() == [None, None, 3.0, 3.0]


def test_values_count_from_when_they_were_known() -> None:
    rows = [("a", 1, 1.0, 2), ("a", 2, 2.0, 9), ("a", 3, 4.0, None), ("a", 9, 8.0, 10), ("a", 9.5, 16.0, 11)]
    got = rolled(rows, known_at="known", statistics=("sum",))
    # At 2 the first is just being known: not yet. At 9.5 those known at 2 and 9 are; the third never is.
    assert got["sum"].to_list() == [0.0, 0.0, 1.0, 1.0, 3.0]


def test_a_value_known_before_its_own_row_counts_for_it() -> None:
    assert rolled([("a", 5, 1.0, 4)], known_at="known", statistics=("sum",))["sum"].to_list() == [1.0]


def test_a_great_value_leaves_no_trace_when_it_is_out_of_the_window() -> None:
    rows = [("a", 0, 1e20), ("a", 1, 1.0), ("a", 10.5, 2.0), ("a", 11.5, 0.0)]
    got = rolled(rows, statistics=("sum", "mean", "std"))
    assert got.row(2)[5:] == (1.0, 1.0, None)
    assert got.row(3)[5:] == (2.0, 2.0, None)


def test_nan_and_infinity_leave_no_trace_when_they_are_out_of_the_window() -> None:
    for value in (math.nan, math.inf):
        rows = [("a", 0, value), ("a", 1, 1.0), ("a", 10.5, 3.0), ("a", 10.9, 0.0)]
        got = rolled(rows, statistics=("sum", "mean", "max"))
        assert got.row(2)[5:] == (1.0, 1.0, 1.0)
        assert got.row(3)[5:] == (4.0, 2.0, 3.0)


def test_a_mean_of_billions_beside_a_deviation_of_one() -> None:
    random = np.random.default_rng(3)
    values = 1.6e9 + random.normal(size=400)
    got = rolled([("a", n, v) for n, v in enumerate(values)], hours=48, statistics=("std",))["std"].to_list()
    expected = [float(values[max(0, n - 48) : n].std(ddof=1)) for n in range(48, 400)]
    assert got[48:] == pytest.approx(expected, abs=1e-5)


def test_dates_and_several_keys() -> None:
    frame = pl.LazyFrame(
        {"k": ["a", "a", "a"], "l": [1, 1, 2], "d": [date(2020, 1, n) for n in (1, 2, 3)], "x": [1, 2, 4]}
    )
    outputs = (Output("s", "x", "sum"),)
    length = timedelta(days=7)
    got = ENGINE.kernel(frame, Rolling(by=("k", "l"), on="d", known_at=None, length=length, outputs=outputs)).collect()
    assert got["s"].to_list() == [0.0, 1.0, 0.0]


def test_empty_frames_keep_the_types() -> None:
    got = rolled([])
    assert got.height == 0
    assert got["mean"].dtype == pl.Float64


def test_agrees_with_duckdb() -> None:
    random = np.random.default_rng(9)
    rows = [
        (str(random.choice(["a", "b", "c"])), int(random.integers(0, 300)), float(random.integers(-50, 50)))
        for _ in range(800)
    ]
    rows = [(k, t, None if n % 11 == 0 else x) for n, (k, t, x) in enumerate(rows)]
    got = rolled(rows, hours=24)
    connection = duckdb.connect()
    connection.register("f", got.select("k", "t", "x", "row").to_arrow())
    window = (
        "(partition by k order by t range between interval 24 hours preceding and interval 1 microsecond preceding)"
    )
    expected = connection.sql(
        f"""select row, count(x) over w, coalesce(sum(x) over w, 0), avg(x) over w, stddev_samp(x) over w,
                   min(x) over w, max(x) over w
            from f window w as {window} order by row"""
    ).pl()
    for position, statistic in enumerate(STATISTICS, 1):
        wanted = expected.to_series(position).cast(pl.Float64)
        assert got[statistic].cast(pl.Float64).is_null().equals(wanted.is_null(), check_names=False)
        assert got[statistic].fill_null(0).to_list() == pytest.approx(wanted.fill_null(0).to_list(), abs=1e-9)


def test_the_stand_in_has_the_output_types() -> None:
    frame = pl.LazyFrame({"x": [1.0]})
    outputs = tuple(Output(s, "x", s) for s in STATISTICS)
    kernel = Rolling(by=("k",), on="t", known_at=None, length=timedelta(1), outputs=outputs)
    schema = kernel.stand_in(frame, ENGINE).collect_schema()
    assert [schema[s] for s in STATISTICS] == [pl.Int64] + [pl.Float64] * 5
