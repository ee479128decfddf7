"""Count, mean and sum of squared deviations, measured per unit and merged without losing digits."""

from __future__ import annotations

from typing import Final, NamedTuple

import polars as pl

from headrace.transforms.columns import Columns

LIMIT: Final = 1e100


class Moments(NamedTuple):
    """The first two moments of a column's finite values.

    Merged by the rule of Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise algorithm for computing
    sample variances", so that a mean of 1.6e9 beside a deviation of 1 comes out right.
    """

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def merged(self, other: Moments) -> Moments:
        """The moments of both sets of values; the order matters in the last digit."""
        if not other.n:
            return self
        n = self.n + other.n
        delta = other.mean - self.mean
        return Moments(
            n,
            self.mean + delta * other.n / n,
            self.m2 + other.m2 + delta * delta * self.n * other.n / n,
        )


def summary(frame: pl.LazyFrame, columns: Columns, *, spread: bool = True) -> pl.LazyFrame:
    """The moments of columns in one part of the data, a row: `<column>:count`, `:mean`, `:m2`, `:min` and `:max`.

    NaN and infinities are left out, and so are values beyond `LIMIT`: the sum of their squares would be infinite.
    Without `spread` there is no `:m2`, which takes as long as all the others.
    """
    values = bounded(frame, columns)  # a query of its own: each is read five times
    return values.select(
        moment
        for value, column in ((pl.col(column), column) for column in columns)
        for moment in (
            value.count().cast(pl.Int64).alias(f"{column}:count"),
            value.mean().alias(f"{column}:mean"),
            *([(value.var(ddof=0) * value.count()).alias(f"{column}:m2")] if spread else []),
            value.min().alias(f"{column}:min"),
            value.max().alias(f"{column}:max"),
        )
    )


def total(ordered: pl.DataFrame, column: str) -> Moments:
    """The moments of one column over all parts, merged in the order of the rows of `ordered`; m2 is 0 without spread.

    Those of a constant are exact: a sum of equal numbers is rounded, and would leave a spread where there is none.
    """
    low, high = ordered[f"{column}:min"].min(), ordered[f"{column}:max"].max()
    if isinstance(low, float) and low == high:
        return Moments(int(ordered[f"{column}:count"].sum()), low + 0.0, 0.0)  # + 0.0: a zero without a sign
    moments = Moments()
    spreads = ordered[f"{column}:m2"] if f"{column}:m2" in ordered.columns else [0.0] * ordered.height
    for n, mean, m2 in zip(ordered[f"{column}:count"], ordered[f"{column}:mean"], spreads, strict=True):
        if n:
            moments = moments.merged(Moments(n, mean, m2))
    return moments


def bounded(frame: pl.LazyFrame, columns: Columns) -> pl.LazyFrame:
    """The columns as Float64 with null for NaN, infinities and what is beyond `LIMIT`: no integer is."""
    schema = frame.collect_schema()
    return frame.select(_bounded(column, schema[column]) for column in columns)


def _bounded(column: str, dtype: pl.DataType) -> pl.Expr:
    value = pl.col(column).cast(pl.Float64)
    return pl.when(value.is_between(-LIMIT, LIMIT, closed="none")).then(value) if dtype.is_float() else value
