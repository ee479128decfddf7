"""Kernel `join_asof`: for each row the nearest earlier (or later) row of a table, per key.

Contract: rows keep their number and order; the table's other columns are added, null where nothing matches. The
match is the last table row with the same `by` values whose time is <= the row's (`backward`; >= for `forward`), at
most `tolerance` away; with `exact` false, < (>). Of equal times the last table row (backward) or the first (forward)
counts. A null time or key matches nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import polars as pl

Direction = Literal["backward", "forward"]
_ORDER = "__asof_order"


def cpu(
    frame: pl.LazyFrame,
    table: pl.LazyFrame,
    *,
    by: tuple[str, ...],
    left_on: str,
    right_on: str,
    direction: Direction,
    tolerance: timedelta | None,
    exact: bool,
) -> pl.LazyFrame:
    """Sort by time, join with Polars' as-of join, and put the rows back in their order."""
    keys = [right_on, *by]
    right = table.drop_nulls(keys).sort(right_on, maintain_order=True).rename({right_on: _TIME})
    left = frame.with_row_index(_ORDER).sort(left_on, maintain_order=True, nulls_last=False)
    joined = left.join_asof(
        right,
        left_on=left_on,
        right_on=_TIME,
        by=list(by) or None,
        strategy=direction,
        tolerance=tolerance,
        allow_exact_matches=exact,
        check_sortedness=False,
    )
    return joined.sort(_ORDER).drop(_ORDER, _TIME, strict=False)


def stand_in(frame: pl.LazyFrame, table: pl.LazyFrame, by: tuple[str, ...], right_on: str) -> pl.LazyFrame:
    """The table's other columns as nulls of their types, for the translation check."""
    schema = table.collect_schema()
    return frame.with_columns(pl.lit(None, dtype).alias(n) for n, dtype in schema.items() if n not in (*by, right_on))


_TIME = "__asof_time"
