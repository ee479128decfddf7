"""Rows against the contract: the good ones stay where the engine holds them, the bad ones come with their reasons."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from headrace.engines.engine import Held, TaskEngine
from headrace.schemas.rules import Rule, evaluated, good_mask, with_reasons


def split(rows: pl.LazyFrame, rules: Sequence[Rule], engine: TaskEngine) -> tuple[Held, pl.DataFrame]:
    """Split rows in good and bad, each in their order; the bad ones carry their `reasons`.

    Cost: one pass; where no row is bad the rows are handed on as they are. Reasons are worked out for bad rows only,
    in this process's memory.

    Raises
    ------
    DataError
        An SQL rule fails on the data, such as a cast of text that is no number.
    """
    good = good_mask(rules)
    with evaluated():
        bad = engine.collect([rows.select((~good).sum())])[0].item()
        if not bad:
            held = engine.hold(rows)
            return held, with_reasons(pl.DataFrame(schema=held.schema), rules)
        refused = engine.hold(rows.filter(~good)).to_polars()
        return engine.hold(rows.filter(good)), with_reasons(refused, rules)
