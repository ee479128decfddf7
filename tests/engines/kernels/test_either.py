"""Kernel `either`: both bodies give the same, whichever of both expressions the rows need."""

from __future__ import annotations

import math

import polars as pl
import pytest

from headrace.engines.kernels import either


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([4.0, None, 9.0], [2.0, None, 3.0]),
        ([-1.0, None, -math.inf], [1.0, None, math.inf]),
        ([4.0, -0.0, None, -3.0], [2.0, 0.0, None, 3.0]),
        ([None, None], [None, None]),
        ([-5.0], [5.0]),
        ([], []),
    ],
)
def test_each_row_gets_the_one_that_the_condition_names(
    values: list[float | None], expected: list[float | None]
) -> None:
    rows, x = pl.LazyFrame({"x": values}, schema={"x": pl.Float64}), pl.col("x")
    chosen = (lambda v: v >= 0, lambda v: v.sqrt() + 0.0, lambda v: -v)
    assert rows.select(either.cpu(x, *chosen, pl.Float64())).collect()["x"].to_list() == expected
    assert rows.select(either.anywhere(x, *chosen)).collect()["x"].to_list() == expected
