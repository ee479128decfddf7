"""Fitting: passes over the rows that measure, and between them the merging of what was measured."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.engines.engine import Engine
from headrace.engines.executor import Executor
from headrace.pipelines.exchange import read_bucket, write_pieces
from headrace.pipelines.passes import gathered, kept
from headrace.pipelines.plan import Partition
from headrace.pipelines.resolve import Placed
from headrace.pipelines.rows import QUARANTINE, bucket_files, engine_of, good_rows, read_checked, walk
from headrace.pipelines.splits import hash_columns
from headrace.pipelines.work import (
    Work,
    open_work,
    save_record,
    save_step,
    saved_record,
    whole_folder,
)
from headrace.schemas.errors import DataError
from headrace.schemas.names import ROW, SPLIT, TRAIN
from headrace.schemas.rules import count_reasons
from headrace.transforms.base import UNIT, Learner, Window


class Task(BaseModel):
    """A task over one partition, one learner or one bucket; small enough to be sent anywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    work: str
    engine: str
    number: int
    item: int
    bucket: int = 0


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
    whole = [s for s in learners if not _learner(s).by_unit]
    by_unit = [s for s in learners if _learner(s).by_unit]
    counted = engine.collect([_measured(s, train, engine) for s in whole], any_order=True)
    for placed, table in zip(whole, counted, strict=True):
        table.write_ipc(_partial(made, placed.index))
    parts: dict[int, list[pl.DataFrame]] = {s.index: [] for s in by_unit}
    summed = train.select(ROW, SPLIT, *(kept(s, c) for s in by_unit for c in s.gathered))
    for number, unit in _units(partition, summed) if by_unit else ():
        for placed, table in zip(by_unit, engine.collect([_measured(s, unit, engine) for s in by_unit]), strict=True):
            parts[placed.index].append(table.with_columns(pl.lit(number, pl.Int64).alias(UNIT)))
    for index, tables in parts.items():
        pl.concat(tables).write_ipc(_partial(made, index))


def _measured(placed: Placed, rows: pl.DataFrame, engine: Engine) -> pl.LazyFrame:
    own = rows.lazy().select(ROW, SPLIT, *(pl.col(kept(placed, c)).alias(c) for c in placed.gathered))
    return _learner(placed).measure(own, engine)


