"""ClipQuantile against SciPy's winsorizing and literals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from scipy.stats.mstats import winsorize
from tests.transforms.fitting import in_units

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.outliers import ClipQuantile

ENGINE = CpuEngine()


def clipped(units: list[Any], values: Any, dtype: Any = pl.Float64, **fields: Any) -> pl.Series:
    fitted = in_units(ClipQuantile(columns="x", **fields), units, pl.Schema({"x": dtype}))
    got = fitted.apply(pl.LazyFrame({"x": values}, schema={"x": dtype}), ENGINE).collect()["x"]
    assert got.dtype == dtype
    return got


@pytest.mark.parametrize("share", [0.01, 0.07, 0.25])
def test_it_winsorizes(share: float) -> None:
    values = np.random.default_rng(0).lognormal(0, 2, 5000)
    got = clipped(np.array_split(values, 5), values, lower=share, upper=1 - share)
    np.testing.assert_array_equal(got.to_numpy(), winsorize(values, limits=(share, share)).data)


def test_integers_stay_integers_at_the_values_of_rows() -> None:
    assert clipped([[1, 2, 3, 1000]], [0, 3, 500, None], pl.Int16, lower=0.25, upper=0.75).to_list() == [2, 3, 3, None]
    assert clipped([[1, 2]], [0, 1, 2, 3], pl.UInt8, lower=0.49, upper=0.51).to_list() == [1, 1, 2, 2]


def test_integers_that_no_float_holds_go_to_the_nearest_that_one_does() -> None:
    values = [-(2**63), 2**53 + 1, 2**63 - 1]
    assert clipped([values], values, pl.Int64, lower=0, upper=1).to_list() == values
    assert clipped([[0, 2**53 + 1]], [2**60], pl.Int64, lower=0, upper=1).to_list() == [2**53]


def test_null_and_nan_stay_and_infinities_go_to_the_ends() -> None:
    units: list[Any] = [[1.0, None, math.nan], [], [math.inf, 5.0, -math.inf]]
    got = clipped(units, [None, math.nan, math.inf, -math.inf, 3.0], lower=0, upper=1)
    assert str(got.to_list()) == "[None, nan, 5.0, 1.0, 3.0]"


@pytest.mark.parametrize("units", [[[]], [[None, math.nan]], [[math.inf]]])
def test_without_a_finite_value_a_column_stays_as_it_is(units: list[Any]) -> None:
    assert str(clipped(units, [7.0, None, math.inf]).to_list()) == "[7.0, None, inf]"


def test_a_constant_is_both_ends() -> None:
    assert clipped([[0.1] * 9], [0.0, 0.1, 1.0], pl.Float32).to_list() == pytest.approx([0.1] * 3)


@pytest.mark.parametrize("fields", [{"lower": 0.5, "upper": 0.5}, {"lower": -0.1}, {"upper": 1.1}, {"lower": math.nan}])
def test_quantiles_that_make_no_range_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"lower|upper"):
        ClipQuantile(columns="x", **fields)


def test_text_and_booleans_are_refused_by_column() -> None:
    for dtype in (pl.String, pl.Boolean):
        with pytest.raises(PipelineError, match=r"ClipQuantile takes an integer or a float, got \w+ in column 'x'"):
            ClipQuantile(columns="x").resolve(pl.Schema({"x": dtype}))
