"""Quantiles from mergeable summaries with a stated error.

A summary holds, for one unit of the data, the `TAIL` smallest and the `TAIL` largest finite values of a column, and of
the others, cut at equal ranks into `CELLS` cells (one a value where there are fewer), of each cell the largest value
and the number of values. Summaries are merged by putting them in one table, so merging is associative and commutative
and loses nothing. This is the equi-depth summary of Greenwald and Khanna (2001), "Space-efficient online computation
of quantile summaries", without its compression.

Error: a value v of the merged summary has at least W(v) rows at or below it, W being the sum of the cells that end at
or below v, and at most S more, with S the sum over units of their largest cell less one. Reading rank r at the first
v with W(v) >= r - S/2 is off by at most S/2 ranks, which is less than 1/4096 of the rows; 0 where no unit has more
than `CELLS` values. The smallest and the largest values
are always exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from headrace.transforms.base import UNIT
from headrace.transforms.columns import Columns

CELLS: Final = 2048
TAIL: Final = 64

Floats = npt.NDArray[np.float64]


def summary(frame: pl.LazyFrame, columns: Columns) -> pl.LazyFrame:
    """The summary of one unit, for all columns: `column` (UInt16, its position), `value` (Float64), `weight` (Int64).

    NaN, infinities and null are left out. Sorts each column once; at most `CELLS` + 2 `TAIL` rows per column.
    """
    values = frame.select(_finite(c).sort(nulls_last=True).alias(c) for c in columns)
    return pl.concat([_cut(values, position, column) for position, column in enumerate(columns)], how="vertical")


def _cut(values: pl.LazyFrame, position: int, column: str) -> pl.LazyFrame:
    """The tails and the ends of the cells of one sorted column, found by their ranks."""
    count = pl.col(column).count().cast(pl.Int64)
    between = pl.when(count > 2 * TAIL).then(count - 2 * TAIL).otherwise(0)  # of the values between the tails
    cells = pl.when(between < CELLS).then(between).otherwise(CELLS)
    place = pl.lit(pl.Series(range(CELLS + 2 * TAIL), dtype=pl.Int64))
    cell = place - TAIL
    inside = (cell >= 0) & (cell < cells)
    divisor = pl.when(cells > 0).then(cells).otherwise(1)
    first, next_ = ((number * between + divisor - 1) // divisor for number in (cell, cell + 1))
    rank = pl.when(cell < 0).then(place).when(inside).then(next_ - 1 + TAIL).otherwise(place + between - cells)
    weight = pl.when(inside).then(next_ - first).otherwise(1)
    there = rank < count
    return values.select(
        pl.lit(position, pl.UInt16).alias("column"),
        pl.col(column).gather(rank.filter(there)).alias("value"),
        weight.cast(pl.Int64).filter(there).alias("weight"),
    )


class Merged:
    """The merged summary of one column, in the order of its values."""

    def __init__(self, total: pl.DataFrame, position: int) -> None:
        own = total.filter(pl.col("column") == position)
        units = own.group_by(UNIT).agg(pl.col("weight").sum())["weight"]
        ordered = own.sort("value")
        self._values, self._ranks = ordered["value"].to_numpy(), ordered["weight"].cum_sum().to_numpy()
        self._slack = int(((units - 2 * TAIL + CELLS - 1) // CELLS - 1).clip(0).sum())
        self.rows = int(self._ranks[-1]) if len(ordered) else 0

    def read(self, ranks: Sequence[int]) -> list[float]:
        """The values of these ranks, from 1 to `rows`."""
        wanted = np.asarray(ranks, np.int64)
        found = np.searchsorted(self._ranks, wanted - self._slack // 2, side="left")
        found[wanted >= self.rows] = len(self._ranks) - 1
        return list((self._values[found] + 0.0).tolist())  # -0 equals 0, and either may stand first


def cuts(total: pl.DataFrame, position: int, parts: int) -> tuple[float, ...]:
    """The `parts - 1` values that cut a column into parts of equal rows; none where it has no finite value.

    Where a cut falls between two rows it is the middle of their values (numpy's `averaged_inverted_cdf`), so that
    `cuts(total, position, 2)` is the median.
    """
    merged = Merged(total, position)
    if not merged.rows:
        return ()
    ranks = [divmod(k * merged.rows, parts) for k in range(1, parts)]
    lows = merged.read([rank + 1 if between or rank == 0 else rank for rank, between in ranks])
    highs = merged.read([rank + 1 for rank, _ in ranks])
    return tuple(_between(low, high, 0.5) for low, high in zip(lows, highs, strict=True))


def at(total: pl.DataFrame, position: int, fractions: Sequence[float | Fraction]) -> tuple[float, ...]:
    """The values at any fractions of a column's rows, from 0 to 1; none where it has no finite value.

    On the straight line between the two rows next to it (numpy's `linear`): 0 is the smallest value, 1 the largest. A
    float counts as the decimal fraction that is written.
    """
    merged = Merged(total, position)
    if not merged.rows:
        return ()
    ranks = [divmod(exactly(fraction) * (merged.rows - 1), 1) for fraction in fractions]
    lows, highs = (merged.read([int(rank) + 1 + next_ for rank, _ in ranks]) for next_ in (0, 1))
    return tuple(_between(low, high, float(rest)) for low, high, (_, rest) in zip(lows, highs, ranks, strict=True))


def ends(total: pl.DataFrame, position: int, lower: float, upper: float) -> tuple[float, float] | None:
    """Two values of rows: at most the share `lower` lies below the first, at most 1 - `upper` above the second.

    None where the column has no finite value. Floats count as the decimal fractions that are written.
    """
    merged = Merged(total, position)
    if not merged.rows:
        return None
    low, high = merged.read([math.floor(exactly(lower) * merged.rows) + 1, math.ceil(exactly(upper) * merged.rows)])
    return low, high


def points(total: pl.DataFrame, position: int) -> tuple[Floats, Floats]:
    """Values in order and how many rows each stands for: the rows themselves where the summary is exact.

    Where a cell has several rows they count as lying at equal steps between its ends, half of them for either end.
    """
    own = total.filter(pl.col("column") == position).sort(UNIT, "value")
    before = pl.col("value").shift(1).over(UNIT, order_by="value")
    inner = own.select(value=before, weight=(pl.col("weight") - 1) / 2).drop_nulls()
    both = pl.concat([own.select("value", weight=(pl.col("weight") + 1) / 2), inner])
    ordered = (
        both.group_by(pl.col("value") + 0.0).agg(pl.col("weight").sum()).filter(pl.col("weight") > 0).sort("value")
    )
    return ordered["value"].to_numpy(), ordered["weight"].to_numpy()


def exactly(fraction: float | Fraction) -> Fraction:
    """The decimal fraction that a float is written as: 0.07 is seven of a hundred."""
    return fraction if isinstance(fraction, Fraction) else Fraction(repr(fraction))


def _between(low: float, high: float, share: float) -> float:
    """On the way from one value to another, which may lie further apart than any float is large."""
    return low if low == high or not share else low * (1 - share) + high * share


def _finite(column: str) -> pl.Expr:
    """The column as Float64, with NaN and infinities as null."""
    value = pl.col(column).cast(pl.Float64)
    return pl.when(value.is_finite()).then(value)
