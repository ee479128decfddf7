"""Standardize and its moments against scikit-learn and literals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.preprocessing import StandardScaler

from headrace.engines.cpu import CpuEngine
from headrace.transforms.base import UNIT
from headrace.transforms.moments import Moments
from headrace.transforms.scale import Standardize, Standardized

ENGINE = CpuEngine()


def learned(units: list[Any], **fields: Any) -> Standardized:
    schema = pl.Schema({"x": pl.Float64})
    step = Standardize(columns="x", **fields).resolve(schema)
    tables = [
        step.measure(pl.LazyFrame({"x": unit}, schema=schema), ENGINE).with_columns(pl.lit(n, pl.Int64).alias(UNIT))
        for n, unit in enumerate(units)
    ]
    fitted = step.learn(step.merge(tables).collect())
    assert isinstance(fitted, Standardized)
    return fitted


def test_it_is_the_standard_scaler_of_scikit_learn() -> None:
    values = np.random.default_rng(0).normal(1.6e9, 1, 10_000)
    fitted = learned(np.array_split(values, 7))
    expected = StandardScaler().fit_transform(values.reshape(-1, 1))[:, 0]
    got = fitted.apply(pl.LazyFrame({"x": values}), ENGINE).collect()["x"]
    assert got.dtype == pl.Float32
    np.testing.assert_allclose(got.to_numpy(), expected, atol=1e-6)


def test_a_mean_of_1600_million_beside_a_deviation_of_one_where_nvtabulars_normalize_gives_nan() -> None:
    got = learned([[1.6e9 - 1, 1.6e9 + 1], [1.6e9 - 1, None, 1.6e9 + 1]])
    assert (got.mean, got.deviation) == ((1.6e9,), (1.0,))
    assert got.apply(pl.LazyFrame({"x": [1.6e9 - 1, 1.6e9 + 2]}), ENGINE).collect()["x"].to_list() == [-1.0, 2.0]


def test_moments_of_large_numbers_close_together() -> None:
    fitted = learned([[1e9 + 4, 1e9 + 7], [], [1e9 + 13, 1e9 + 16]])
    assert fitted.mean == (1e9 + 10,)
    assert fitted.deviation == (math.sqrt(22.5),)


def test_a_constant_column_gives_zero_and_null_stays() -> None:
    got = learned([[3.0, 3.0, None]]).apply(pl.LazyFrame({"x": [3.0, None]}), ENGINE).collect()
    assert got["x"].to_list() == [0.0, None]


@pytest.mark.parametrize("constant", [0.1, 1 / 3, 1e9 + 0.1, 123456.789, -7.3e-5])
def test_a_constant_that_no_float_sums_exactly_gives_zero(constant: float) -> None:
    fitted = learned([[constant] * 1000, [constant] * 77, [], [None]])
    assert (fitted.mean, fitted.deviation) == ((constant,), (0.0,))
    assert fitted.apply(pl.LazyFrame({"x": [constant]}), ENGINE).collect()["x"].to_list() == [0.0]


def test_a_zero_with_a_sign_does_not_show() -> None:
    assert {str(learned(units).mean) for units in ([[0.0], [-0.0]], [[-0.0], [0.0]], [[-0.0]])} == {"(0.0,)"}


def test_what_is_not_finite_or_too_large_is_left_out() -> None:
    fitted = learned([[1.0, math.nan, math.inf, 3.0, 1e300, -1e100, None]])
    assert (fitted.mean, fitted.deviation) == ((2.0,), (1.0,))


def test_nothing_to_learn_from() -> None:
    got = learned([[], [None]]).apply(pl.LazyFrame({"x": [5.0]}), ENGINE).collect()
    assert got["x"].to_list() == [0.0]


def test_merging_with_nothing_changes_nothing() -> None:
    some = Moments(3, 1.5, 0.25)
    assert some.merged(Moments()) == some
    assert Moments().merged(some) == some
