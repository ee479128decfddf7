"""MinMax and RobustScale against scikit-learn and literals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from sklearn.preprocessing import MinMaxScaler, RobustScaler

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import UNIT, Transform
from headrace.transforms.ranges import MinMax, RobustScale

ENGINE = CpuEngine()
SCHEMA = pl.Schema({"x": pl.Float64})


def learned(kind: type[MinMax] | type[RobustScale], units: list[Any], **fields: Any) -> Transform:
    step = kind(columns="x", **fields).resolve(SCHEMA)
    tables = [
        step.measure(pl.LazyFrame({"x": unit}, schema=SCHEMA), ENGINE).with_columns(pl.lit(n, pl.Int64).alias(UNIT))
        for n, unit in enumerate(units)
    ]
    return step.learn(step.merge(tables).collect())


def applied(step: Transform, values: Any) -> pl.Series:
    return step.apply(pl.LazyFrame({"x": values}, schema=SCHEMA), ENGINE).collect()["x"]


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-1.0, 3.0)])
def test_min_max_is_the_scaler_of_scikit_learn(ends: tuple[float, float]) -> None:
    values = np.random.default_rng(0).normal(1.6e9, 5, 1000)
    got = applied(learned(MinMax, np.array_split(values, 7), lower=ends[0], upper=ends[1]), values)
    assert got.dtype == pl.Float32
    np.testing.assert_allclose(got.to_numpy(), MinMaxScaler(ends).fit_transform(values[:, None])[:, 0], atol=1e-6)


def test_min_max_beyond_the_training_range_and_of_what_is_missing() -> None:
    step = learned(MinMax, [[2.0, None, math.nan], [], [math.inf, 1e300, 6.0, -math.inf]])
    got = applied(step, [2.0, 6.0, 8.0, 0.0, None, math.nan, math.inf])
    assert str(got.to_list()) == "[0.0, 1.0, 1.5, -0.5, None, nan, inf]"


@pytest.mark.parametrize("units", [[[3.0, 3.0], [3.0]], [[], [None]], []])
def test_min_max_of_no_two_values_is_the_lower_end(units: list[Any]) -> None:
    step = learned(MinMax, units or [[]], lower=-1.0)
    assert applied(step, [3.0, None]).to_list() == [-1.0, None]


def test_min_max_of_an_all_zero_column_is_zero_where_nvtabulars_normalize_min_max_gives_nan() -> None:
    step = learned(MinMax, [[0.0] * 5, [None]])
    assert applied(step, [0.0, None]).to_list() == [0.0, None]


@pytest.mark.parametrize("rows", [101, 1001])  # every quarter is a row, so that both take the same
@pytest.mark.parametrize("range_", [(25, 75), (10, 90)])
def test_robust_scale_is_the_scaler_of_scikit_learn(rows: int, range_: tuple[int, int]) -> None:
    values = np.random.default_rng(rows).lognormal(0, 2, rows)
    got = applied(learned(RobustScale, np.array_split(values, 3), lower=range_[0], upper=range_[1]), values)
    assert got.dtype == pl.Float32
    expected = RobustScaler(quantile_range=range_).fit_transform(values[:, None])[:, 0]
    np.testing.assert_allclose(got.to_numpy(), expected, rtol=1e-6, atol=1e-6)


def test_robust_scale_by_hand() -> None:
    step = learned(RobustScale, [[1.0, 2.0, None, math.inf], [3.0, 4.0, 1000.0, math.nan]])  # 2, 3 and 4
    got = applied(step, [3.0, 5.0, 1.0, None, math.nan])
    assert str(got.to_list()) == "[0.0, 1.0, -1.0, None, nan]"


@pytest.mark.parametrize("unit", [[3.0, 3.0, 3.0], [0.0] * 9 + [5.0], [], [-1.7e308, -1.7e308, 1.7e308, 1.7e308]])
def test_robust_scale_of_no_range_is_zero(unit: Any) -> None:
    assert applied(learned(RobustScale, [unit]), [3.0, None]).to_list() == [0.0, None]


@pytest.mark.parametrize("kind", [MinMax, RobustScale])
@pytest.mark.parametrize("ends", [{"lower": 2, "upper": 2}, {"lower": math.nan}, {"upper": math.inf}])
def test_ends_that_make_no_range_are_refused(kind: type[MinMax], ends: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"lower|upper|finite"):
        kind(columns="x", **ends)


@pytest.mark.parametrize("kind", [MinMax, RobustScale])
def test_text_is_refused_by_column(kind: type[MinMax]) -> None:
    with pytest.raises(PipelineError, match=f"{kind.__name__} takes a number or a boolean, got String in column 'x'"):
        kind(columns="x").resolve(pl.Schema({"x": pl.String}))
