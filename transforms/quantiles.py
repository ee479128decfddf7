"""Quantiles from mergeable summaries with a stated error.

A summary holds, for one unit of the data, the finite values of a column cut at equal ranks into `CELLS` cells (one a
value where there are fewer), and of each cell the largest value and the number of values. Summaries are merged by
putting them in one table, so merging is associative and commutative and loses nothing. This is the equi-depth
summary of Greenwald and Khanna (2001), "Space-efficient online computation of quantile summaries", without its
compression.

Error: a value v of the merged summary has at least W(v) rows at or below it, W being the sum of the cells that end at
or below v, and at most S more, with S the sum over units of their largest cell less one. Reading rank r at the first
v with W(v) >= r - S/2 is off by at most S/2 ranks, which is less than 1/4096 of the rows; 0 where no unit has more
than `CELLS` values.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from headrace.transforms.base import UNIT
from headrace.transforms.columns import Columns

CELLS: Final = 2048


def summary(frame: pl.LazyFrame, columns: Columns) -> pl.LazyFrame:
    """The summary of one unit, for all columns: `column` (UInt16, its position), `value` (Float64), `weight` (Int64).

    NaN, infinities and null are left out. Sorts each column once; at most `CELLS` rows per column.
    """
    ranked = frame.select(_finite(c).sort(nulls_last=True).alias(c) for c in columns).with_row_index(_RANK)
    rank = pl.col(_RANK).cast(pl.Int64)
    parts = []
    for position, column in enumerate(columns):
        count = pl.col(column).count().cast(pl.Int64)
        rows = pl.when(count > 0).then(count).otherwise(1)
        cells = pl.when(rows < CELLS).then(rows).otherwise(CELLS)
        cell = rank * cells // rows
        first = (cell * rows + cells - 1) // cells
        parts.append(
            ranked.select(
                pl.lit(position, pl.UInt16).alias("column"),
                pl.col(column).alias("value"),
                (rank - first + 1).alias("weight"),
                ((rank + 1) * cells // rows > cell).alias(_END),
            )
            .filter(pl.col(_END) & pl.col("value").is_not_null())
            .drop(_END)
        )
    return pl.concat(parts, how="vertical")


def cuts(total: pl.DataFrame, position: int, parts: int) -> tuple[float, ...]:
    """The `parts - 1` values that cut a column into parts of equal rows; none where it has no finite value.

    Where a cut falls between two rows it is the middle of their values (numpy's `averaged_inverted_cdf`), so that
    `cuts(total, position, 2)` is the median.
    """
    own = total.filter(pl.col("column") == position)
    if own.is_empty():
        return ()
    units = own.group_by(UNIT).agg(pl.col("weight").sum())["weight"]
    slack = int(((units + CELLS - 1) // CELLS - 1).sum())
    ordered = own.sort("value")
    values, ranks = ordered["value"], ordered["weight"].cum_sum()
    rows = int(ranks[-1])

    def at(rank: int) -> float:
        found = ranks.search_sorted(rank - slack // 2, side="left")
        return float(values[found])

    found = []
    for k in range(1, parts):
        rank, between = divmod(k * rows, parts)
        if between or rank == 0:
            found.append(at(rank + 1))
        else:
            low, high = at(rank), at(rank + 1)
            found.append(low if low == high else low / 2 + high / 2)
    return tuple(found)


_RANK = "__rank"
_END = "__end"


def _finite(column: str) -> pl.Expr:
    """The column as Float64, with NaN and infinities as null."""
    value = pl.col(column).cast(pl.Float64)
    return pl.when(value.is_finite()).then(value)
