"""What a training row is encoded from: the other folds of a stable key, or the periods before its own.

A fold is a function of the row's values alone. NVTabular's are drawn by the row's position in its partition, so that
the same row is in another fold as soon as the data is cut, sorted or filtered in another way.
"""

from __future__ import annotations

from typing import Final, Literal

import polars as pl

from headrace.engines.engine import Engine
from headrace.transforms.duration import parse_period
from headrace.transforms.keys import hash64

FoldBy = Literal["key", "group", "time"]
"""`group` is `key`, said of columns that name a group of rows rather than a row."""

FOLD: Final = "__target_fold"


def number_folds(
    frame: pl.LazyFrame,
    by: FoldBy,
    on: tuple[str, ...],
    folds: int,
    every: str,
    schema: pl.Schema,
    engine: Engine,
) -> pl.LazyFrame:
    """Add the number of the row's fold or period; a null time is in a period before all others."""
    if by == "time":
        period = parse_period(every).number(on[0], schema[on[0]]).cast(pl.Int64).fill_null(_NEVER)
        return frame.with_columns(period.alias(FOLD))
    hashed = hash64(frame, on, schema, FOLD, engine)
    return hashed.with_columns((pl.col(FOLD) % folds).cast(pl.Int64, wrap_numerical=True))


_NEVER: Final = -(1 << 62)


def sums_of_others(
    rows: pl.DataFrame, totals: pl.DataFrame, keys: list[str], numbers: list[str], by: FoldBy
) -> pl.DataFrame:
    """What each row of a fold is encoded from: the sums of the other folds, or those of the periods before.

    `rows` are sorted by fold within each key. Rows without a time are encoded from nothing, and count for nothing
    before anything either: nobody knows that they were earlier.
    """
    if by == "time":
        dated = [pl.when(pl.col("fold") != _NEVER).then(pl.col(n)).otherwise(0).alias(n) for n in numbers]
        before = [(pl.col(n).cum_sum() - pl.col(n)) for n in numbers]
        return rows.with_columns(dated).select(e.over(keys) if keys else e for e in before)
    if not keys:
        return rows.select((pl.lit(totals[n].item(), pl.Int64) - pl.col(n)).alias(n) for n in numbers)
    joined = rows.join(totals, on=keys, how="left", maintain_order="left", suffix=":all")
    return joined.select((pl.col(f"{n}:all") - pl.col(n)).alias(n) for n in numbers)