def _units(partition: Partition, rows: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """The rows of each unit in one chunk: a float sum must not depend on what else was read with it."""
    for unit in partition.units:
        low, high = rows[ROW].search_sorted([unit.first_row, unit.first_row + unit.rows], side="left")
        yield unit.number, rows.slice(low, high - low).rechunk()


def _learner(placed: Placed) -> Learner:
    assert isinstance(placed.step, Learner)
    return placed.step


def _partial(folder: Path, index: int) -> Path:
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


def learn(task: Task) -> int:
    """Merge what a pass measured for one learner, and save the fitted step. Returns its place."""
    work = open_work(task.work)
    placed = work.resolved.steps[task.item]
    folder = work.path / "learned" / str(task.item)
    if (folder / "step.json").exists():
        return task.item
    learner, engine = _learner(placed), engine_of(task.engine)
    files = [_partial(work.part(f"pass-{task.number}", p.number), task.item) for p in work.plan.partitions]
    total: pl.DataFrame | None = None
    for start in range(0, len(files), _MERGED_AT_ONCE):
        tables = [pl.scan_ipc(file) for file in files[start : start + _MERGED_AT_ONCE]]
        if total is not None:
            tables.insert(0, total.lazy())
        total = engine.collect([learner.merge(tables)], any_order=not learner.by_unit)[0]
    assert total is not None
    save_step(folder, learner.learn(total))
    return task.item


def answer_window(task: Task) -> int:
    """Work out one window over one bucket of whole entities. Returns the number of rows."""
    work = open_work(task.work)
    placed = work.resolved.steps[task.item]
    target = work.path / "windows" / str(task.item) / f"bucket-{task.bucket:05d}.arrow"
    if target.exists():
        return 0
    engine = engine_of(task.engine)
    rows = read_bucket(_pieces(work, task.number, f"window-{task.item}.arrow"), task.bucket)
    answered = placed.form.apply(rows.lazy(), engine).select(ROW, *placed.form.writes)
    _write_answers(engine.collect([answered])[0], target)
    return rows.height


def answer_unique(task: Task) -> int:
    """Find the rows of one bucket whose key an earlier row has. Returns how many there are."""
    work = open_work(task.work)
    target = work.path / "unique" / str(task.item) / f"bucket-{task.bucket:05d}.arrow"
    if target.exists():
        return pl.read_ipc(target).height
    columns = work.pipeline.contract.unique_keys()[task.item]
    rows = read_bucket(_pieces(work, task.number, f"unique-{task.item}.arrow"), task.bucket)
    # A key with a null in it is no key: SQL's rule for UNIQUE.
    keyed = rows.drop_nulls(list(columns))
    repeated = keyed.filter(~pl.struct(columns).is_first_distinct()).select(ROW)
    _write_answers(repeated, target)
    return repeated.height


def _distinct_rows(work: Work, keys: int) -> int:
    """How many rows repeat a key; one that repeats several counts once."""
    files = [file for key in range(keys) for file in bucket_files(work, work.path / "unique" / str(key))]
    return pl.concat([pl.read_ipc(file, columns=[ROW]) for file in files])[ROW].n_unique()


def _pieces(work: Work, number: int, name: str) -> list[Path]:
    return [work.part(f"pass-{number}", p.number) / name for p in work.plan.partitions]


def _write_answers(rows: pl.DataFrame, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{time.monotonic_ns()}")
    rows.sort(ROW).write_ipc(temporary)
    temporary.replace(target)


_BUCKET = "__bucket"
_BUCKET_SEED = 0x68656164
_MERGED_AT_ONCE = 16
Key = TypeVar("Key")


class Fit(BaseModel):
    """What fitting found: rows, the bad ones by reason, and about how many rows each split will have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    bad: int
    reasons: dict[str, int]
    split_rows: dict[int, int]
    unit_rows: dict[int, dict[int, int]] = {}


def fit(work: Work, executor: Executor, engine: str, advance: Callable[[int], None] | None = None) -> Fit:
    """Run all passes. What is already in the work folder is not done again.

    Parameters
    ----------
    advance
        Called with the number of rows that a finished task has read.

    Raises
    ------
    DataError
        More bad rows than the pipeline allows.
    """
    reasons: dict[str, int] = {}
    split_rows: dict[int, int] = {}
    unit_rows: dict[int, dict[int, int]] = {}
    duplicates = 0
    keys = work.pipeline.contract.unique_keys()

    def task(number: int, item: int, bucket: int = 0) -> Task:
        return Task(work=str(work.path), engine=engine, number=number, item=item, bucket=bucket)

    def count(record: object) -> None:
        if advance and isinstance(record, PassRecord):
            advance(record.rows)

    for number in range(work.resolved.passes):
        records = executor.map(run_pass, [task(number, p.number) for p in work.plan.partitions], count)
        split_rows = _added(r.split_rows for r in records)
        unit_rows = {unit: rows for r in records for unit, rows in r.unit_rows.items()}
        if number == 0:
            reasons = _added(r.reasons for r in records)
            bad = sum(r.bad for r in records)
            _refuse_too_many(work, bad, reasons)
            for key, columns in enumerate(keys):
                tasks = [task(0, key, bucket) for bucket in range(work.plan.buckets)]
                repeated = sum(executor.map(answer_unique, tasks))
                if repeated:
                    reasons[unique_reason(columns)] = repeated
                    duplicates += repeated
            if len(keys) > 1 and duplicates:
                duplicates = _distinct_rows(work, len(keys))
            _refuse_too_many(work, bad + duplicates, reasons)
        served = work.resolved.in_pass(number)
        executor.map(learn, [task(number, s.index) for s in served if s.learns])
        windows = [task(number, s.index, b) for s in served if s.collects for b in range(work.plan.buckets)]
        executor.map(answer_window, windows)
    bad += duplicates
    return Fit(rows=work.plan.rows, bad=bad, reasons=reasons, split_rows=split_rows, unit_rows=unit_rows)


def unique_reason(columns: Sequence[str]) -> str:
    """The reason given for rows that repeat a key."""
    return f"{','.join(columns)}:unique"


def _refuse_too_many(work: Work, bad: int, reasons: dict[str, int]) -> None:
    allowed = work.pipeline.max_bad_fraction
    if bad <= allowed * work.plan.rows:
        return
    table = "".join(
        f"\n  {count:>10,}  {reason}" for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    )
    raise DataError(
        f"{bad:,} of {work.plan.rows:,} rows break the contract ({bad / work.plan.rows:.1%}); "
        f"max_bad_fraction allows {allowed:.1%}{table}",
        hint="mend the data or the contract, or raise max_bad_fraction",
        where=work.pipeline.name,
    )


def _added(counts: Iterable[dict[Key, int]]) -> dict[Key, int]:
    total: Counter[Key] = Counter()
    for some in counts:
        total.update(some)
    return dict(total)
