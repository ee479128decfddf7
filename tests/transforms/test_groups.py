from __future__ import annotations

import math
import statistics
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from tests.transforms.fitting import applied, gpu_gaps, learned, saved_and_loaded, transformed

from headrace.engines.translation import available
from headrace.schemas.errors import PipelineError
from headrace.transforms.groups import GroupStats

ALL = ("count", "sum", "mean", "std", "min", "max", "n_unique")
FRAME = pl.DataFrame({"g": ["a", "b", "a", "a", None, "c"], "x": [1.0, 5.0, 3.0, None, 7.0, None]})


def test_by_hand() -> None:
    got = transformed(GroupStats(by=["g"], of=["x"], statistics=ALL), FRAME)
    columns = [f"x_{s}_by_g" for s in ALL]
    assert got.columns == ["g", "x", *columns]
    assert [got.schema[c] for c in columns] == [pl.Int64] + [pl.Float64] * 5 + [pl.Int64]
    a = (2, 4.0, 2.0, math.sqrt(2), 1.0, 3.0, 2)
    b = (1, 5.0, 5.0, None, 5.0, 5.0, 1)
    c = (0, None, None, None, None, None, 0)
    assert got.select(columns).rows() == [a, b, a, a, c, c]


def test_new_groups_have_no_statistic() -> None:
    new = pl.DataFrame({"g": ["z", None, "a"]})
    got = transformed(GroupStats(by=["g"], of=["x"], statistics=["mean", "count", "n_unique"]), new, train=FRAME)
    assert got.drop("g").rows() == [(None, 0, 0), (None, 0, 0), (2.0, 2, 2)]


def test_the_count_of_rows() -> None:
    got = transformed(GroupStats(by="g", statistics="count"), FRAME)
    assert got["rows_count_by_g"].to_list() == [3, 1, 3, 3, 0, 1]


def test_several_keys_and_names() -> None:
    frame = pl.DataFrame({"g": ["a", "a", "b"], "h": [1, 1, 1], "x": [1, 2, 4], "y": [True, True, False]})
    step = GroupStats(by=["g", "h"], of=["x", "y"], statistics=["sum", "n_unique"], output="{by}.{column}.{statistic}")
    got = transformed(step, frame)
    assert got.row(0, named=True) == {
        "g": "a", "h": 1, "x": 1, "y": True,
        "g_h.x.sum": 3.0, "g_h.x.n_unique": 2, "g_h.y.sum": 2.0, "g_h.y.n_unique": 1,
    }  # fmt: skip


def test_minimum_and_maximum_keep_the_type() -> None:
    frame = pl.DataFrame({"g": ["a", "a"], "x": [2**63 - 1, 2**53 + 1]})
    got = transformed(GroupStats(by=["g"], of=["x"], statistics=["min", "max"]), frame)
    assert got.row(0)[2:] == (2**53 + 1, 2**63 - 1)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Int64, pl.Int32])
def test_a_mean_of_billions_beside_a_deviation_of_one(dtype: pl.DataType) -> None:
    frame = pl.DataFrame({"g": ["a"] * 3, "x": pl.Series([1600000000, 1600000001, 1600000002], dtype=dtype)})
    got = transformed(GroupStats(by=["g"], of=["x"], statistics=["mean", "std"]), frame)
    assert got.row(0)[2:] == (1600000001.0, 1.0)


def test_nan_and_infinities_are_left_out() -> None:
    frame = pl.DataFrame({"g": ["a"] * 5, "x": [math.nan, math.inf, -math.inf, 1.0, 3.0]})
    got = transformed(GroupStats(by=["g"], of=["x"], statistics=ALL), frame)
    assert got.row(0)[2:] == (2, 4.0, 2.0, math.sqrt(2), 1.0, 3.0, 2)


def test_a_group_of_nothing_but_nan_has_no_mean() -> None:
    frame = pl.DataFrame({"g": ["a", "b"], "x": [math.nan, 1.0]})
    got = transformed(GroupStats(by=["g"], of=["x"], statistics=["mean", "sum", "max"]), frame)
    assert got.row(0)[2:] == (None, None, None)


