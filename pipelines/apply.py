"""Applying: one query takes a partition from its file to its published columns, cut into pieces by shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.engines.engine import Engine
from headrace.engines.executor import Executor
from headrace.pipelines.exchange import write_pieces
from headrace.pipelines.fit import unique_reason
from headrace.pipelines.layout import Layout, read_layout, rows_by_split
from headrace.pipelines.passes import TIME, gathered
from headrace.pipelines.rows import (
    QUARANTINE,
    duplicates_of,
    engine_of,
    good_rows,
    located,
    source_rows,
    walk,
)
from headrace.pipelines.tasks import Task
from headrace.pipelines.work import Work, open_work, save_record, saved_record, whole_folder
from headrace.schemas.errors import DataError
from headrace.schemas.names import ROW, SPLIT
from headrace.schemas.rules import REASONS

PIECES = "pieces.arrow"
LABELS = "labels.parquet"
PLACE = "__place"
ORDER = "__order"


class ApplyRecord(BaseModel):
    """What applying made of one partition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    shard_rows: dict[int, int]
    nulls: dict[str, int]


def apply(work: Work, executor: Executor, engine: str, advance: Callable[[int], None] | None = None) -> ApplyRecord:
    """Apply the fitted steps to every partition. Returns the sum of the records.

    Raises
    ------
    DataError
        A split without a row.
    """
    tasks = [
        Task(work=str(work.path), engine=engine, number=work.resolved.passes, item=p.number)
        for p in work.plan.partitions
    ]

    def count(record: object) -> None:
        if advance and isinstance(record, ApplyRecord):
            advance(record.rows)

    shard_rows: Counter[int] = Counter()
    nulls: Counter[str] = Counter()
    for record in executor.map(apply_partition, tasks, count):
        shard_rows.update(record.shard_rows)
        nulls.update(record.nulls)
    rows = rows_by_split(read_layout(work), shard_rows)
    empty = [name for name, count in zip(work.pipeline.split.names, rows, strict=True) if not count]
    if empty:
        raise DataError(
            f"no row in the split(s) {'; '.join(f'{name} ({work.pipeline.split.rules[name]})' for name in empty)}",
            hint="change the split, or look at what the steps filter",
            where=work.pipeline.name,
        )
    return ApplyRecord(rows=work.plan.rows, shard_rows=dict(shard_rows), nulls=dict(nulls))


def apply_partition(task: Task) -> ApplyRecord:
    """Take one partition through all steps and cut the result into pieces by shard."""
    work = open_work(task.work)
    partition = work.plan.partitions[task.item]
    folder = work.part("apply", partition.number)
    done = saved_record(folder)
    if done:
        return ApplyRecord.model_validate_json(done)
    engine = engine_of(task.engine)
    layout = read_layout(work)
    published = work.resolved.published
    with whole_folder(folder) as made:
        frame = walk(work, good_rows(work, partition), partition, task.number, engine)
        placed = _place(work, frame.select(gathered(work.resolved, task.number)), layout, engine)
        rows = engine.collect([placed])[0]
        if rows[SPLIT].null_count():
            rows = rows.drop_nulls(SPLIT)
        if TIME in rows.columns:
            _labels(rows, work.pipeline.target).write_parquet(made / LABELS)
        _quarantine_duplicates(work, task, made)
        own = rows.select(ORDER, ROW, *published)
        write_pieces(made / PIECES, own, rows[PLACE], sum(layout.shards))
        nulls = rows.select(published).null_count().row(0, named=True)
        record = ApplyRecord(
            rows=partition.rows,
            shard_rows=dict(rows[PLACE].value_counts().iter_rows()),
            nulls={name: count for name, count in nulls.items() if count},
        )
        save_record(made, record)
    return record


def _place(work: Work, frame: pl.LazyFrame, layout: Layout, engine: Engine) -> pl.LazyFrame:
    """Add the shard of each row, and what the rows of a shard are ordered by."""
    shards = pl.col(SPLIT).replace_strict(list(range(len(layout.shards))), layout.shards, return_dtype=pl.UInt64)
    first = pl.col(SPLIT).replace_strict(list(range(len(layout.shards))), layout.firsts, return_dtype=pl.UInt64)
    if work.pipeline.output.order == "shuffle":
        frame = engine.hash64(frame, ROW, pl.Int64(), ORDER, seed=work.pipeline.output.seed)
        share = pl.col(ORDER) // pl.lit(1 << 32, pl.UInt64) * shards // pl.lit(1 << 32, pl.UInt64)
    else:
        frame = frame.with_columns(pl.col(ROW).cast(pl.UInt64).alias(ORDER))
        share = pl.lit(0, pl.UInt64)
        for split, bounds in enumerate(layout.bounds):
            if bounds:
                own = pl.lit(pl.Series(bounds, dtype=pl.Int64)).search_sorted(pl.col(ROW), side="right")
                share = pl.when(pl.col(SPLIT) == split).then(own.cast(pl.UInt64)).otherwise(share)
    return frame.with_columns((first + share).alias(PLACE))


def _labels(rows: pl.DataFrame, target: str) -> pl.DataFrame:
    """Count and sum of the label by week and split, for the report."""
    week = pl.col(TIME).cast(pl.Date).dt.truncate("1w").alias("week")
    return rows.group_by(week, SPLIT).agg(pl.len().alias("rows"), pl.col(target).cast(pl.Float64).sum().alias("label"))


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
