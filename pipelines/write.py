"""Writing: the rows of each shard are brought together, put in order, written and measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.catalog.manifest import Statistics
from headrace.catalog.partials import Partial, merge
from headrace.catalog.records import File
from headrace.catalog.shards import shard_path, write_shard
from headrace.catalog.sketch import sketch
from headrace.catalog.sketch_files import FOLDER, save_sketches
from headrace.catalog.statistics import measure
from headrace.catalog.summary import summarize
from headrace.engines.executor import Executor
from headrace.engines.open import EngineSpec, open_engine
from headrace.pipelines.apply import ORDER, ApplyRecord, piece_files
from headrace.pipelines.layout import read_layout, rows_by_split
from headrace.pipelines.tasks import Task, map_tasks
from headrace.pipelines.work import Work, open_work
from headrace.schemas.names import ROW
from headrace.transforms.base import Ids


class ShardTask(Task):
    """A task that writes one shard: `item` is the split, `bucket` the shard's number within it."""

    build: str
    first_row: int
    total_rows: int
    nullable: tuple[str, ...]
    dictionary: tuple[str, ...]


class Shard(NamedTuple):
    """A shard that is written, the statistics of its rows, and what ran on the CPU though the GPU was asked for."""

    split: int
    file: File
    statistics: Partial
    fallbacks: tuple[str, ...]


class Written(BaseModel):
    """The shards of a build, by split, and the statistics of their columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, tuple[File, ...]]
    statistics: dict[str, dict[str, Statistics]]
    fallbacks: tuple[str, ...] = ()


def write_one(task: ShardTask) -> Shard:
    """Bring the rows of one shard together, put them in order, write them and measure them."""
    work = open_work(task.work)
    layout = read_layout(work)
    path = shard_path(work.pipeline.split.names[task.item], task.bucket)
    engine = open_engine(task.engine)
    with task.named():
        pieces = engine.read_bucket(piece_files(work), layout.firsts[task.item] + task.bucket)
        rows = engine.hold(pieces.lazy().sort(ORDER, ROW).drop(ORDER, ROW))
        del pieces
        (Path(task.build) / path).unlink(missing_ok=True)  # left by a try that the device had no memory for
        file = write_shard(
            Path(task.build),
            path,
            rows,
            engine,
            profile=work.pipeline.output.profile,
            dictionary=[c for c in task.dictionary if rows.height >= _ROWS_FOR_DICTIONARY],
            nullable=task.nullable,
        )
        statistics = measure(rows, engine, first_row=task.first_row, total_rows=task.total_rows)
    return Shard(task.item, file, statistics, task.notes(engine.fallbacks))


def write_shards(
    work: Work,
    executor: Executor,
    engine: EngineSpec,
    build: Path,
    applied: ApplyRecord,
    ids: dict[str, Ids],
    advance: Callable[[int], None] | None = None,
) -> Written:
    """Write all shards into a build's folder. A split without rows, which only an append may have, gets none."""
    layout = read_layout(work)
    rows = rows_by_split(layout, applied.shard_rows)
    tasks = [
        ShardTask(
            work=str(work.path),
            engine=engine,
            number=0,
            item=split,
            bucket=number,
            label=f"shard {shard_path(work.pipeline.split.names[split], number)}",
            build=str(build),
            first_row=sum(applied.shard_rows.get(layout.firsts[split] + i, 0) for i in range(number)),
            total_rows=rows[split],
            nullable=tuple(applied.nulls),
            dictionary=_dictionary(work, ids, rows[split] // layout.shards[split]),
        )
        for split, shards in enumerate(layout.shards)
        if rows[split]
        for number in range(shards)
    ]

    def count(shard: object) -> None:
        if advance and isinstance(shard, Shard):
            advance(shard.file.rows)

    shards = map_tasks(executor, write_one, tasks, count)
    by_split = {
        name: [shard for shard in shards if shard.split == i]
        for i, name in enumerate(work.pipeline.split.names)
        if rows[i]
    }
    totals = {name: merge([shard.statistics for shard in some]) for name, some in by_split.items()}
    save_sketches(build / FOLDER, {name: sketch(total) for name, total in totals.items()})
    return Written(
        files={name: tuple(shard.file for shard in some) for name, some in by_split.items()},
        statistics={name: summarize(total) for name, total in totals.items()},
        fallbacks=tuple(dict.fromkeys(note for shard in shards for note in shard.fallbacks)),
    )


def _dictionary(work: Work, ids: dict[str, Ids], rows: int) -> tuple[str, ...]:
    """The columns with few values for their rows: those are smaller and as fast with a dictionary."""
    few = [name for name, dtype in work.resolved.output.items() if dtype in (pl.Boolean, pl.UInt8, pl.String)]
    few += [name for name, known in ids.items() if known.cardinality < rows // 8]
    return tuple(dict.fromkeys(n for n in few if work.resolved.output[n] != pl.Boolean))


_ROWS_FOR_DICTIONARY = 1024
