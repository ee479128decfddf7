"""Applying: one query takes a partition from its file to its published columns, cut into pieces by shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.catalog.manifest import File, Statistics
from headrace.catalog.partials import Partial, merge
from headrace.catalog.shards import shard_path, write_shard
from headrace.catalog.statistics import measure
from headrace.catalog.summary import summarize
from headrace.engines.engine import Engine
from headrace.engines.executor import Executor
from headrace.pipelines.exchange import read_bucket, write_pieces
from headrace.pipelines.fit import Fit, Task, unique_reason
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
from headrace.pipelines.work import Work, open_work, save_record, saved_record, whole_folder, write_atomically
from headrace.schemas.errors import DataError
from headrace.schemas.names import ROW, SPLIT
from headrace.schemas.rules import REASONS
from headrace.transforms.base import Ids

PIECES = "pieces.arrow"
LABELS = "labels.parquet"
LAYOUT = "shards.json"
PLACE = "__place"


class Layout(BaseModel):
    """How many shards each split gets; from the rows that fitting counted, never from partitions.

    In source order `bounds` has, for each split, the number of the row that each shard after the first begins with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: tuple[int, ...]
    bounds: tuple[tuple[int, ...], ...] = ()

    @property
    def firsts(self) -> tuple[int, ...]:
        """The number of each split's first shard among all shards."""
        return (0, *accumulate(self.shards))[:-1]


class ApplyRecord(BaseModel):
    """What applying made of one partition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    shard_rows: dict[int, int]
    nulls: dict[str, int]


def lay_out(work: Work, fitted: Fit) -> Layout:
    """Decide on the shards, and leave the decision where every task finds it."""
    names = work.pipeline.split.names
    shards = tuple(max(1, -(-fitted.split_rows.get(i, 0) // work.plan.shard_rows)) for i in range(len(names)))
    bounds: tuple[tuple[int, ...], ...] = ()
    if work.pipeline.output.order == "source":
        bounds = tuple(_bounds(work, fitted, split, count) for split, count in enumerate(shards))
    layout = Layout(shards=shards, bounds=bounds)
    write_atomically(work.path / LAYOUT, layout.model_dump_json())
    return layout


def _bounds(work: Work, fitted: Fit, split: int, shards: int) -> tuple[int, ...]:
    """Where to cut the rows of a split into shards of about equal size: its rows lie evenly within a unit, about."""
    total = fitted.split_rows.get(split, 0)
    found: list[int] = []
    before = 0
    for unit in (unit for partition in work.plan.partitions for unit in partition.units):
        own = fitted.unit_rows.get(unit.number, {}).get(split, 0)
        while own and len(found) < shards - 1 and (len(found) + 1) * total <= (before + own) * shards:
            rest = (len(found) + 1) * total - before * shards
            found.append(unit.first_row + rest * unit.rows // (own * shards))
        before += own
    return tuple(found)


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


def read_layout(work: Work) -> Layout:
    """The layout that `lay_out` decided on."""
    return Layout.model_validate_json((work.path / LAYOUT).read_bytes())


def rows_by_split(layout: Layout, shard_rows: Mapping[int, int]) -> tuple[int, ...]:
    """The rows of each split from the rows of each shard."""
    return tuple(
        sum(shard_rows.get(first + i, 0) for i in range(shards))
        for first, shards in zip(layout.firsts, layout.shards, strict=True)
    )


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
        own = rows.select(_ORDER, ROW, *published)
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
        frame = engine.hash64(frame, ROW, pl.Int64(), _ORDER, seed=work.pipeline.output.seed)
        share = pl.col(_ORDER) // pl.lit(1 << 32, pl.UInt64) * shards // pl.lit(1 << 32, pl.UInt64)
    else:
        frame = frame.with_columns(pl.col(ROW).cast(pl.UInt64).alias(_ORDER))
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


class ShardTask(Task):
    """A task that writes one shard: `item` is the split, `bucket` the shard's number within it."""

    build: str
    first_row: int
    total_rows: int
    nullable: tuple[str, ...]
    dictionary: tuple[str, ...]


class Shard(NamedTuple):
    """A shard that is written, and the statistics of its rows."""

    split: int
    file: File
    statistics: Partial


class Written(BaseModel):
    """The shards of a build, by split, and the statistics of their columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, tuple[File, ...]]
    statistics: dict[str, dict[str, Statistics]]


def write_one(task: ShardTask) -> Shard:
    """Bring the rows of one shard together, put them in order, write them and measure them."""
    work = open_work(task.work)
    layout = read_layout(work)
    pieces = [work.part("apply", p.number) / PIECES for p in work.plan.partitions]
    rows = read_bucket(pieces, layout.firsts[task.item] + task.bucket)
    rows = rows.sort(_ORDER, ROW).drop(_ORDER, ROW)
    path = shard_path(work.pipeline.split.names[task.item], task.bucket)
    few = [c for c in task.dictionary if rows.height >= _ROWS_FOR_DICTIONARY]
    file = write_shard(
        Path(task.build),
        path,
        rows.to_arrow(),
        profile=work.pipeline.output.profile,
        dictionary=few,
        nullable=task.nullable,
    )
    statistics = measure(rows, first_row=task.first_row, total_rows=task.total_rows)
    return Shard(task.item, file, statistics)


def write_shards(
    work: Work,
    executor: Executor,
    engine: str,
    build: Path,
    applied: ApplyRecord,
    ids: dict[str, Ids],
    advance: Callable[[int], None] | None = None,
) -> Written:
    """Write all shards into a build's folder."""
    layout = read_layout(work)
    rows = rows_by_split(layout, applied.shard_rows)
    tasks = [
        ShardTask(
            work=str(work.path),
            engine=engine,
            number=0,
            item=split,
            bucket=number,
            build=str(build),
            first_row=sum(applied.shard_rows.get(layout.firsts[split] + i, 0) for i in range(number)),
            total_rows=rows[split],
            nullable=tuple(applied.nulls),
            dictionary=_dictionary(work, ids, rows[split] // layout.shards[split]),
        )
        for split, shards in enumerate(layout.shards)
        for number in range(shards)
    ]

    def count(shard: object) -> None:
        if advance and isinstance(shard, Shard):
            advance(shard.file.rows)

    shards = executor.map(write_one, tasks, count)
    by_split = {
        name: [shard for shard in shards if shard.split == i] for i, name in enumerate(work.pipeline.split.names)
    }
    return Written(
        files={name: tuple(shard.file for shard in some) for name, some in by_split.items()},
        statistics={name: summarize(merge([shard.statistics for shard in some])) for name, some in by_split.items()},
    )


def _dictionary(work: Work, ids: dict[str, Ids], rows: int) -> tuple[str, ...]:
    """The columns with few values for their rows: those are smaller and as fast with a dictionary."""
    few = [name for name, dtype in work.resolved.output.items() if dtype in (pl.Boolean, pl.UInt8, pl.String)]
    few += [name for name, known in ids.items() if known.cardinality < rows // 8]
    return tuple(dict.fromkeys(n for n in few if work.resolved.output[n] != pl.Boolean))


_ORDER = "__order"
_ROWS_FOR_DICTIONARY = 1024
