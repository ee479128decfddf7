"""Quantiles against numpy, and their error against the bound that is stated."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats.mstats import winsorize

from headrace.transforms.base import UNIT
from headrace.transforms.columns import Columns
from headrace.transforms.quantiles import CELLS, TAIL, at, cuts, ends, summary


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


def test_a_summary_has_at_most_2176_rows_that_weigh_as_much_as_the_values() -> None:
    table = measured([[float(i) for i in range(5000)] + [None, float("nan"), float("inf")]])
    assert table.height == CELLS + 2 * TAIL
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


@pytest.mark.parametrize("rows", [1, 2, 7, 100, 2048])
def test_any_fractions_are_those_of_numpy(rows: int) -> None:
    values = np.random.default_rng(rows).normal(size=rows)
    fractions = [0.0, 0.001, 0.07, 1 / 3, 0.5, 0.999, 1.0]
    expected = np.quantile(values, fractions)
    np.testing.assert_allclose(at(measured([values.tolist()]), 0, fractions), expected, rtol=1e-12, atol=1e-15)


def test_between_the_largest_floats_lies_a_float() -> None:
    assert at(measured([[-1.5e308, 1.5e308]]), 0, [0.5]) == (0.0,)
    assert cuts(measured([[-1.5e308, 1.5e308]]), 0, 2) == (0.0,)


def test_the_smallest_and_the_largest_are_exact_and_the_ranks_next_to_them_are_within_the_bound() -> None:
    units = [np.random.default_rng(n).permutation(20_000) + 20_000.0 * n for n in range(3)]
    table = measured([u.tolist() for u in units])
    assert at(table, 0, [0, 1]) == (0.0, 59_999.0)
    fractions = [k / 10_000 for k in range(20)]
    assert np.abs(np.array(at(table, 0, fractions)) - np.array(fractions) * 59_999).max() <= 60_000 / 4096 + 1


def test_minus_zero_is_zero() -> None:
    assert [str(v) for v in (*at(measured([[-0.0], [0.0]]), 0, [0, 1]), *cuts(measured([[-0.0]]), 0, 2))] == ["0.0"] * 3


@pytest.mark.parametrize("rows", [1, 2, 99, 100, 2000])
@pytest.mark.parametrize("lower", [0.0, 0.01, 0.07, 0.49])
def test_the_ends_are_those_of_winsorizing(rows: int, lower: float) -> None:
    values = np.random.default_rng(rows).integers(0, 1000, rows).astype(float)
    kept = winsorize(values, limits=(lower, lower))
    assert ends(measured([values.tolist()]), 0, lower, 1 - lower) == (kept.min(), kept.max())


def test_a_share_is_the_decimal_fraction_that_is_written() -> None:
    values = [float(n) for n in range(100)]  # 0.07 * 100 is 7.000000000000001, 0.29 * 100 is 28.999999999999996
    assert ends(measured([values]), 0, 0.29, 0.93) == (29.0, 92.0)


def test_the_ends_of_no_finite_value() -> None:
    assert ends(measured([[None]]), 0, 0.1, 0.9) is None
    assert at(measured([[None]]), 0, [0.1]) == ()
