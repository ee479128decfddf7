"""headrace's operators fitted and applied on ctr by the GPU engine, and nothing else: the same job as the scripts do.

    python -m benchmarks.gpu_core gpu IN OUT
    python -m benchmarks.gpu_core cpu IN OUT

The same as `benchmarks.ctr_core`, which is for the CPU alone, with rows held where the engine computes and files
written by the engine, in row groups of 1,048,576 rows. Not yet run on a GPU.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from benchmarks.ctr_core import applied, measured, placed
from benchmarks.gpu.facts import Stages, on_device, told
from headrace.engines.engine import EngineName, TaskEngine
from headrace.engines.kernels.parquet import Layout
from headrace.engines.open import EngineSpec, open_engine

FILES: Final[dict[EngineName, int]] = {"cpu": 1, "gpu": 4}
"""Files in a partition: as in the scripts beside it."""
ROW_GROUP: Final = 1 << 20


def fit_apply_write(source: Path, target: Path, engine: TaskEngine, stages: Stages) -> None:
    """Learn on the Parquet files in `source` and write the features, a file a partition, to `target`.

    Two passes. Memory: one partition's rows and the vocabularies.
    """
    files = sorted(source.glob("*.parquet"))
    parts = [files[first : first + FILES[engine.name]] for first in range(0, len(files), FILES[engine.name])]
    target.mkdir(parents=True, exist_ok=True)
    with stages.stage("fit"):
        before, learners = placed(pl.LazyFrame(schema=pl.read_parquet_schema(files[0])), engine)
        columns = [name for learner in learners for name in learner.measured]
        partials: list[list[pl.DataFrame]] = [[] for _ in learners]
        for number, part in enumerate(parts):
            rows = engine.hold(applied(before, pl.scan_parquet(part), engine).select(columns))
            tables = engine.collect([measured(learner, rows.lazy(), number, engine) for learner in learners])
            for kept, table in zip(partials, tables, strict=True):
                kept.append(table)
        del rows
        totals = engine.collect(
            [learner.merge([table.lazy() for table in kept]) for learner, kept in zip(learners, partials, strict=True)]
        )
        fitted = [*before, *(learner.learn(total) for learner, total in zip(learners, totals, strict=True))]
    with stages.stage("apply and write"):
        for number, part in enumerate(parts):
            features = engine.hold(applied(fitted, pl.scan_parquet(part), engine))
            layout = Layout(row_group_rows=ROW_GROUP, dictionary=tuple(features.schema))
            with (target / f"part-{number:05}.parquet").open("wb") as sink:
                engine.write_parquet(sink, features, layout)
            del features


def main(name: EngineName, source: str, target: str) -> None:
    """The engine, the folder of the input, the folder to write to."""
    with on_device() if name == "gpu" else told() as stages:
        fit_apply_write(Path(source), Path(target), open_engine(EngineSpec(name=name, strict=True)), stages)


def arguments(words: Sequence[str]) -> tuple[EngineName, str, str]:
    """The command line's words; anything else is refused with what there is."""
    if len(words) != 3 or words[0] not in FILES:
        raise SystemExit("usage: python -m benchmarks.gpu_core cpu|gpu IN OUT")
    return "gpu" if words[0] == "gpu" else "cpu", words[1], words[2]


if __name__ == "__main__":
    main(*arguments(sys.argv[1:]))
