"""PowerTransform against scikit-learn and literals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from sklearn.preprocessing import PowerTransformer
from tests.transforms.fitting import in_units

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.likelihood import Method
from headrace.transforms.power_transform import PowerTransform, PowerTransformed

ENGINE = CpuEngine()


def learned(units: list[Any], dtype: Any = pl.Float64, **fields: Any) -> PowerTransformed:
    fitted = in_units(PowerTransform(columns="x", **fields), units, pl.Schema({"x": dtype}))
    assert isinstance(fitted, PowerTransformed)
    return fitted


def applied(step: PowerTransformed, values: Any, dtype: Any = pl.Float64) -> pl.Series:
    got = step.apply(pl.LazyFrame({"x": values}, schema={"x": dtype}), ENGINE).collect()
    assert got.schema == {"x": pl.Float32}
    return got["x"]


def twin(values: Any, method: Method) -> tuple[float, Any]:
    fitted = PowerTransformer(method).fit(values[:, None])
    return float(fitted.lambdas_[0]), fitted.transform(values[:, None])[:, 0]


ANY_SIGN = {
    "normal": lambda random, n: random.normal(5, 2, n),
    "negative": lambda random, n: -random.lognormal(0, 1, n),
    "heavy tails": lambda random, n: random.standard_t(3, n),
}
POSITIVE = {
    "log-normal": lambda random, n: random.lognormal(8, 2, n),
    "exponential": lambda random, n: random.exponential(1, n),
    "gamma": lambda random, n: random.gamma(2, 3, n),
    "uniform": lambda random, n: random.uniform(0, 100, n),
}
CASES = [("yeo-johnson", shape) for shape in {**ANY_SIGN, **POSITIVE}] + [("box-cox", shape) for shape in POSITIVE]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "shape"), CASES)
def test_it_is_that_of_scikit_learn_where_the_summary_is_exact(method: Method, shape: str) -> None:
    values = {**ANY_SIGN, **POSITIVE}[shape](np.random.default_rng(0), 4000)
    step = learned(np.array_split(values, 2), method=method)
    power, expected = twin(values, method)
    assert step.powers == (pytest.approx(power, abs=2e-5),)
    np.testing.assert_allclose(applied(step, values).to_numpy(), expected, atol=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "shape"), CASES)
def test_beyond_power_mean_and_deviation_are_within_a_thousandth(method: Method, shape: str) -> None:
    values = {**ANY_SIGN, **POSITIVE}[shape](np.random.default_rng(1), 120_000)
    step = learned(np.array_split(values, 2), method=method)
    assert step.powers == (pytest.approx(twin(values, method)[0], abs=1e-3),)
    got = applied(step, values)
    assert (got.mean(), got.std()) == (pytest.approx(0, abs=1e-3), pytest.approx(1, abs=1e-3))


@pytest.mark.slow
def test_so_many_values_that_neighbours_count_as_their_mean() -> None:
    values = np.random.default_rng(2).lognormal(0, 1, 70_000)
    step = learned(np.array_split(values, 35), method="box-cox")  # no unit has more than 2048
    assert step.powers == (pytest.approx(twin(values, "box-cox")[0], abs=1e-4),)


def test_null_and_nan_stay_and_infinities_are_left_out() -> None:
    step = learned([[1.0, None, math.nan], [10.0, math.inf, 100.0, -math.inf]])
    assert step.powers == learned([[1.0, 10.0, 100.0]]).powers
    assert str(applied(step, [None, math.nan]).to_list()) == "[None, nan]"


def test_box_cox_has_no_value_for_what_is_not_above_zero() -> None:
    step = learned([[1.0, 10.0, 100.0, 0.0, -5.0]], method="box-cox")
    assert step.powers == (0.0,)
    edge = math.sqrt(1.5)
    expected = [pytest.approx(-edge), 0.0, pytest.approx(edge), pytest.approx(math.nan, nan_ok=True)]
    assert applied(step, [1.0, 10.0, 100.0, 0.0]).to_list() == expected
    assert str(applied(step, [-5.0, -0.0]).to_list()) == "[nan, nan]"


@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
@pytest.mark.parametrize("units", [[[3.0, 3.0], [3.0]], [[0.1] * 9], [[], [None, math.nan]], [[]]])
def test_a_column_without_two_different_values_is_zero(units: list[Any], method: Method) -> None:
    step = learned(units, method=method)
    assert step.powers == (1.0,)
    assert applied(step, [3.0, 0.1, None]).to_list() == [0.0, 0.0, None]


def test_a_constant_below_zero_is_zero() -> None:
    assert applied(learned([[-3.0] * 5]), [-3.0, 0.0]).to_list() == [0.0, 0.0]
    assert applied(learned([[False] * 5], pl.Boolean), [False], pl.Boolean).to_list() == [0.0]


def test_a_small_deviation_beside_a_large_mean() -> None:
    values = np.random.default_rng(3).normal(1.6e9, 1, 3000)
    step = learned(np.array_split(values, 2))
    assert step.powers == (1.0,)  # no other tells them apart
    np.testing.assert_allclose(applied(step, values).to_numpy(), (values - values.mean()) / values.std(), atol=1e-6)


def test_values_as_far_apart_as_floats_go() -> None:
    got = applied(learned([[-1.7e308, -1.0, 0.0, 1.0, 1.7e308]]), [-1.7e308, 0.0, 1.7e308])
    assert got.is_finite().all()
    assert got.is_sorted()


def test_integers_beyond_2_to_the_53() -> None:
    got = applied(learned([[0, 2**62, -(2**62)]], pl.Int64), [0, 2**62, -(2**62), None], pl.Int64)
    assert got.to_list() == [0.0, pytest.approx(math.sqrt(1.5)), pytest.approx(-math.sqrt(1.5)), None]


def test_an_unknown_method_and_text_are_refused() -> None:
    with pytest.raises(ValidationError, match="yeo-johnson"):
        PowerTransform(columns="x", method="log")
    with pytest.raises(PipelineError, match="PowerTransform takes a number or a boolean, got String in column 'x'"):
        PowerTransform(columns="x").resolve(pl.Schema({"x": pl.String}))


@pytest.mark.parametrize("scale", [1e-13, 1e-17, 1e-300])
def test_values_so_small_that_one_more_than_each_is_one_are_told_apart(scale: float) -> None:
    step = learned([[1 * scale, 2 * scale, 3 * scale]])
    assert step.powers == (1.0,)
    assert applied(step, [1 * scale, 2 * scale, 3 * scale]).to_list() == pytest.approx([-1.2247449, 0, 1.2247449])
