"""FrequencyEncode and DropRare against literals and other implementations."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from sklearn.preprocessing import OneHotEncoder
from tests.transforms.fitting import applied, gpu_gaps, learned, saved_and_loaded, transformed

from headrace.engines.cpu import CpuEngine
from headrace.engines.translation import available
from headrace.schemas.errors import PipelineError
from headrace.transforms.frequency import DropRare, FrequencyEncode

FRAME = pl.DataFrame({"x": ["b", "a", None, "b", "c", "b"], "n": [7, 7, 2**53 + 1, 2**53, None, None]})


def test_counts_of_the_training_rows() -> None:
    got = transformed(FrequencyEncode(columns=["x", "n"]), FRAME)
    assert got.schema["x_frequency"] == got.schema["n_frequency"] == pl.Int64
    assert got["x_frequency"].to_list() == [3, 1, 0, 3, 1, 3]
    assert got["n_frequency"].to_list() == [2, 2, 1, 1, 0, 0]
    assert got.select(FRAME.columns).equals(FRAME)


def test_shares_are_of_the_rows_that_are_not_null() -> None:
    got = transformed(FrequencyEncode(columns="x", statistic="share", output="{column}"), FRAME)["x"]
    assert got.dtype == pl.Float32
    np.testing.assert_array_equal(got.to_numpy(), np.array([0.6, 0.2, 0.0, 0.6, 0.2, 0.6], dtype=np.float32))


def test_counts_are_those_of_python() -> None:
    values = [f"v{n}" for n in np.random.default_rng(1).zipf(1.5, 500)]
    expected = Counter(values)
    got = transformed(FrequencyEncode(columns="x"), pl.DataFrame({"x": values}))["x_frequency"]
    assert got.to_list() == [expected[v] for v in values]


def test_what_training_did_not_have_is_zero() -> None:
    new = pl.DataFrame({"x": ["b", "new", "", None]})
    for statistic, expected in (("count", [3, 0, 0, 0]), ("share", [pytest.approx(0.6), 0, 0, 0])):
        (fitted,) = learned(FrequencyEncode(columns="x", statistic=statistic), FRAME.select("x"))
        assert applied([fitted], new)["x_frequency"].to_list() == expected


@pytest.mark.parametrize("values", [[True, False, True], [date(2020, 1, 1), date(1969, 1, 1), date(2020, 1, 1)]])
def test_booleans_and_dates(values: list[Any]) -> None:
    frame = pl.DataFrame({"x": values})
    assert transformed(FrequencyEncode(columns="x"), frame)["x_frequency"].to_list() == [2, 1, 2]
    assert transformed(DropRare(columns="x", min_count=2), frame)["x"].to_list() == [values[0], None, values[0]]


def test_rare_values_become_null_or_a_value() -> None:
    assert transformed(DropRare(columns="x", min_count=2), FRAME)["x"].to_list() == ["b", None, None, "b", None, "b"]
    other = transformed(DropRare(columns="x", min_count=2, value="other", output="y"), FRAME)
    assert other["y"].to_list() == ["b", "other", None, "b", "other", "b"]
    assert other["x"].to_list() == FRAME["x"].to_list()
    whole = transformed(DropRare(columns="n", min_count=2, value=-1), FRAME)["n"]
    assert (whole.dtype, whole.to_list()) == (pl.Int64, [7, 7, -1, -1, None, None])


def test_values_that_training_did_not_have_are_rare() -> None:
    (fitted,) = learned(DropRare(columns="x", min_count=1, value="?"), FRAME.select("x"))
    assert applied([fitted], pl.DataFrame({"x": ["c", "new", None]}))["x"].to_list() == ["c", "?", None]


def test_a_share_is_the_decimal_fraction_that_is_written() -> None:
    frame = pl.DataFrame({"x": ["a"] * 7 + ["b"] * 93 + [None] * 50})  # 0.07 * 100 > 7 in binary
    assert transformed(DropRare(columns="x", min_share=0.07), frame)["x"][0] == "a"
    assert transformed(DropRare(columns="x", min_share=0.0700001), frame)["x"][0] is None
    assert transformed(DropRare(columns="x", min_share=1.0), frame)["x"].to_list() == [None] * 150


@pytest.mark.parametrize("least", [2, 5, 11])
def test_rare_values_are_those_of_scikit_learn(least: int) -> None:
    values = [f"v{n}" for n in np.random.default_rng(least).zipf(1.3, 300)]
    twin = OneHotEncoder(min_frequency=least).fit(np.array(values, dtype=object).reshape(-1, 1))
    rare = set(twin.infrequent_categories_[0])
    got = transformed(DropRare(columns="x", min_count=least), pl.DataFrame({"x": values}))["x"]
    assert got.to_list() == [None if v in rare else v for v in values]


STEPS = (
    FrequencyEncode(columns=["x"]),
    FrequencyEncode(columns=["n"], statistic="share"),
    DropRare(columns=["x"], min_count=2, value="?"),
    DropRare(columns=["n"], min_share=0.3),
)


@pytest.mark.parametrize("step", STEPS)
def test_neither_partitions_nor_the_order_of_rows_show(step: Any) -> None:
    expected = learned(step, FRAME)
    assert all(learned(step, FRAME, cuts=cuts) == expected for cuts in [(1,), (3,), (1, 2, 3, 4, 5), (0, 0, 6)])
    assert learned(step, FRAME.reverse()) == expected


@pytest.mark.parametrize("step", STEPS)
def test_saved_and_loaded(step: Any) -> None:
    (fitted,) = learned(step, FRAME)
    assert applied([saved_and_loaded(fitted)], FRAME).equals(applied([fitted], FRAME))


def test_rows_may_come_with_wider_integers_than_training() -> None:
    train = pl.DataFrame({"x": pl.Series([7, 7, 1], dtype=pl.Int8)})
    wide = pl.DataFrame({"x": [7, 1, 1000, None]})
    (encoded,), (kept,) = (
        learned(FrequencyEncode(columns="x"), train),
        learned(DropRare(columns="x", min_count=2), train),
    )
    assert applied([encoded], wide)["x_frequency"].to_list() == [2, 1, 0, 0]
    assert applied([kept], wide)["x"].to_list() == [7, None, None, None]


def test_nothing_to_learn_from() -> None:
    for frame in (pl.DataFrame(schema={"x": pl.Int64}), pl.DataFrame({"x": [None]}, schema={"x": pl.Int64})):
        new = pl.DataFrame({"x": [1, None]})
        for statistic in ("count", "share"):
            (fitted,) = learned(FrequencyEncode(columns="x", statistic=statistic), frame)
            assert applied([fitted], new)["x_frequency"].to_list() == [0, 0]
        assert applied(learned(DropRare(columns="x", min_share=0.5), frame), new)["x"].to_list() == [None, None]


@pytest.mark.parametrize(
    "fields",
    [{}, {"min_count": 2, "min_share": 0.5}, {"min_count": 0}, {"min_share": 0.0}, {"min_share": 1.5}],
)
def test_bounds_that_do_not_fit_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DropRare(columns="x", **fields)


def test_columns_that_do_not_fit_are_refused_by_name() -> None:
    for step in (FrequencyEncode(columns="f"), DropRare(columns="f", min_count=2)):
        with pytest.raises(PipelineError, match="got Float64 in column 'f'"):
            step.resolve(pl.Schema({"f": pl.Float64()}))
    with pytest.raises(
        PipelineError, match=r"DropRare cannot put 300 into column 'n' \(Int8\): got 300, expected a whole"
    ):
        DropRare(columns="n", min_count=2, value=300).resolve(pl.Schema({"n": pl.Int8()}))


def test_several_columns_cannot_be_measured_as_one() -> None:
    for step in (FrequencyEncode(columns=["x", "n"]), DropRare(columns=["x", "n"], min_count=2)):
        with pytest.raises(PipelineError, match=r"of 2 columns .*separate"):
            step.measure(FRAME.lazy(), CpuEngine())


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
def test_runs_on_the_gpu_but_for_the_kernels() -> None:
    assert gpu_gaps(FrequencyEncode(columns=["x", "n"], statistic="share"), FRAME) == ([], set())
    assert gpu_gaps(DropRare(columns=["x", "n"], min_count=2), FRAME) == ([], {"lookup"})
