"""Rows against the contract: the good ones stay where the engine holds them, the bad ones come with their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from headrace.engines.engine import Held, TaskEngine
from headrace.schemas.rules import OK, Rule, evaluated, flag, with_reasons

LABEL: Final = "the contract"
"""What the check is called where it falls back to the CPU."""


def split(rows: pl.LazyFrame, rules: Sequence[Rule], engine: TaskEngine) -> tuple[Held, pl.DataFrame]:
    """Split rows in good and bad, each in their order; the bad ones carry their `reasons`.

    Cost: one pass of the rules over all rows, whose verdict is held beside them, and a second over the bad rows; where
    there are none the rows are handed on as they are. Bad rows are copied to this process's memory.

    Raises
    ------
    CapabilityError
        The engine is strict, and cannot run the rules.
    DataError
        An SQL rule fails on the data, such as a cast of text that is no number.
    """
    ok = pl.col(OK)
    with evaluated():
        flagged = engine.hold(engine.step(LABEL, rows, lambda frame, _: flag(frame, rules)))
        [count] = engine.collect([flagged.lazy().select((~ok).sum())])
        if not count.item():
            good = engine.hold(flagged.lazy().drop(OK))
            return good, with_reasons(pl.DataFrame(schema=good.schema), pl.DataFrame())
        bad = engine.hold(flagged.lazy().filter(~ok).drop(OK))
        # By the engine that found them bad: where two engines read a pattern differently there is a reason still.
        exprs = [rule.expr for rule in rules]
        [verdicts] = engine.collect([engine.step(LABEL, bad.lazy(), lambda frame, _: frame.select(exprs))])
        good = engine.hold(flagged.lazy().filter(ok).drop(OK))
    return good, with_reasons(bad.to_polars(), verdicts)
