"""Means of a target per group, drawn towards the mean of all: from exact counts, sums and sums of squares.

Formulas (Micci-Barreca 2001, "A preprocessing scheme for high-cardinality categorical attributes in classification and
prediction problems"), for a group of n rows with sum s, mean s/n and population variance v, beside the prior p and the
population variance V of all rows:

- m-estimate (equation 7): `(s + m * p) / (n + m)`;
- empirical Bayes (equations 5 and 6): `w * s/n + (1 - w) * p` with `w = V * n / (V * n + v)`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np
import polars as pl

from headrace.transforms import exact

Smoothing = float | Literal["auto"]

FLAG: Final = exact.Fixed(0, 1)
"""The form of sums of booleans: they are counts, and those of the squares as well."""


class Sums(NamedTuple):
    """What is known of one target in several groups, a place for each: exact, as digits of `form`."""

    form: exact.Fixed
    counts: exact.Integers
    digits: tuple[exact.Integers, ...]
    squares: tuple[exact.Integers, ...] = ()

    @property
    def floats(self) -> exact.Floats:
        """The sums as Float64."""
        return self.form.floats(self.digits)

    @property
    def rests(self) -> exact.Floats:
        """What the sums are more than `floats`: both together are good to twice the digits of a Float64."""
        cut = pl.DataFrame({"x": self.floats}).select(
            digit.alias(str(i)) for i, digit in enumerate(self.form.digits(pl.col("x")))
        )
        return self.form.floats([d - c.to_numpy() for d, c in zip(self.digits, cut.get_columns(), strict=True)])

    def means(self, start: float | None) -> exact.Floats:
        """The mean of each group; `start`, or NaN, where it has no rows."""
        found: exact.Floats = np.full(len(self.counts), none_as_nan(start))
        np.divide(self.floats, self.counts, out=found, where=self.counts > 0)
        return found

    def variances(self) -> exact.Floats:
        """The population variance of each group, of exact numbers and rounded once; 0 where it has no rows."""
        counts = self.counts.astype(np.float64)
        if self.form == FLAG:
            ones = self.digits[0].astype(np.float64)
            return np.divide(ones * (counts - ones), counts * counts, out=np.zeros(len(counts)), where=counts > 0)
        scale = 1 << (2 * self.form.lowest - exact.SQUARE.lowest)
        unit = 1 << -exact.SQUARE.lowest
        numbers = zip(
            self.counts.tolist(), self.form.integers(self.digits), exact.SQUARE.integers(self.squares), strict=True
        )
        # The cut of the sums may leave the difference just below 0.
        return np.array(
            [max(n * q - s * s * scale, 0) / (n * n * unit) if n else 0.0 for n, s, q in numbers], dtype=np.float64
        )

    def shrunk(self, smoothing: Smoothing, prior: exact.Floats, variance: exact.Floats | None = None) -> pl.Series:
        """The mean of each group drawn towards `prior`, which stands alone where it has no rows; null for NaN.

        `variance` is that of all rows, for `smoothing="auto"`.
        """
        counts = self.counts.astype(np.float64)
        known = counts > 0
        if smoothing == "auto":
            assert variance is not None
            signal = variance * counts
            both = signal + self.variances()
            weight = np.divide(signal, both, out=np.zeros(len(counts)), where=both > 0)
            found = np.where(known, weight * self.means(0.0) + (1.0 - weight) * prior, prior)
        else:
            divisor = counts + smoothing
            sums = self.floats + (smoothing * prior if smoothing else 0.0)
            found = np.divide(sums, divisor, out=prior.copy(), where=known & (divisor > 0))
        return pl.Series(found, dtype=pl.Float64, nan_to_null=True)


def none_as_nan(value: float | None) -> float:
    """NaN for the mean of nothing, as numpy has no null."""
    return float("nan") if value is None else value
