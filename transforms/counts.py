"""How often each value of a column occurs: the statistics of learners that know values by their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from headrace.transforms.order import arranged

VALUE: Final = "value"
COUNT: Final = "count"
ORDER: Final = ((COUNT, True), (VALUE, False))


def summary(frame: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """Columns `value` and `count` (Int64), a row per distinct value; null is none."""
    count = pl.len().cast(pl.Int64).alias(COUNT)
    return frame.select(pl.col(column).alias(VALUE)).drop_nulls().group_by(VALUE).agg(count)


def merged(tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
    """Several summaries as one."""
    if len(tables) == 1:
        return tables[0]
    return pl.concat(tables, how="vertical").group_by(VALUE).agg(pl.col(COUNT).sum())


def ordered(total: pl.DataFrame) -> pl.DataFrame:
    """A summary by count (descending), then by value (ascending; strings by their UTF-8 bytes), whatever its order was.

    Where nothing was measured there are no rows, and `value` is String.
    """
    if not total.columns:
        return pl.DataFrame(schema={VALUE: pl.String, COUNT: pl.Int64})
    return arranged(total.select(VALUE, COUNT), ORDER)
