"""Clip, Log1p and Sqrt against literals."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.numeric import Clip, Log1p, Sqrt

ENGINE = CpuEngine()


def clipped(values: Any, dtype: Any, **ends: Any) -> pl.Series:
    frame = pl.LazyFrame({"x": pl.Series(values, dtype=dtype)})
    return Clip(columns="x", **ends).resolve(frame.collect_schema()).apply(frame, ENGINE).collect()["x"]


def test_clip_keeps_type_null_and_nan() -> None:
    got = clipped([-1.0, 0.5, None, math.nan, math.inf, -math.inf], pl.Float32, lower=0, upper=1)
    assert got.dtype == pl.Float32
    assert str(got.to_list()) == "[0.0, 0.5, None, nan, 1.0, 0.0]"


def test_clip_at_one_end() -> None:
    assert clipped([-5, 5, None], pl.Int64, lower=0).to_list() == [0, 5, None]
    assert clipped([-5, 5, 2**53 + 1], pl.Int64, upper=2**53).to_list() == [-5, 5, 2**53]


def test_an_end_that_no_value_of_the_type_reaches_changes_nothing() -> None:
    assert clipped([-128, 127], pl.Int8, lower=-1000, upper=1000).to_list() == [-128, 127]
    assert clipped([0, 255], pl.UInt8, lower=-1).to_list() == [0, 255]


@pytest.mark.parametrize(
    ("dtype", "ends"), [(pl.Int64, {"lower": 0.5}), (pl.Int8, {"lower": 300}), (pl.UInt8, {"upper": -1})]
)
def test_an_end_that_would_change_the_type_is_refused(dtype: Any, ends: dict[str, Any]) -> None:
    with pytest.raises(PipelineError, match=r"Clip\(.*\) does not fit column 'x'"):
        Clip(columns="x", **ends).resolve(pl.Schema({"x": dtype}))


@pytest.mark.parametrize("ends", [{}, {"lower": 2, "upper": 1}, {"lower": math.nan}, {"upper": math.inf}])
def test_ends_that_make_no_range_are_refused(ends: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Clip(columns="x", **ends)


def test_clip_refuses_text_by_column() -> None:
    with pytest.raises(PipelineError, match="Clip takes an integer or a float, got String in column 'x'"):
        Clip(columns="x", lower=0).resolve(pl.Schema({"x": pl.String}))


def test_log1p_is_float32_whatever_the_input() -> None:
    frame = pl.LazyFrame({"f": [math.e - 1, None], "i": [0, 2**53], "b": [True, False]})
    got = Log1p(columns=["f", "i", "b"], output="{column}_log").apply(frame, ENGINE).collect()
    assert got.schema == {
        "f": pl.Float64, "i": pl.Int64, "b": pl.Boolean, "f_log": pl.Float32, "i_log": pl.Float32, "b_log": pl.Float32
    }  # fmt: skip
    assert got["f_log"].to_list() == [1.0, None]
    assert got["i_log"].to_list() == [0.0, pytest.approx(36.7368, abs=1e-4)]
    assert got["b_log"].to_list() == [pytest.approx(0.6931472, abs=1e-7), 0.0]


def test_log1p_of_minus_one_and_less() -> None:
    got = Log1p(columns="x").apply(pl.LazyFrame({"x": [-1.0, -2.0, math.inf]}), ENGINE).collect()
    assert str(got["x"].to_list()) == "[-inf, nan, inf]"


def test_sqrt_is_float32_whatever_the_input() -> None:
    frame = pl.LazyFrame({"f": [2.25, None], "i": [0, 2**62], "b": [True, False]})
    got = Sqrt(columns=["f", "i", "b"], output="{column}_root").apply(frame, ENGINE).collect()
    assert got.select("^.*_root$").schema == {"f_root": pl.Float32, "i_root": pl.Float32, "b_root": pl.Float32}
    assert got.select("^.*_root$").rows() == [(1.5, 0.0, 1.0), (None, float(2**31), 0.0)]
    assert got.select("f", "i", "b").equals(frame.collect())


def test_sqrt_below_zero_is_nan() -> None:
    got = Sqrt(columns="x").apply(pl.LazyFrame({"x": [-1.0, -math.inf, math.inf, math.nan]}), ENGINE).collect()
    assert str(got["x"].to_list()) == "[nan, nan, inf, nan]"


def test_sqrt_refuses_text_by_column() -> None:
    with pytest.raises(PipelineError, match="Sqrt takes a number or a boolean, got String in column 'x'"):
        Sqrt(columns="x").resolve(pl.Schema({"x": pl.String}))
