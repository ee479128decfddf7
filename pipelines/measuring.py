"""One pass over one partition: check its rows, measure them, and send rows to where windows and keys need them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.engines.engine import Engine
from headrace.pipelines.exchange import write_pieces
from headrace.pipelines.passes import gathered, kept
from headrace.pipelines.plan import Partition
from headrace.pipelines.resolve import Placed
from headrace.pipelines.rows import QUARANTINE, engine_of, good_rows, read_checked, walk
from headrace.pipelines.splits import hash_columns
from headrace.pipelines.tasks import Task
from headrace.pipelines.work import Work, open_work, save_record, saved_record, whole_folder
from headrace.schemas.names import ROW, SPLIT, TRAIN
from headrace.schemas.rules import count_reasons
from headrace.transforms.base import UNIT, Window


class PassRecord(BaseModel):
    """What one pass found in one partition. `split_rows` is empty where the pass did not get as far as the split.

    `unit_rows` are the same by unit, where rows are published in the order of the source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    bad: int
    reasons: dict[str, int]
    split_rows: dict[int, int]
    unit_rows: dict[int, dict[int, int]] = {}


def run_pass(task: Task) -> PassRecord:
    """Take one partition through one pass: check it (the first pass), measure, collect the rows of windows."""
    work = open_work(task.work)
    partition = work.plan.partitions[task.item]
    folder = work.part(f"pass-{task.number}", partition.number)
    done = saved_record(folder)
    if done:
        return PassRecord.model_validate_json(done)
    engine = engine_of(task.engine)
    with whole_folder(folder) as made:
        bad, reasons = 0, dict[str, int]()
        if task.number == 0:
            checked = read_checked(work, partition)
            bad, reasons = checked.bad.height, count_reasons(checked.bad)
            if bad:
                checked.bad.write_parquet(made / QUARANTINE)
            rows = checked.good.lazy()
            _scatter_keys(work, checked.good, made, engine)
        else:
            rows = good_rows(work, partition)
        splits = _measure_pass(work, rows, partition, task.number, made, engine)
        record = PassRecord(
            rows=partition.rows,
            bad=bad,
            reasons=reasons,
            split_rows=_split_rows(splits),
            unit_rows=_unit_rows(work, partition, splits),
        )
        save_record(made, record)
    return record


def _measure_pass(
    work: Work, rows: pl.LazyFrame, partition: Partition, number: int, made: Path, engine: Engine
) -> pl.DataFrame:
    """Returns the number and the split of each row, none where the pass does not get as far as the split."""
    served = work.resolved.in_pass(number)
    if not served and number < work.resolved.passes - 1:
        return pl.DataFrame(schema={ROW: pl.Int64, SPLIT: pl.UInt8})
    walked = walk(work, rows, partition, number, engine)
    frame = engine.collect([walked.select(gathered(work.resolved, number))])[0]
    for placed in served:
        if placed.collects:
            _scatter_window(work, placed, frame, made, engine)
    learners = [s for s in served if s.learns]
    if learners:
        train = frame if _split_rows(frame) == {TRAIN: frame.height} else frame.filter(pl.col(SPLIT) == TRAIN)
        _measure(learners, train, partition, made, engine)
    return frame.select(ROW, SPLIT)


def _split_rows(splits: pl.DataFrame) -> dict[int, int]:
    return {split: count for split, count in splits[SPLIT].value_counts().iter_rows() if split is not None}


def _unit_rows(work: Work, partition: Partition, splits: pl.DataFrame) -> dict[int, dict[int, int]]:
    if work.pipeline.output.order != "source":
        return {}
    return {number: _split_rows(rows) for number, rows in _units(partition, splits)}


def _measure(learners: Sequence[Placed], train: pl.DataFrame, partition: Partition, made: Path, engine: Engine) -> None:
    whole = [s for s in learners if not s.learner.by_unit]
    by_unit = [s for s in learners if s.learner.by_unit]
    counted = engine.collect([_measured(s, train, engine) for s in whole], any_order=True)
    for placed, table in zip(whole, counted, strict=True):
        table.write_ipc(partial_file(made, placed.index))
    parts: dict[int, list[pl.DataFrame]] = {s.index: [] for s in by_unit}
    summed = train.select(ROW, SPLIT, *(kept(s, c) for s in by_unit for c in s.gathered))
    for number, unit in _units(partition, summed) if by_unit else ():
        for placed, table in zip(by_unit, engine.collect([_measured(s, unit, engine) for s in by_unit]), strict=True):
            parts[placed.index].append(table.with_columns(pl.lit(number, pl.Int64).alias(UNIT)))
    for index, tables in parts.items():
        pl.concat(tables).write_ipc(partial_file(made, index))


def _measured(placed: Placed, rows: pl.DataFrame, engine: Engine) -> pl.LazyFrame:
    own = rows.lazy().select(ROW, SPLIT, *(pl.col(kept(placed, c)).alias(c) for c in placed.gathered))
    return placed.learner.measure(own, engine)


def _units(partition: Partition, rows: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """The rows of each unit in one chunk: a float sum must not depend on what else was read with it."""
    for unit in partition.units:
        low, high = rows[ROW].search_sorted([unit.first_row, unit.first_row + unit.rows], side="left")
        yield unit.number, rows.slice(low, high - low).rechunk()


def partial_file(folder: Path, index: int) -> Path:
    """Where a pass leaves what it measured for one learner."""
    return folder / f"learner-{index}.arrow"


def _scatter_window(work: Work, placed: Placed, frame: pl.DataFrame, made: Path, engine: Engine) -> None:
    own = frame.select(ROW, *(pl.col(kept(placed, c)).alias(c) for c in placed.gathered))
    entity = placed.gathered[: _entity_size(placed)]
    write_pieces(made / f"window-{placed.index}.arrow", own, _buckets(work, own, entity, engine), work.plan.buckets)


def _entity_size(placed: Placed) -> int:
    assert isinstance(placed.step, Window)
    return len(placed.step.entity)


def _scatter_keys(work: Work, good: pl.DataFrame, made: Path, engine: Engine) -> None:
    for key, columns in enumerate(work.pipeline.contract.unique_keys()):
        own = good.select(ROW, *columns)
        write_pieces(made / f"unique-{key}.arrow", own, _buckets(work, own, columns, engine), work.plan.buckets)


def _buckets(work: Work, rows: pl.DataFrame, columns: Sequence[str], engine: Engine) -> pl.Series:
    if work.plan.buckets == 1:
        return pl.zeros(rows.height, pl.UInt64, eager=True)
    # Any one integer for equal values does; a float's is that of its text, with one zero.
    floats = [c for c in columns if rows.schema[c].is_float()]
    own = rows.select(columns).with_columns(
        pl.when(pl.col(c) != 0).then(pl.col(c)).otherwise(0.0).cast(pl.String) for c in floats
    )
    hashed = hash_columns(own.lazy(), tuple(columns), own.schema, engine, seed=_BUCKET_SEED, output=_BUCKET)
    bucket = pl.col(_BUCKET) % pl.lit(work.plan.buckets, pl.UInt64)
    return engine.collect([hashed.select(bucket)])[0][_BUCKET]


_BUCKET = "__bucket"
_BUCKET_SEED = 0x68656164
