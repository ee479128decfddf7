"""Applying: one query takes a partition from its file to its published columns, cut into pieces by shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.engines.engine import Held, TaskEngine
from headrace.engines.executor import Executor
from headrace.engines.kernels.xxhash64 import hash64
from headrace.engines.open import EngineSpec, open_engine
from headrace.pipelines.counts import added
from headrace.pipelines.fit import unique_reason
from headrace.pipelines.layout import Layout, read_layout, rows_by_split
from headrace.pipelines.passes import TIME, gathered
from headrace.pipelines.plan import Partition
from headrace.pipelines.rows import (
    QUARANTINE,
    duplicates_of,
    good_rows,
    located,
    source_rows,
    walk,
)
from headrace.pipelines.tasks import Task, map_tasks
from headrace.pipelines.work import Work, open_work, save_record, saved_record, whole_folder
from headrace.schemas.errors import DataError
from headrace.schemas.names import ROW, SPLIT
from headrace.schemas.rules import REASONS
from headrace.transforms import sequences

PIECES = "pieces"
LABELS = "labels"
PLACE = "__place"
ORDER = "__order"
_MONDAY = 3
"""The day that Polars counts dates from, 1 January 1970, was a Thursday."""


class ApplyRecord(BaseModel):
    """What applying made of one partition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    shard_rows: dict[int, int]
    nulls: dict[str, int]
    pieces: int = 1
    fallbacks: tuple[str, ...] = ()


def apply(
    work: Work, executor: Executor, engine: EngineSpec, advance: Callable[[int], None] | None = None
) -> ApplyRecord:
    """Apply the fitted steps to every partition. Returns the sum of the records.

    Raises
    ------
    DataError
        A split without a row.
    """
    tasks = [
        Task(
            work=str(work.path),
            engine=engine,
            number=work.resolved.passes,
            item=p.number,
            label=f"applying to partition {p.number}",
            most_pieces=len(p.units),
        )
        for p in work.plan.partitions
    ]

    def count(record: object) -> None:
        if advance and isinstance(record, ApplyRecord):
            advance(record.rows)

    shard_rows: Counter[int] = Counter()
    nulls: Counter[str] = Counter()
    fallbacks: dict[str, None] = {}
    for record in map_tasks(executor, apply_partition, tasks, count):
        shard_rows.update(record.shard_rows)
        nulls.update(record.nulls)
        fallbacks.update(dict.fromkeys(record.fallbacks))
    rows = rows_by_split(read_layout(work), shard_rows)
    appends = work.plan.appends_to
    if appends is not None:
        nulls.update(dict.fromkeys(appends.nullable, 0))
    empty = [name for name, count in zip(work.pipeline.split.names, rows, strict=True) if not count]
    if empty and (appends is None or not any(rows)):
        last_rows = any(isinstance(placed.step, sequences.Sequence) for placed in work.resolved.steps)
        raise DataError(
            f"no row in the split(s) {'; '.join(f'{name} ({work.pipeline.split.rules[name]})' for name in empty)}",
            hint="Sequence keeps the last row of each entity: split by a hash of the entity"
            if last_rows
            else "change the split, or look at what the steps filter",
            where=work.pipeline.name,
        )
    return ApplyRecord(rows=work.plan.rows, shard_rows=dict(shard_rows), nulls=dict(nulls), fallbacks=tuple(fallbacks))


def apply_partition(task: Task) -> ApplyRecord:
    """Take one partition through all steps and cut the result into pieces by shard."""
    work = open_work(task.work)
    partition = work.plan.partitions[task.item]
    folder = work.part("apply", partition.number)
    done = saved_record(folder)
    if done:
        return ApplyRecord.model_validate_json(done)
    engine = open_engine(task.engine)
    layout = read_layout(work)
    with whole_folder(folder) as made, task.named():
        parts = partition.parts(task.pieces)
        applied = [_apply_part(work, part, task.number, made, i, layout, engine) for i, part in enumerate(parts)]
        _quarantine_duplicates(work, task, made)
        record = ApplyRecord(
            rows=partition.rows,
            shard_rows=added(shard_rows for shard_rows, _ in applied),
            nulls={name: count for name, count in added(nulls for _, nulls in applied).items() if count},
            pieces=len(parts),
            fallbacks=task.notes(engine.fallbacks),
        )
        save_record(made, record)
    return record


