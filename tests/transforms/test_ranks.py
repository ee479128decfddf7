"""QuantileTransform against scikit-learn and literals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from sklearn.preprocessing import QuantileTransformer
from tests.transforms.fitting import in_units

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Transform
from headrace.transforms.ranks import Distribution, QuantileTransform

ENGINE = CpuEngine()


def learned(units: list[Any], dtype: Any = pl.Float64, **fields: Any) -> Transform:
    return in_units(QuantileTransform(columns="x", **fields), units, pl.Schema({"x": dtype}))


def applied(step: Transform, values: Any, dtype: Any = pl.Float64) -> pl.Series:
    got = step.apply(pl.LazyFrame({"x": values}, schema={"x": dtype}), ENGINE).collect()
    assert got.schema == {"x": pl.Float32}
    return got["x"]


def twin(train: Any, values: Any, n: int, distribution: Distribution) -> Any:
    fitted = QuantileTransformer(n_quantiles=n, output_distribution=distribution, subsample=None).fit(train[:, None])
    return fitted.transform(values[:, None])[:, 0]


SHAPES = {
    "normal": lambda random, n: random.normal(size=n),
    "skewed": lambda random, n: random.lognormal(0, 2, n),
    "large": lambda random, n: random.normal(1.6e9, 1, n),
    "ties": lambda random, n: random.integers(0, 20, n).astype(float),
}


@pytest.mark.slow
@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_that_of_scikit_learn_where_the_summary_is_exact(shape: str, distribution: Distribution) -> None:
    train = SHAPES[shape](np.random.default_rng(1), 6000)
    values = np.append(train, np.linspace(train.min() - 1, train.max() + 1, 500))
    got = applied(learned(np.array_split(train, 4), n=128, distribution=distribution), values)
    np.testing.assert_allclose(got.to_numpy(), twin(train, values, 128, distribution), atol=1e-6)


def test_beyond_shares_are_within_the_stated_rank_at_the_quantiles_and_between_them() -> None:
    train = np.sort(np.random.default_rng(2).lognormal(0, 1, 60_000))
    got = applied(learned([train], n=1000), train)
    assert np.abs(got.to_numpy() - np.arange(60_000) / 59_999).max() <= 1 / 4096 + 1 / 999
    assert np.abs(got.to_numpy() - twin(train, train, 1000, "uniform")).max() <= 2 / 4096


@pytest.mark.parametrize("shape", SHAPES)
def test_quantiles_do_not_depend_on_the_order_of_rows(shape: str) -> None:
    train = SHAPES[shape](np.random.default_rng(3), 3000)
    assert learned([train], n=64) == learned([np.random.default_rng(4).permutation(train)], n=64)


def test_a_value_of_many_rows_has_the_middle_of_their_shares() -> None:
    step = learned([[0.0, 1.0, 1.0, 1.0, 5.0]])  # at 0, 1/4, 2/4, 3/4 and 1
    assert applied(step, [0.0, 0.5, 1.0, 3.0, 5.0]).to_list() == [0.0, 0.125, 0.5, 0.875, 1.0]


def test_the_smallest_is_zero_and_the_largest_one_however_many_there_are() -> None:
    assert applied(learned([[0.0, 0.0, 0.0, 1.0, 2.0, 2.0]]), [0.0, 1.0, 2.0]).to_list() == pytest.approx([0, 0.6, 1])


def test_null_and_nan_stay_and_all_beyond_goes_to_the_ends() -> None:
    step = learned([[0.0, None, math.nan, math.inf], [], [2.0, -math.inf]])
    values = [None, math.nan, 1.0, -1.0, 3.0, math.inf, -math.inf]
    assert str(applied(step, values).to_list()) == "[None, nan, 0.5, 0.0, 1.0, 1.0, 0.0]"


def test_normal_deviates_end_at_one_in_ten_million() -> None:
    got = applied(learned([[0.0, 1.0, 2.0]], distribution="normal"), [-9.0, 0.0, 0.5, 1.0, 2.0, 9.0])
    end, quarter = 5.199337582192817, 0.6744897501960817  # of 1e-7 and of 3/4
    assert got.to_list() == pytest.approx([-end, -end, -quarter, 0.0, end, end], rel=1e-6)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("units", [[[3.0, 3.0], [3.0]], [[7.0]], [[], [None, math.nan]], [[]]])
def test_a_column_without_two_different_values_is_zero(units: list[Any], distribution: Distribution) -> None:
    step = learned(units, distribution=distribution)
    assert str(applied(step, [3.0, 100.0, -math.inf, None, math.nan]).to_list()) == "[0.0, 0.0, 0.0, None, nan]"


def test_values_as_far_apart_as_floats_go() -> None:
    assert applied(learned([[-1.7e308, 1.7e308]]), [-1.7e308, 0.0, 1.7e308]).to_list() == [0.0, 0.5, 1.0]


def test_integers_and_booleans() -> None:
    assert applied(learned([[0, 2**62]], pl.Int64), [0, 2**61, None], pl.Int64).to_list() == [0.0, 0.5, None]
    assert applied(learned([[True, False]], pl.Boolean), [True, False, None], pl.Boolean).to_list() == [1.0, 0.0, None]


@pytest.mark.parametrize("fields", [{"n": 1}, {"n": 65537}, {"distribution": "gamma"}])
def test_fields_out_of_range_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        QuantileTransform(columns="x", **fields)


def test_text_is_refused_by_column() -> None:
    with pytest.raises(PipelineError, match="QuantileTransform takes a number or a boolean, got String in column 'x'"):
        QuantileTransform(columns="x").resolve(pl.Schema({"x": pl.String}))
