"""Kernel `either`: one of two expressions of a value, whichever a condition on it names.

Contract: `pl.when(holds(x)).then(then(x)).otherwise(otherwise(x))`, of type `dtype`, where each of the three is worked
out for a row from that row alone, and null makes null of both.

It has two bodies: that expression, which every engine runs, and one for the CPU, which works out both only where it
needs both: Polars works out either of them for all rows, and a power takes many times as long as a comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from headrace.engines.engine import Engine

Of = Callable[[pl.Expr], pl.Expr]


def either(engine: Engine, value: pl.Expr, holds: Of, then: Of, otherwise: Of, dtype: pl.DataType) -> pl.Expr:
    """As above, by the body that suits the engine."""
    if engine.name == "cpu":
        return cpu(value, holds, then, otherwise, dtype)
    return anywhere(value, holds, then, otherwise)


def cpu(value: pl.Expr, holds: Of, then: Of, otherwise: Of, dtype: pl.DataType) -> pl.Expr:
    """Decided for each batch of rows."""
    chosen = partial(_chosen, holds, then, otherwise)
    return value.map_batches(chosen, return_dtype=dtype, is_elementwise=True)


def anywhere(value: pl.Expr, holds: Of, then: Of, otherwise: Of) -> pl.Expr:
    """Both for all rows."""
    return pl.when(holds(value)).then(then(value)).otherwise(otherwise(value))


def _chosen(holds: Of, then: Of, otherwise: Of, values: pl.Series) -> pl.Series:
    rows, value = pl.DataFrame({_VALUE: values}), pl.col(_VALUE)
    held = rows.select(holds(value)).to_series()
    if held.all():  # of null holds neither, and either makes null of it
        found = rows.select(then(value))
    elif not held.any():
        found = rows.select(otherwise(value))
    else:
        found = rows.select(pl.when(held).then(then(value)).otherwise(otherwise(value)))
    return found.to_series().alias(values.name)


_VALUE: Final = "__either"
