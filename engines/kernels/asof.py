"""Kernel `join_asof`: for each row the nearest earlier (or later) row of a table, per key.

Contract: rows keep their number and order; the table's other columns are added, null where nothing matches. The
match is the last table row with the same `by` values whose time is <= the row's (`backward`; >= for `forward`), at
most `tolerance` away; with `exact` false, < (>). Of equal times the last table row (backward) or the first (forward)
counts. A null time or key matches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Literal

import polars as pl

if TYPE_CHECKING:
    from headrace.engines.engine import Engine

Direction = Literal["backward", "forward"]
_ORDER = "__asof_order"


@dataclass(frozen=True, kw_only=True, eq=False)
class JoinAsof:
    """The row of `table` that each row's key and time find."""

    table: pl.LazyFrame
    by: tuple[str, ...]
    left_on: str
    right_on: str
    direction: Direction = "backward"
    tolerance: timedelta | None = None
    exact: bool = True
    name: ClassVar[str] = "join_asof"

    @property
    def reads(self) -> tuple[str, ...]:
        return (*self.by, self.left_on)

    def writes(self, schema: pl.Schema, engine: Engine) -> dict[str, pl.DataType]:
        of_table = self.table.collect_schema()
        return {name: dtype for name, dtype in of_table.items() if name not in (*self.by, self.right_on)}

    def cpu(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """Sort by time, join with Polars' as-of join, and put the rows back in their order."""
        keys = [self.right_on, *self.by]
        right = self.table.drop_nulls(keys).sort(self.right_on, maintain_order=True).rename({self.right_on: _TIME})
        left = frame.with_row_index(_ORDER).sort(self.left_on, maintain_order=True, nulls_last=False)
        joined = left.join_asof(
            right,
            left_on=self.left_on,
            right_on=_TIME,
            by=list(self.by) or None,
            strategy=self.direction,
            tolerance=self.tolerance,
            allow_exact_matches=self.exact,
            check_sortedness=False,
        )
        return joined.sort(_ORDER).drop(_ORDER, _TIME, strict=False)

    def stand_in(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        added = self.writes(frame.collect_schema(), engine)
        return frame.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in added.items())


_TIME = "__asof_time"
