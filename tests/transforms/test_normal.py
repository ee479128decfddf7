"""The inverse of the normal distribution against SciPy's."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from scipy.stats import norm

from headrace.transforms.normal import SMALLEST, quantile


def test_it_is_good_to_one_part_in_ten_million() -> None:
    tail = np.logspace(math.log10(SMALLEST), -1, 2000)
    shares = np.concatenate([tail, np.linspace(0.07, 0.93, 2001), 1 - tail])
    got = pl.DataFrame({"p": shares}).select(quantile(pl.col("p")))["p"].to_numpy()
    np.testing.assert_allclose(got, norm.ppf(shares), rtol=1.2e-7, atol=1e-15)


def test_it_is_odd_and_keeps_null_and_nan() -> None:
    frame = pl.DataFrame({"p": [0.25, 0.75, 0.5, None, math.nan]})
    low, high, middle, missing, nan = frame.select(quantile(pl.col("p")))["p"].to_list()
    assert (low, middle, missing) == (-high, 0.0, None)
    assert math.isnan(nan)
