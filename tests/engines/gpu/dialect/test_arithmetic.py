from __future__ import annotations

import math
from itertools import product

import polars as pl
import pytest
from polars.testing import assert_series_equal
from tests.engines.gpu.dialect.libcudf import computed, translated

NAN, INF = math.nan, math.inf
FLOATS = [NAN, INF, -INF, None, 0.0, -0.0, 1.5, -1.5, 2.0, 1e300, 7.25]
PAIRS = pl.DataFrame(list(product(FLOATS, FLOATS)), schema={"a": pl.Float64, "b": pl.Float64}, orient="row")
COMPARISONS = ["__gt__", "__ge__", "__lt__", "__le__", "__eq__", "__ne__", "eq_missing", "ne_missing"]


def assert_same(frame: pl.DataFrame, expression: pl.Expr) -> None:
    got, expected = computed(frame, expression), frame.select(expression).to_series()
    assert_series_equal(got, expected, check_exact=True)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32])
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_nan_is_equal_to_itself_and_above_all_else(comparison: str, dtype: type[pl.DataType]) -> None:
    assert_same(PAIRS.cast(dtype), getattr(pl.col("a"), comparison)(pl.col("b")))


@pytest.mark.parametrize("constant", [1.5, -INF, NAN])
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_constants_compare_as_columns_do(comparison: str, constant: float) -> None:
    assert_same(PAIRS, getattr(pl.col("a"), comparison)(pl.lit(constant)))
    assert_same(PAIRS, getattr(pl.lit(constant), comparison)(pl.col("a")).alias("a"))


@pytest.mark.parametrize("closed", ["both", "left", "right", "none"])
def test_between(closed: str) -> None:
    assert_same(PAIRS, pl.col("a").is_between(-1.5, 2.0, closed=closed))  # type: ignore[arg-type]
    assert_same(PAIRS, pl.col("a").is_between(pl.col("b"), INF, closed=closed))  # type: ignore[arg-type]


def test_conditions_of_several_comparisons() -> None:
    assert_same(PAIRS, (pl.col("a") > 1) & (pl.col("b") < pl.col("a")) | (pl.col("a") == NAN))


def test_what_cannot_be_nan_is_compared_as_it_is() -> None:
    frame = pl.LazyFrame(schema={"n": pl.Int64, "x": pl.Float64})
    plain = [pl.col("n") > 1, pl.col("n") > 1.5, pl.col("x") < 2, pl.col("x") == 0, pl.lit(2.0) <= pl.col("x")]
    made = [type(node).__name__ for node in translated(frame.select(e.alias(str(i)) for i, e in enumerate(plain)))]
    assert made == ["BinOp", "BinOp", "BinOp", "BinOp", "Once"]


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32])
def test_remainders_of_floats(dtype: type[pl.DataType]) -> None:
    assert_same(PAIRS.cast(dtype), pl.col("a") % pl.col("b"))
    assert_same(PAIRS.cast(dtype), pl.col("a") % 0.1)


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Int32, pl.Int8, pl.UInt64])
def test_remainders_and_quotients_of_integers(dtype: type[pl.DataType]) -> None:
    low, high = pl.select(low=dtype.min(), high=dtype.max()).row(0)
    some = [None, 0, 1, 2, 7, high, high - 1, high // 2 + 1, low + 1, max(low, -7)]
    pairs = pl.DataFrame(list(product(some, some)), schema={"a": dtype, "b": dtype}, orient="row")
    assert_same(pairs, pl.col("a") % pl.col("b"))
    assert_same(pairs, pl.col("a") // pl.col("b"))
    assert_same(pairs, pl.col("a") % pl.lit(high - 1, dtype))
    assert_same(pairs, pl.col("a") % pl.lit(3, dtype))


def test_a_remainder_that_cannot_overflow_is_left_as_it_is() -> None:
    frame = pl.LazyFrame(schema={"n": pl.UInt64})
    [small, large] = translated(frame.select(a=pl.col("n") % 1000, b=pl.col("n") % pl.lit(2**63 + 1, pl.UInt64)))
    assert (type(small).__name__, type(large).__name__) == ("BinOp", "Once")


def test_powers_of_integers_are_exact() -> None:
    assert_same(pl.DataFrame({"n": [3, -2, None, 94_906_267, 2**62 + 1, 0]}), pl.col("n") ** 2)
    assert_same(pl.DataFrame({"n": [3, -2, None, 94_906_267, 2**62 + 1, 0]}), pl.col("n") ** 3)


def test_small_logarithms_keep_their_digits() -> None:
    frame = pl.DataFrame(
        {"x": [1e-300, 1e-20, -1e-16, 3e-12, 1e-8, 9.9e-5, -9.9e-5, 1e-4, 0.5, 1e300, 0.0, -0.5, None]}
    )
    got, expected = computed(frame, pl.col("x").log1p()), frame.select(pl.col("x").log1p()).to_series()
    assert_series_equal(got, expected, check_exact=False, rel_tol=2e-12, abs_tol=0.0)
    assert_series_equal(got.cast(pl.Float32), expected.cast(pl.Float32), check_exact=False, rel_tol=2**-23, abs_tol=0.0)


def test_logarithms_at_the_ends() -> None:
    frame = pl.DataFrame({"x": [-1.0, -2.0, INF, -INF, NAN, None]})
    assert_same(frame, pl.col("x").log1p())


@pytest.mark.parametrize("mode", ["half_to_even", "half_away_from_zero"])
@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32])
@pytest.mark.parametrize("decimals", [0, 1, 2, 8])
def test_rounding(decimals: int, dtype: type[pl.DataType], mode: str) -> None:
    ties = [n / 8 for n in range(-40, 41)] + [n / 1000 for n in range(0, 4000, 5)] + [2.675, 1.005, 1e308, -1e306]
    frame = pl.DataFrame({"x": [*ties, NAN, INF, -INF, None]}).cast(dtype)
    assert_same(frame, pl.col("x").round(decimals, mode=mode))  # type: ignore[arg-type]


def test_integers_are_round() -> None:
    assert_same(pl.DataFrame({"n": [1, None, -15]}), pl.col("n").round(1))
