"""How far a pass takes the rows, and which columns it reads for that: the same query whatever applies a step."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Engine
from headrace.pipelines.asked import asked
from headrace.pipelines.model import Pipeline
from headrace.pipelines.resolve import Placed, Resolved
from headrace.pipelines.splits import TimeSplit
from headrace.schemas.names import ROW, SPLIT

TIME = "__time"


def through(
    resolved: Resolved,
    frame: pl.LazyFrame,
    number: int,
    engine: Engine,
    apply: Callable[[Placed, pl.LazyFrame], pl.LazyFrame],
) -> pl.LazyFrame:
    """Take rows through every step that pass `number` can apply.

    At the place of each learner and window that this pass serves, the columns it needs are kept under the names that
    `kept` gives: a later step may change or drop them. What a step would write or drop that has to wait is taken away,
    so that no step after it meets a column of the right name with other values.
    """
    for placed in resolved.steps:
        if placed.index == resolved.split_index:
            frame = assign_split(resolved.pipeline, frame, engine)
        if placed.pass_number == number:
            frame = frame.with_columns(pl.col(c).alias(kept(placed, c)) for c in placed.gathered)
        if placed.stage <= number:
            frame = apply(placed, frame)
        else:
            frame = frame.drop([*placed.form.drops, *placed.form.writes], strict=False)
    return assign_split(resolved.pipeline, frame, engine) if resolved.split_index == len(resolved.steps) else frame


def assign_split(pipeline: Pipeline, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
    """Add the split, and keep the time that the report draws the label over."""
    frame = pipeline.split.assign(frame, frame.collect_schema(), engine)
    by = pipeline.split
    return frame.with_columns(pl.col(by.column).alias(TIME)) if isinstance(by, TimeSplit) else frame


def kept(placed: Placed, column: str) -> str:
    """The name under which a pass keeps a column for a learner or window."""
    return f"__{placed.index}:{column}"


def gathered(resolved: Resolved, number: int) -> list[str]:
    """The columns that a pass ends with: what its learners and windows need, or what is published."""
    if number < resolved.passes:
        return [ROW, SPLIT, *(kept(s, c) for s in resolved.in_pass(number) for c in s.gathered)]
    timed = [TIME] if isinstance(resolved.pipeline.split, TimeSplit) else []
    return [ROW, SPLIT, *timed, *resolved.published]


def columns_read(resolved: Resolved, number: int) -> tuple[str, ...]:
    """The source columns that a pass reads: what Polars asks a source for that runs the very query, on no rows."""
    engine = CpuEngine()
    schema = pl.Schema({**resolved.source, ROW: pl.Int64()})

    def apply(placed: Placed, frame: pl.LazyFrame) -> pl.LazyFrame:
        if not placed.collects:
            return placed.form.apply(frame, engine)
        before = frame.collect_schema()
        after = placed.form.apply(pl.LazyFrame(schema=before), engine).collect_schema()
        answers = pl.LazyFrame(schema={ROW: pl.Int64(), **{c: after[c] for c in placed.form.writes}})
        return frame.drop(placed.form.writes, strict=False).join(answers, on=ROW, how="left", maintain_order="left")

    needed = asked(
        schema, lambda rows: through(resolved, rows, number, engine, apply).select(gathered(resolved, number))
    )
    return tuple(c for c in resolved.source.names() if c in needed)
