"""Kernel `earlier`: the value of the n-th row before, of the same entity and in the order of time.

Contract: rows of equal `order` stand in the order of `index`, which is that of the frame. Null where there is no such
row. Only rows whose entity and order are not null are told apart (`placed` says so): what others get means nothing, and
they count for no row that is placed.

It has two bodies: an expression that every engine runs, and one for the CPU, which leaves out two keys that Polars
would encode by rows, and takes half the time. It may: Polars sorts the rows of a group by one key stably, and with
nulls at the end no row that is placed looks back at one that is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from headrace.engines.engine import Engine


def earlier(
    engine: Engine, value: pl.Expr, n: int, by: tuple[str, ...], order: str, *, placed: str, index: str
) -> pl.Expr:
    """As above, by the body that suits the engine."""
    if engine.name == "cpu":
        return cpu(value, n, by, order)
    return anywhere(value, n, by, order, placed=placed, index=index)


def cpu(value: pl.Expr, n: int, by: tuple[str, ...], order: str) -> pl.Expr:
    """The rows of an entity by their order alone."""
    return value.shift(n).over(*by, order_by=order, nulls_last=True)


def anywhere(value: pl.Expr, n: int, by: tuple[str, ...], order: str, *, placed: str, index: str) -> pl.Expr:
    """The same with all keys written out."""
    return value.shift(n).over(*by, placed, order_by=[order, index])
