"""headrace's operators fitted and applied on ctr, and nothing else: the same job as the scripts do.

    python -m benchmarks.ctr_core IN OUT

No contract, no plan, no exchange, no statistics, no checksums, no commit: what the operators cost by themselves, a file
at a time. `headrace run` on `ctr_pipeline` is the other side, with everything on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from benchmarks.ctr_pipeline import pipeline
from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Engine
from headrace.transforms.base import UNIT, Learner, Operator, Transform


def fit_apply_write(source: Path, target: Path) -> None:
    """Learn on the Parquet files in `source` and write the features, a file for a file, to `target`.

    Two passes: the learners of ctr depend on no other learner. Memory: one file's rows and the vocabularies.
    """
    engine = CpuEngine()
    files = sorted(source.glob("*.parquet"))
    empty = pl.scan_parquet(files[0]).head(0).collect().lazy()
    before, learners = placed(empty, engine)
    partials: list[list[pl.DataFrame]] = [[] for _ in learners]
    columns = [name for learner in learners for name in learner.measured]
    for number, file in enumerate(files):
        rows = engine.collect([applied(before, pl.scan_parquet(file), engine).select(columns)])[0].lazy()
        tables = engine.collect([measured(learner, rows, number, engine) for learner in learners])
        for kept, table in zip(partials, tables, strict=True):
            kept.append(table)
    totals = engine.collect(
        [learner.merge([table.lazy() for table in kept]) for learner, kept in zip(learners, partials, strict=True)]
    )
    fitted = [*before, *(learner.learn(total) for learner, total in zip(learners, totals, strict=True))]
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        features = engine.collect([applied(fitted, pl.scan_parquet(file), engine)])[0]
        features.write_parquet(target / file.name, compression="lz4")


def placed(empty: pl.LazyFrame, engine: Engine) -> tuple[list[Transform], list[Learner]]:
    """The steps that need no data, fitted, and then the learners: each resolved against the columns it meets."""
    before: list[Transform] = []
    learners: list[Learner] = []
    for step in pipeline.steps:
        for part in step.resolve(applied(before, empty, engine).collect_schema()).separate():
            if isinstance(part, Learner) and part.measured:
                learners.append(part)
            else:
                before.append(_fitted(part))
    return before, learners


def _fitted(step: Operator) -> Transform:
    if isinstance(step, Learner):
        return step.learn(pl.DataFrame())
    assert isinstance(step, Transform)
    return step


def applied(steps: Sequence[Transform], frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
    """The rows after all of the steps."""
    for step in steps:
        frame = step.apply(frame, engine)
    return frame


def measured(learner: Learner, rows: pl.LazyFrame, number: int, engine: Engine) -> pl.LazyFrame:
    """What a learner measures on part `number` of the rows."""
    table = learner.measure(rows, engine)
    return table.with_columns(pl.lit(number, pl.Int64).alias(UNIT)) if learner.by_unit else table


if __name__ == "__main__":
    fit_apply_write(Path(sys.argv[1]), Path(sys.argv[2]))
