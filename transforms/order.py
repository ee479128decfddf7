"""Tables of statistics in the order that a learner gives them, sorted only where they are not in it."""

from __future__ import annotations

from typing import Final

import polars as pl

from headrace.transforms.base import Order


def arranged(table: pl.DataFrame, order: Order) -> pl.DataFrame:
    """The rows in this order; the table itself where they are in it, for a sort takes several times its memory."""
    if not order or in_order(table, order):
        return table
    return by_order(table, order).rechunk()


def by_order(table: pl.DataFrame, order: Order) -> pl.DataFrame:
    """The rows sorted, equal ones in any order."""
    if any(table.schema[c] == pl.String for c, _ in order):
        return table.sort([c for c, _ in order], descending=[last for _, last in order])
    # Column by column, the least first: five times as fast as together, but for strings.
    for column, last in reversed(order):
        table = table.sort(column, descending=last, maintain_order=True)
    return table


def in_order(table: pl.DataFrame, order: Order) -> bool:
    """Whether the rows are in this order, equal ones in any; its columns have no nulls. A part of them at a time."""
    columns = [c for c, _ in order]
    starts = range(0, table.height - 1, _AT_ONCE)
    return all(table.slice(i, _AT_ONCE + 1).select(columns).select(_rising(order)).item() for i in starts)


def _rising(order: Order) -> pl.Expr:
    rising = pl.lit(True)
    for column, last in reversed(order):
        this, following = pl.col(column).slice(0, pl.len() - 1), pl.col(column).slice(1)
        rising = (this > following if last else this < following) | ((this == following) & rising)
    return rising.all()


_AT_ONCE: Final = 1 << 17
