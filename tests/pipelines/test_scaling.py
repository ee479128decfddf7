"""Scaling in float64, whole or in parts: expected values are literals."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.pipelines.scaling import combined, moments, scale_of, scaled


def test_columns_get_mean_0_and_deviation_1_and_constants_0() -> None:
    columns = np.asfortranarray([[1, 7], [3, 7], [5, 7], [7, 7]], dtype=np.float32)
    found = moments(columns)
    assert found.mean.tolist() == [4, 7]
    assert found.deviation.tolist() == [5**0.5, 0]
    assert scale_of(found).tolist() == [5**0.5, 1]
    copy = scaled(columns, found.mean, scale_of(found))
    assert copy.dtype == np.float32
    assert copy.flags.f_contiguous
    assert copy[:, 0].tolist() == pytest.approx([-3 / 5**0.5, -1 / 5**0.5, 1 / 5**0.5, 3 / 5**0.5])
    assert copy[:, 1].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("cuts", [(), (1,), (5, 700, 701)])
def test_moments_of_parts_are_those_of_the_whole(cuts: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    columns = np.column_stack([rng.normal(1e6, 1, 1000), rng.normal(0, 1e-3, 1000)]).astype(np.float32)
    whole = moments(columns)
    parts = combined([moments(part) for part in np.split(columns, cuts)])
    assert parts.rows == 1000
    assert parts.mean == pytest.approx(whole.mean, rel=1e-14)
    assert parts.deviation == pytest.approx(whole.deviation, rel=1e-9)


def test_digits_are_kept_where_a_mean_is_large() -> None:
    columns = np.array([[2**20], [2**20 + 1]] * 50_000, dtype=np.float32)
    found = moments(columns)
    assert (found.mean[0], found.deviation[0]) == (2**20 + 0.5, 0.5)
