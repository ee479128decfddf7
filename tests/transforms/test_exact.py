from __future__ import annotations

import math
import statistics
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.transforms import exact


def summed(values: list[float | None], dtype: pl.DataType) -> list[np.ndarray]:  # type: ignore[type-arg]
    table = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    digits = exact.sum_digits(pl.col("x"), dtype)
    names = exact.form(dtype).names("s")
    found = table.select(d.fill_null(0).sum().alias(n) for n, d in zip(names, digits, strict=True))
    return [found[n].to_numpy() for n in names]


def total(values: list[float | None], dtype: pl.DataType | None = None) -> float:
    dtype = dtype or pl.Float64()
    return float(exact.form(dtype).floats(summed(values, dtype))[0])


def deviation(values: list[float], dtype: pl.DataType | None = None) -> float | None:
    dtype = dtype or pl.Float64()
    table = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    for stage in exact.square_stages("x", dtype):
        table = table.with_columns(stage)
    digits = exact.square_digits("x", dtype)
    squares = table.select(d.fill_null(0).sum().alias(n) for n, d in zip(exact.SQUARE.names("q"), digits, strict=True))
    form = exact.form(dtype)
    return exact.deviations(
        np.array([len(values)]),
        form.integers(summed(values, dtype)),
        exact.SQUARE.integers([squares[n].to_numpy() for n in exact.SQUARE.names("q")]),
        form.lowest,
    )[0]


def test_sums_where_floats_lose() -> None:
    assert total([1e18, 1.0, -1e18]) == 1.0
    assert total([0.1] * 10) == float(10 * Fraction(0.1))
    assert total([2.0**-60, 1.0, -1.0]) == 2.0**-60
    assert total([-(2.0**-64), -3.5]) == pytest.approx(-3.5, rel=1e-15)
    assert total([]) == 0.0


def test_what_is_left_out() -> None:
    assert total([math.nan, math.inf, -math.inf, None, 2.0**63, 1e300, 1.5]) == 1.5


def test_values_are_cut_to_multiples_of_two_to_the_minus_64() -> None:
    assert total([2.0**-64]) == 2.0**-64
    assert total([2.0**-65]) == 0.0
    assert total([-(2.0**-65)]) == -(2.0**-64)


def test_integers_beyond_two_to_the_53_are_exact() -> None:
    assert total([2**53 + 1, -(2**53)], pl.Int64()) == 1.0
    assert total([2**63 - 1, 2**63 - 1, -(2**63), -(2**63), 3], pl.Int64()) == 1.0
    assert total([2**64 - 1] * 4, pl.UInt64()) == float(4 * (2**64 - 1))
    assert total([True, True, None], pl.Boolean()) == 2.0


def test_a_sum_does_not_depend_on_the_digits_that_make_it_up() -> None:
    digits = [np.array([0, 1]), np.array([2**32, 0])]
    assert exact.INTEGER.floats(digits).tolist() == [float(2**32)] * 2
    mixed = [np.array([1, 0]), np.array([-1, 2**32 - 1])]
    assert exact.INTEGER.floats(mixed).tolist() == [float(2**32 - 1)] * 2


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-(2.0**62), 2.0**62, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-3), max_size=20))
def test_sums_agree_with_fractions(values: list[float]) -> None:
    expected = sum((Fraction(v) for v in values), Fraction(0))
    assert total(list(values)) == pytest.approx(float(expected), rel=1e-15, abs=len(values) * 2.0**-64)
    assert total(list(values)) == total(list(reversed(values)))


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_sums_of_integers_agree_with_python(values: list[int]) -> None:
    assert total(list(values), pl.Int64()) == pytest.approx(float(sum(values)), rel=1e-15)
    assert exact.INTEGER.integers(summed(list(values), pl.Int64())) == [sum(values)]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1.6e9, 1.6e9 + 1, 1.6e9 + 2], pl.Float64()),
        ([1600000000, 1600000001, 1600000002], pl.Int64()),
        ([1600000000, 1600000001, 1600000002], pl.Int32()),
        ([1e15, 1e15 + 1, 1e15 + 2], pl.Float64()),
        ([-1.0, 0.0, 1.0], pl.Float32()),
        ([-1, 0, 1], pl.Int8()),
    ],
)
def test_a_deviation_of_one(values: list[float], dtype: pl.DataType) -> None:
    assert deviation(values, dtype) == 1.0


def test_deviations_of_few_and_of_constants() -> None:
    assert deviation([]) is None
    assert deviation([3.0]) is None
    assert deviation([0.1] * 7) == 0.0
    assert deviation([True, False], pl.Boolean()) == pytest.approx(math.sqrt(0.5))


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e12, 1e12).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=2, max_size=12))
def test_deviations_agree_with_the_standard_library(values: list[float]) -> None:
    assert deviation(values) == pytest.approx(statistics.stdev([Fraction(v) for v in values]), rel=1e-12, abs=1e-9)
