"""Quantiles against numpy, and their error against the bound that is stated."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from headrace.transforms.base import UNIT
from headrace.transforms.columns import Columns
from headrace.transforms.quantiles import CELLS, cuts, summary


def measured(units: list[list[float | None]]) -> pl.DataFrame:
    tables = [
        summary(pl.LazyFrame({"x": unit}, schema={"x": pl.Float64}), Columns(names=("x",)))
        .with_columns(pl.lit(number, pl.Int64).alias(UNIT))
        .collect()
        for number, unit in enumerate(units)
    ]
    return pl.concat(tables)


@pytest.mark.parametrize("rows", [1, 2, 7, 100, 2048])
@pytest.mark.parametrize("parts", [2, 4, 10])
def test_exact_up_to_2048_values_a_unit(rows: int, parts: int) -> None:
    values = np.random.default_rng(rows).normal(size=rows)
    expected = np.quantile(values, np.arange(1, parts) / parts, method="averaged_inverted_cdf")
    np.testing.assert_allclose(cuts(measured([values.tolist()]), 0, parts), expected, rtol=1e-15)


def test_exact_over_several_small_units() -> None:
    values = np.random.default_rng(1).integers(0, 50, 6000).astype(float)
    units = np.array_split(values, 5)
    assert cuts(measured([u.tolist() for u in units]), 0, 2) == (float(np.median(values)),)


@pytest.mark.parametrize("shape", ["same", "apart", "skewed"])
def test_the_rank_is_within_a_4096th_of_the_rows(shape: str) -> None:
    random = np.random.default_rng(3)
    sizes = (10_000, 30_011, 4_097)
    match shape:
        case "same":
            units = [random.permutation(n).astype(float) for n in sizes]
        case "apart":
            units = [random.normal(10 * i, 1, n) for i, n in enumerate(sizes)]
        case _:
            units = [random.lognormal(0, 3, n) for n in sizes]
    ordered = np.sort(np.concatenate(units))
    for k, value in enumerate(cuts(measured([u.tolist() for u in units]), 0, 100), 1):
        wanted = k * len(ordered) / 100
        low, high = np.searchsorted(ordered, value, "left"), np.searchsorted(ordered, value, "right")
        assert max(low - wanted, wanted - high) <= len(ordered) / 4096 + 1


def test_a_summary_has_at_most_2048_rows_that_weigh_as_much_as_the_values() -> None:
    table = measured([[float(i) for i in range(5000)] + [None, float("nan"), float("inf")]])
    assert table.height == CELLS
    assert table["weight"].sum() == 5000
    assert table["weight"].max() == 3
    assert table["value"].max() == 4999.0


def test_no_finite_value_gives_no_cut() -> None:
    assert cuts(measured([[], [None, float("nan")]]), 0, 4) == ()


def test_integers_and_other_columns_keep_apart() -> None:
    frame = pl.LazyFrame({"a": [1, 2, 3], "b": [True, None, False]})
    table = summary(frame, Columns(names=("a", "b"))).with_columns(pl.lit(0, pl.Int64).alias(UNIT)).collect()
    assert table.rows() == [(0, 1.0, 1, 0), (0, 2.0, 1, 0), (0, 3.0, 1, 0), (1, 0.0, 1, 0), (1, 1.0, 1, 0)]
    assert cuts(table, 0, 2) == (2.0,)
    assert cuts(table, 1, 2) == (0.5,)