def test_agrees_with_duckdb_and_the_standard_library() -> None:
    random = np.random.default_rng(4)
    frame = pl.DataFrame(
        {
            "g": random.choice(["a", "b", "c", "d"], 600),
            "x": [None if n % 7 == 0 else float(v) for n, v in enumerate(random.normal(1e5, 3, 600))],
            "n": random.integers(-5, 5, 600),
        }
    )
    got = transformed(GroupStats(by=["g"], of=["x", "n"], statistics=ALL), frame).unique("g").sort("g").drop("x", "n")
    connection = duckdb.connect()
    connection.register("f", frame.to_arrow())
    wanted = ", ".join(
        f"count({c}), sum({c})::double, avg({c}), stddev_samp({c}), min({c}), max({c}), count(distinct {c})"
        for c in "xn"
    )
    expected = connection.sql(f"select g, {wanted} from f group by g order by g").fetchall()
    for row, other in zip(got.rows(), expected, strict=True):
        assert row[0] == other[0]
        assert row[1:] == pytest.approx(other[1:], rel=1e-9)
    for group, deviation in got.select("g", "x_std_by_g").rows():
        values = frame.filter(pl.col("g") == group)["x"].drop_nulls().to_list()
        assert deviation == pytest.approx(statistics.stdev(values), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("cuts", [(1,), (250,), (10, 20, 30, 300), (0, 500)])
def test_partitions_and_order_do_not_show(cuts: tuple[int, ...]) -> None:
    random = np.random.default_rng(6)
    rows = pl.DataFrame(
        {"g": random.integers(0, 9, 500), "x": random.normal(1.6e9, 1, 500), "n": random.integers(0, 9, 500)}
    )
    step = GroupStats(by=["g"], of=["x", "n"], statistics=ALL)
    whole = learned(step, rows)
    assert learned(step, rows, cuts) == whole
    assert learned(step, rows.sample(fraction=1, shuffle=True, seed=2), cuts) == whole


def test_the_order_of_zeros_does_not_show() -> None:
    step = GroupStats(by=["g"], of=["x"], statistics=["min", "max"])
    for zeros in ([0.0, -0.0], [-0.0, 0.0]):
        got = transformed(step, pl.DataFrame({"g": ["a", "a"], "x": zeros}))
        assert [math.copysign(1, v) for v in got.row(0)[2:]] == [1.0, 1.0]


def test_nothing_to_learn_from() -> None:
    step = GroupStats(by=["g"], of=["x"], statistics=ALL)
    empty = (2, 2)
    for frame in (FRAME.clear(), FRAME.with_columns(g=pl.lit(None, pl.String))):
        got = transformed(step, FRAME, train=frame)
        assert got.schema == transformed(step, FRAME).schema
        assert got.height == FRAME.height
        assert got.row(0)[empty[0] :] == (0, None, None, None, None, None, 0)
    one = transformed(step, FRAME.head(1))
    assert one.row(0)[2:] == (1, 1.0, 1.0, None, 1.0, 1.0, 1)


def test_saved_and_loaded() -> None:
    step = GroupStats(by=["g"], of=["x"], statistics=ALL)
    assert GroupStats.model_validate_json(step.model_dump_json()) == step
    (fitted,) = learned(step, FRAME)
    assert applied([saved_and_loaded(fitted)], FRAME).equals(applied([fitted], FRAME))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"statistics": ["mean"]}, "without `of`"),
        ({"of": ["x"], "statistics": ["sum", "sum"]}, "named twice"),
        ({"of": ["x"], "statistics": []}, "at least 1"),
        ({"of": ["x"], "statistics": ["median"]}, "statistics"),
        ({"of": ["x"], "statistics": ["sum", "mean"], "output": "{column}"}, "several statistics"),
        ({"of": ["x", "y"], "statistics": ["sum"], "output": "s"}, "several columns"),
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GroupStats(**{"by": ["g"], **fields})


def test_columns_that_do_not_fit() -> None:
    schema = pl.Schema({"g": pl.String(), "f": pl.Float64(), "l": pl.List(pl.Int64)})
    with pytest.raises(PipelineError, match=r"groups by .*, got Float64 in 'f'"):
        GroupStats(by=["f"], statistics="count").resolve(schema)
    with pytest.raises(PipelineError, match="got String in column 'g'"):
        GroupStats(by=["g"], of=["g"], statistics="mean").resolve(schema)
    with pytest.raises(PipelineError, match="got List"):
        GroupStats(by=["g"], of=["l"], statistics="n_unique").resolve(schema)


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
def test_runs_on_the_gpu() -> None:
    frame = FRAME.with_columns(n=pl.lit(1))
    assert gpu_gaps(GroupStats(by=["g"], of=["x", "n"], statistics=ALL), frame) == ([], set())


def test_columns_called_like_parts_of_the_statistics_are_told_apart() -> None:
    names = ["x", "x:sum", "x:x", "x:high", "x:square0"]
    frame = pl.DataFrame({"g": ["a", "a", "b"], **{n: [1.0 * i, 2.0 * i, 7.0] for i, n in enumerate(names, 1)}})
    got = transformed(GroupStats(by="g", of=names, statistics=["sum", "std"], output="{column} {statistic}"), frame)
    for i, name in enumerate(names, 1):
        assert got[f"{name} sum"].to_list() == [3.0 * i, 3.0 * i, 7.0]
        assert got[f"{name} std"].to_list() == [
            pytest.approx(math.sqrt(0.5) * i),
            pytest.approx(math.sqrt(0.5) * i),
            None,
        ]


def test_a_result_over_what_it_groups_by_is_refused() -> None:
    with pytest.raises(PipelineError, match="over column 'g', which it groups by"):
        GroupStats(by="g", of="x", output="g").resolve(FRAME.schema)
