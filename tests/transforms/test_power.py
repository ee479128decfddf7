"""Power against literals."""

from __future__ import annotations

import math

import polars as pl
import pytest
from pydantic import ValidationError

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.power import Power


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [
        (2, "[4.0, 4.0, 0.0, inf, inf, nan, None]"),
        (-1, "[0.5, -0.5, inf, 0.0, -0.0, nan, None]"),
        (0.5, "[1.4142135381698608, nan, 0.0, inf, nan, nan, None]"),
        (-1.5, "[0.3535533845424652, nan, inf, 0.0, nan, nan, None]"),
    ],
)
def test_power_of_awkward_numbers(exponent: float, expected: str) -> None:
    frame = pl.LazyFrame({"x": [2.0, -2.0, 0.0, math.inf, -math.inf, math.nan, None]})
    got = Power(columns="x", exponent=exponent).apply(frame, CpuEngine()).collect()["x"]
    assert got.dtype == pl.Float32
    assert str(got.to_list()) == expected


@pytest.mark.parametrize("exponent", [0, math.nan, math.inf])
def test_an_exponent_of_no_use_is_refused(exponent: float) -> None:
    with pytest.raises(ValidationError, match="expected a finite exponent other than 0"):
        Power(columns="x", exponent=exponent)


def test_text_is_refused_by_column() -> None:
    with pytest.raises(PipelineError, match="Power takes a number or a boolean, got String in column 'x'"):
        Power(columns="x", exponent=2).resolve(pl.Schema({"x": pl.String}))
