"""Statistics of all earlier rows against DuckDB's window functions, Python's fractions and literals."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from tests.transforms.fitting import applied, gpu_gaps

from headrace.engines.translation import available
from headrace.schemas.errors import PipelineError
from headrace.transforms.expanding import Expanding

START = datetime(2020, 1, 1)
FLIGHTS = pl.DataFrame(
    {
        "plane": ["a", "b", "a", "a", None, "b", "a", None, "a"],
        "at": [None if h is None else START + timedelta(hours=h) for h in (5, 1, 1, 3, 2, 9, None, 4, 3)],
        "delay": [50, 10, 1, 30, 2, 90, 7, 4, None],
    }
)
BOTH = ["count", "mean"]


def expanded(frame: pl.DataFrame, **fields: Any) -> pl.DataFrame:
    step = Expanding(**{"columns": ["delay"], "by": "plane", "order": "at", "statistics": BOTH, **fields})
    return applied([step], frame)


def test_statistics_of_all_earlier_rows() -> None:
    got = expanded(FLIGHTS)
    assert got.schema == {**FLIGHTS.schema, "delay_count": pl.Int64, "delay_mean": pl.Float64}
    assert got["delay_count"].to_list() == [2, 0, 0, 1, None, 1, None, None, 1]
    assert got["delay_mean"].to_list() == [15.5, None, None, 1.0, None, 10.0, None, None, 1.0]
    assert got.select(FLIGHTS.columns).equals(FLIGHTS)


def test_rows_of_one_time_do_not_see_each_other() -> None:
    frame = pl.DataFrame(
        {"plane": ["a"] * 5, "at": [date(2020, 1, d) for d in (2, 1, 2, 1, 3)], "delay": [1, 2, 3, 4, 0]}
    )
    assert expanded(frame, columns="delay")["delay_mean"].to_list() == [3.0, None, 3.0, None, 2.5]


def test_it_agrees_with_duckdb_in_any_order() -> None:
    random = np.random.default_rng(7)
    frame = pl.DataFrame(
        {
            "k": random.choice(["a", "b", "c"], 600),
            "l": random.integers(0, 3, 600),
            "t": random.integers(0, 200, 600),
            "x": [None if v < -1.5 else v for v in random.normal(size=600)],
            "n": random.integers(-(2**40), 2**40, 600),
            "row": range(600),
        }
    )
    connection = duckdb.connect()
    connection.register("f", frame.to_arrow())
    window = "partition by k, l order by t range between unbounded preceding and 1 preceding"
    expected = connection.sql(
        f"select count(x) over w, avg(x) over w, count(n) over w, avg(n) over w from f window w as ({window})"
        " order by row"
    ).fetchall()
    got = expanded(frame, columns=["x", "n"], by=["k", "l"], order="t")
    for row, other in zip(got.select("x_count", "x_mean", "n_count", "n_mean").rows(), expected, strict=True):
        assert row == tuple(v if v is None else pytest.approx(v, rel=1e-13, abs=1e-15) for v in other)


def test_means_are_those_of_exact_sums_where_a_running_sum_loses_all() -> None:
    values = [1e18, 1.0, -1e18, -3.5, 2.0**-40, -1e-10, 0.1, -0.1, 0.0]
    frame = pl.DataFrame({"plane": "a", "at": range(len(values)), "delay": values})
    exact = [float(sum(map(Fraction, values[:n]), Fraction(0)) / n) for n in range(1, len(values))]
    assert expanded(frame)["delay_mean"].to_list() == [None, *(pytest.approx(v, rel=1e-9) for v in exact)]
    turned = expanded(frame.with_columns(delay=-pl.col("delay")))
    assert turned["delay_mean"].to_list() == [None, *(pytest.approx(-v, rel=1e-9) for v in exact)]


def test_integers_beyond_the_floats_and_sums_beyond_int64() -> None:
    frame = pl.DataFrame({"plane": "a", "at": range(5), "delay": [2**53 + 1, -(2**53), 2**63 - 1, 2**63 - 1, 0]})
    assert expanded(frame)["delay_mean"].to_list() == [None, 2.0**53, 0.5, 2.0**63 / 3, 2.0**62]


def test_a_mean_does_not_depend_on_the_other_entities() -> None:
    random = np.random.default_rng(2)
    frame = pl.DataFrame(
        {"plane": random.integers(0, 9, 500), "at": random.integers(0, 99, 500), "delay": random.normal(size=500) * 1e6}
    )
    alone = pl.concat([expanded(part) for part in frame.partition_by("plane", maintain_order=True)])
    assert expanded(frame).sort("plane", maintain_order=True).equals(alone.sort("plane", maintain_order=True))


def test_what_is_no_number_is_left_out() -> None:
    values = [1.0, float("nan"), float("inf"), 2.0**63, None, 3.0, 0.0]
    got = expanded(pl.DataFrame({"plane": "a", "at": range(7), "delay": values}))
    assert got["delay_count"].to_list() == [0, 1, 1, 1, 1, 1, 2]
    assert got["delay_mean"].to_list() == [None, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0]


def test_booleans_and_times_in_a_zone() -> None:
    times = pl.Series([datetime(2020, 1, 1, h) for h in (3, 1, 2)]).dt.replace_time_zone("Asia/Kolkata")
    frame = pl.DataFrame({"plane": "a", "at": times, "delay": [True, True, False]})
    assert expanded(frame)["delay_mean"].to_list() == [0.5, None, 1.0]


@pytest.mark.parametrize(
    "frame", [FLIGHTS.clear(), FLIGHTS.head(1), FLIGHTS.with_columns(delay=pl.lit(None, pl.Int64))]
)
def test_little_or_nothing(frame: pl.DataFrame) -> None:
    got = expanded(frame)
    assert got.schema == {**frame.schema, "delay_count": pl.Int64, "delay_mean": pl.Float64}
    assert got["delay_mean"].null_count() == frame.height
    assert got["delay_count"].drop_nulls().to_list() == [0] * frame.drop_nulls(["plane", "at"]).height


def test_entities_reads_and_writes() -> None:
    step = Expanding(
        columns="numeric", by=["plane"], order="at", statistics=["mean", "count"], output="{statistic}_{column}"
    )
    resolved = step.resolve(FLIGHTS.schema)
    assert resolved.entity == ("plane",)
    assert resolved.reads == ("delay", "plane", "at")
    assert resolved.writes == ("mean_delay", "count_delay")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"statistics": ["mean", "mean"]}, "named twice"),
        ({"statistics": []}, "at least 1 item"),
        ({"statistics": ["sum"]}, "'count' or 'mean'"),
        ({"statistics": ["count", "mean"], "output": "x"}, "several statistics"),
        ({"columns": ["a", "b"], "output": "x"}, "several columns"),
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Expanding(**{"columns": ["delay"], "by": "plane", "order": "at", **fields})


def test_columns_that_do_not_fit() -> None:
    schema = FLIGHTS.with_columns(part=pl.lit(0.5)).schema
    with pytest.raises(PipelineError, match="an integer, a date or a datetime, got Float64 in 'part'"):
        Expanding(columns="delay", by="plane", order="part").resolve(schema)
    with pytest.raises(PipelineError, match="Expanding takes a number or a boolean, got String in column 'plane'"):
        Expanding(columns="plane", by="plane", order="at").resolve(schema)
    with pytest.raises(PipelineError, match=r"`by` takes .* got Float64"):
        Expanding(columns="delay", by="part", order="at").resolve(schema)


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
def test_all_of_it_runs_on_the_gpu() -> None:
    step = Expanding(columns=["delay", "part"], by="plane", order="at", statistics=BOTH)
    assert gpu_gaps(step, FLIGHTS.with_columns(part=pl.col("delay") / 7)) == ([], set())
