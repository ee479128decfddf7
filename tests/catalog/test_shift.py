"""Expected values: SciPy 1.x for the tests it has, and sums written out for the others."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from headrace.catalog import shift


def counts(values: list[float]) -> pl.DataFrame:
    return pl.Series("value", values, dtype=pl.Float64).value_counts(name="count").sort("value")


def test_psi_is_the_sum_of_its_bins() -> None:
    # (0.3 - 0.2) ln 1.5 + (0.3 - 0.3) ln 1 + (0.4 - 0.5) ln 0.8
    assert shift.psi([0.2, 0.3, 0.5], [0.3, 0.3, 0.4]) == pytest.approx(0.04054651 + 0.02231436, abs=1e-8)
    assert shift.psi([0.5, 0.5], [0.5, 0.5]) == 0.0
    assert shift.psi([1.0, 0.0], [0.0, 1.0]) == pytest.approx(2 * 0.9999 * math.log(10_000))
    assert shift.psi([0.2, 0.8], [0.6, 0.4]) == pytest.approx(shift.psi([0.6, 0.4], [0.2, 0.8]))


@pytest.mark.parametrize("bins", [2, 5, 10, 21])
def test_psi_by_chance_is_a_quantile_of_chi_squared(bins: int) -> None:
    expected = stats.chi2.ppf(0.95, bins - 1) * (1 / 500 + 1 / 2000)
    assert shift.psi_by_chance(bins, 500, 2000) == pytest.approx(expected, rel=0.03)
    assert shift.psi_by_chance(bins, 0, 10) == shift.psi_by_chance(1, 10, 10) == 0.0


def test_psi_stays_below_chance_as_often_as_said() -> None:
    draw = np.random.default_rng(7)
    shares = np.full(10, 0.1)
    below = 0
    for _ in range(400):
        a, b = (draw.multinomial(2_000, shares) / 2_000 for _ in range(2))
        below += shift.psi(list(a), list(b)) <= shift.psi_by_chance(10, 2_000, 2_000)
    assert 0.92 < below / 400 < 0.98


shares = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)


@given(shares, shares)
def test_jensen_shannon_is_scipys_distance_squared(one: list[int], other: list[int]) -> None:
    p, q = ([n / sum(some) for n in some] for some in (one, other))
    assert shift.jensen_shannon(p, q) == pytest.approx(distance.jensenshannon(p, q, base=2) ** 2, abs=1e-9)


numbers = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # SciPy's, of its p-value
@given(numbers, numbers)
def test_kolmogorov_smirnov_is_scipys(one: list[float], other: list[float]) -> None:
    got = shift.kolmogorov_smirnov(counts(one), counts(other))
    assert got == pytest.approx(stats.ks_2samp(one, other, method="asymp").statistic, abs=1e-12)


def test_nothing_has_no_distance() -> None:
    assert shift.kolmogorov_smirnov(counts([]), counts([1.0])) is None


def test_types_that_differ_are_compared_as_numbers() -> None:
    whole = counts([1, 2]).cast({"value": pl.Int32})
    assert shift.kolmogorov_smirnov(whole, counts([1.0, 2.5])) == 0.5
    assert shift.by_decile(whole, counts([1.0, 2.5])) == [(0, 0), (1, 1), (0, 0), (1, 0), (0, 1)]


def test_categories_have_a_bin_for_each_frequent_value_and_one_for_the_others() -> None:
    first = pl.DataFrame({"value": [f"v{i:02}" for i in range(30)], "count": [100 - i for i in range(30)]})
    second = pl.DataFrame({"value": ["v00", "v25", "w"], "count": [7, 2, 3]})
    found = shift.by_value(first, second)
    assert found[0] == (100, 7)
    assert found[1:20] == [(100 - i, 0) for i in range(1, 20)]
    assert found[20:] == [(sum(100 - i for i in range(20, 30)), 5)]


def test_deciles_of_many_values() -> None:
    first = counts([float(i) for i in range(1, 101)])
    assert shift.by_decile(first, counts([0.0, 10.0, 10.5, 1000.0])) == [
        (10, 2), (10, 1), (10, 0), (10, 0), (10, 0), (10, 0), (10, 0), (10, 0), (10, 0), (10, 1),
    ]  # fmt: skip


def test_a_value_of_several_deciles_has_a_bin_of_its_own() -> None:
    # 0.1 to 0.3 fall on different numbers, all others on 100, which is the largest: what changes there must show.
    first = counts([1.0] * 15 + [2.0] * 10 + [3.0] * 10 + [100.0] * 65)
    second = counts([1.0] * 15 + [50.0] * 65 + [100.0] * 20)
    found = shift.by_decile(first, second)
    assert found == [(15, 15), (10, 0), (10, 0), (0, 65), (65, 20), (0, 0)]


def test_no_first_values_leave_one_bin() -> None:
    assert shift.by_decile(counts([]), counts([1.0, 2.0])) == [(0, 2)]