def piece_files(work: Work) -> list[Path]:
    """The pieces of every partition, in the order of the rows, without the suffix that the engine adds."""
    found = []
    for partition in work.plan.partitions:
        folder = work.part("apply", partition.number)
        record = ApplyRecord.model_validate_json((folder / "record.json").read_bytes())
        found += [folder / f"{PIECES}-{place}" for place in range(record.pieces)]
    return found


def _apply_part(
    work: Work, partition: Partition, number: int, made: Path, place: int, layout: Layout, engine: TaskEngine
) -> tuple[dict[int, int], dict[str, int]]:
    """Returns the rows of each shard, and the nulls of each published column."""
    published = list(work.resolved.published)
    frame = walk(work, good_rows(work, partition), partition, number, engine)
    placed = _place(work, frame.select(gathered(work.resolved, number)), layout, engine)
    rows = engine.hold(placed)
    if engine.collect([rows.lazy().select(pl.col(SPLIT).null_count())])[0].item():
        rows = engine.hold(rows.lazy().filter(pl.col(SPLIT).is_not_null()))
    if TIME in rows.schema:
        _labels(rows, work.pipeline.target, engine).write_parquet(made / f"{LABELS}-{place}.parquet")
    own = engine.hold(rows.lazy().select(ORDER, ROW, *published, PLACE))
    engine.write_pieces(made / f"{PIECES}-{place}", own, PLACE, sum(layout.shards))
    nulls, shards = engine.collect(
        [own.lazy().select(pl.col(published).null_count()), own.lazy().group_by(PLACE).agg(pl.len().alias("rows"))]
    )
    return dict(shards.select(PLACE, "rows").iter_rows()), nulls.row(0, named=True)


def _place(work: Work, frame: pl.LazyFrame, layout: Layout, engine: TaskEngine) -> pl.LazyFrame:
    """Add the shard of each row, and what the rows of a shard are ordered by."""
    shards, first = _of_split(layout.shards), _of_split(layout.firsts)
    if work.pipeline.output.order == "shuffle":
        frame = hash64(engine, frame, ROW, pl.Int64(), ORDER, seed=work.pipeline.output.seed)
        share = pl.col(ORDER) // pl.lit(1 << 32, pl.UInt64) * shards // pl.lit(1 << 32, pl.UInt64)
    else:
        frame = frame.with_columns(pl.col(ROW).cast(pl.UInt64).alias(ORDER))
        share = pl.lit(0, pl.UInt64)
        for split, bounds in enumerate(layout.bounds):
            if bounds:
                own = pl.lit(pl.Series(bounds, dtype=pl.Int64)).search_sorted(pl.col(ROW), side="right")
                share = pl.when(pl.col(SPLIT) == split).then(own.cast(pl.UInt64)).otherwise(share)
    return frame.with_columns((first + share).alias(PLACE))


def _of_split(values: Sequence[int]) -> pl.Expr:
    """The value of each row's split, null where it is in none."""
    found = pl.lit(None, pl.UInt64)
    for split, value in enumerate(values):
        found = pl.when(pl.col(SPLIT) == split).then(pl.lit(value, pl.UInt64)).otherwise(found)
    return found


def _labels(rows: Held, target: str, engine: TaskEngine) -> pl.DataFrame:
    """Count and sum of the label by week and split, for the report."""
    day = pl.col(TIME).cast(pl.Date).cast(pl.Int32)
    weekly = (
        rows.lazy()
        .select((day - (day + _MONDAY) % 7).alias("week"), SPLIT, pl.col(target).cast(pl.Float64))
        .group_by("week", SPLIT)
        .agg(pl.len().alias("rows"), pl.col(target).sum().alias("label"))
    )
    return engine.collect([weekly])[0].with_columns(pl.col("week").cast(pl.Date))


def _quarantine_duplicates(work: Work, task: Task, made: Path) -> None:
    partition = work.plan.partitions[task.item]
    found = [
        duplicates_of(work, partition, key).select(ROW, pl.lit(unique_reason(columns)).alias(REASONS))
        for key, columns in enumerate(work.pipeline.contract.unique_keys())
    ]
    repeated = pl.concat(found) if found else pl.DataFrame()
    if repeated.is_empty():
        return
    reasons = repeated.group_by(ROW, maintain_order=True).agg(REASONS)
    rows = source_rows(work, partition).join(reasons.lazy(), on=ROW, how="inner", maintain_order="left").collect()
    located(work, rows, partition).write_parquet(made / QUARANTINE)
