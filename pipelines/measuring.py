"""One pass over one partition: check its rows, measure them, and send rows to where windows and keys need them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.catalog.sketch import sketch
from headrace.catalog.sketch_files import SOURCE, save_sketches
from headrace.catalog.statistics import measure
from headrace.engines.engine import Held, TaskEngine
from headrace.engines.open import open_engine
from headrace.pipelines.counts import added
from headrace.pipelines.passes import gathered, kept
from headrace.pipelines.plan import Partition
from headrace.pipelines.resolve import Placed
from headrace.pipelines.rows import QUARANTINE, good_rows, read_checked, walk
from headrace.pipelines.splits import hash_columns
from headrace.pipelines.tasks import Task
from headrace.pipelines.work import Work, open_work, save_record, saved_record, whole_folder
from headrace.schemas.names import ROW, SPLIT, TRAIN
from headrace.schemas.rules import count_reasons
from headrace.transforms.base import UNIT, Window


class PassRecord(BaseModel):
    """What one pass found in one partition. `split_rows` is empty where the pass did not get as far as the split.

    `unit_rows` are the same by unit, where rows are published in the order of the source. `measured` are the bytes of
    statistics by learner, of those that have groups. `pieces` says in how many the partition was worked on, each of
    which left files of its own. `fallbacks` say what ran on the CPU though the GPU engine was asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    bad: int
    reasons: dict[str, int]
    split_rows: dict[int, int]
    unit_rows: dict[int, dict[int, int]] = {}
    measured: dict[int, int] = {}
    pieces: int = 1
    fallbacks: tuple[str, ...] = ()


def run_pass(task: Task) -> PassRecord:
    """Take one partition through one pass: check it (the first pass), measure, collect the rows of windows."""
    work = open_work(task.work)
    partition = work.plan.partitions[task.item]
    folder = work.part(f"pass-{task.number}", partition.number)
    done = saved_record(folder)
    if done:
        return PassRecord.model_validate_json(done)
    engine = open_engine(task.engine)
    with whole_folder(folder) as made, task.named():
        parts = partition.parts(task.pieces)
        passed = [_Pass(work, part, task.number, made, place, engine) for place, part in enumerate(parts)]
        bad = [bad for part in passed if (bad := part.run()) is not None]
        refused = pl.concat(bad) if bad else None
        if refused is not None:
            refused.write_parquet(made / QUARANTINE)
        record = PassRecord(
            rows=partition.rows,
            bad=0 if refused is None else refused.height,
            reasons={} if refused is None else count_reasons(refused),
            split_rows=added(part.split_rows for part in passed),
            unit_rows={unit: rows for part in passed for unit, rows in part.unit_rows.items()},
            measured=added(part.measured for part in passed),
            pieces=len(parts),
            fallbacks=task.notes(engine.fallbacks),
        )
        save_record(made, record)
    return record


class _Pass:
    """One pass over a partition, or over one of the pieces that it was cut into."""

    def __init__(
        self, work: Work, partition: Partition, number: int, made: Path, place: int, engine: TaskEngine
    ) -> None:
        self.split_rows: dict[int, int] = {}
        self.unit_rows: dict[int, dict[int, int]] = {}
        self.measured: dict[int, int] = {}
        self._work = work
        self._partition = partition
        self._number = number
        self._made = made
        self._place = place
        self._engine = engine

    def run(self) -> pl.DataFrame | None:
        """Returns the rows that break the contract, None where there are none or an earlier pass has found them."""
        bad = None
        if self._number == 0:
            seen = self._sketch if self._work.pipeline.source.statistics else None
            checked = read_checked(self._work, self._partition, self._engine, seen)
            bad = checked.bad if checked.bad.height else None
            rows = checked.good.lazy()
            self._scatter_keys(rows)
        else:
            rows = good_rows(self._work, self._partition)
        self._measure(rows)
        return bad

    def _sketch(self, rows: Held) -> None:
        """Measure the columns of the source, good rows and bad."""
        own = self._engine.hold(rows.lazy().drop(ROW))
        first = self._partition.first_row
        partial = measure(own, self._engine, first_row=first, total_rows=self._work.plan.rows)
        save_sketches(source_folder(self._made, self._place), {SOURCE: sketch(partial)})

    def _measure(self, rows: pl.LazyFrame) -> None:
        resolved, engine = self._work.resolved, self._engine
        served = resolved.in_pass(self._number)
        if not served and self._number < resolved.passes - 1:
            return
        walked = walk(self._work, rows, self._partition, self._number, engine)
        held = engine.hold(walked.select(gathered(resolved, self._number)))
        self.split_rows = _split_rows(held, engine)
        if self._work.pipeline.output.order == "source":
            self.unit_rows = {number: _split_rows(unit, engine) for number, unit in self._units(held)}
        for placed in served:
            if placed.collects:
                self._scatter_window(placed, held)
        learners = [s for s in served if s.learns]
        if learners:
            all_train = self.split_rows.get(TRAIN, 0) == held.height
            self._learn(learners, held if all_train else engine.hold(held.lazy().filter(pl.col(SPLIT) == TRAIN)))

    def _learn(self, learners: Sequence[Placed], train: Held) -> None:
        engine = self._engine
        whole = [s for s in learners if not s.learner.by_unit]
        by_unit = [s for s in learners if s.learner.by_unit]
        counted = engine.collect([_measured(s, train.lazy(), engine) for s in whole], any_order=True)
        for placed, table in zip(whole, counted, strict=True):
            self._leave(placed, table)
        if not by_unit:
            return
        units = list(self._units(train))
        summed = engine.collect_parts(
            [rows for _, rows in units], lambda rows: [_measured(s, rows, engine) for s in by_unit]
        )
        for which, placed in enumerate(by_unit):
            numbered = [
                tables[which].with_columns(pl.lit(number, pl.Int64).alias(UNIT))
                for (number, _), tables in zip(units, summed, strict=True)
            ]
            self._leave(placed, pl.concat(numbered))

    def _leave(self, placed: Placed, table: pl.DataFrame) -> None:
        path = partial_file(self._made, placed.index, self._place)
        table.write_ipc(path)
        if placed.learner.groups:
            self.measured[placed.index] = path.stat().st_size

    def _units(self, rows: Held) -> Iterator[tuple[int, Held]]:
        """The rows of each unit: a float sum must not depend on what else was read with it."""
        units = self._partition.units
        ends = pl.Series([unit.first_row + unit.rows for unit in units], dtype=pl.Int64)
        found = self._engine.collect([rows.lazy().select(pl.col(ROW).search_sorted(pl.lit(ends), side="left"))])[0]
        low = 0
        for unit, high in zip(units, found[ROW], strict=True):
            yield unit.number, rows.slice(low, high - low)
            low = high

    def _scatter_window(self, placed: Placed, rows: Held) -> None:
        own = rows.lazy().select(ROW, *(pl.col(kept(placed, c)).alias(c) for c in placed.gathered))
        assert isinstance(placed.step, Window)
        self._scatter(pieces_file(self._made, f"window-{placed.index}", self._place), own, placed.step.entity)

    def _scatter_keys(self, rows: pl.LazyFrame) -> None:
        for key, columns in enumerate(self._work.pipeline.contract.unique_keys()):
            own = rows.select(ROW, *columns)
            self._scatter(pieces_file(self._made, f"unique-{key}", self._place), own, columns)

    def _scatter(self, path: Path, rows: pl.LazyFrame, columns: Sequence[str]) -> None:
        buckets = self._work.plan.buckets
        placed = with_bucket(rows, tuple(columns), buckets, self._engine)
        self._engine.write_pieces(path, self._engine.hold(placed), BUCKET, buckets)


def with_bucket(rows: pl.LazyFrame, columns: tuple[str, ...], buckets: int, engine: TaskEngine) -> pl.LazyFrame:
    """Add the bucket of each row, UInt64: equal values of the columns are in the same, on every engine."""
    if buckets == 1:
        return rows.with_columns(pl.lit(0, pl.UInt64).alias(BUCKET))
    schema = rows.collect_schema()
    # Any one integer for equal values does. A float's is cut at 2^-20: exact, the same for both zeros.
    floats = [c for c in columns if schema[c].is_float()]
    cut = rows.with_columns(_cut(pl.col(c).cast(pl.Float64)).alias(_key(c)) for c in floats)
    keys = tuple(_key(c) if c in floats else c for c in columns)
    hashed = hash_columns(cut, keys, cut.collect_schema(), engine, seed=_BUCKET_SEED, output=BUCKET)
    return hashed.with_columns(pl.col(BUCKET) % pl.lit(buckets, pl.UInt64)).drop(_key(c) for c in floats)


def partial_files(work: Work, number: int, index: int) -> list[Path]:
    """What a pass measured for one learner, in the order of the rows."""
    return [partial_file(folder, index, place) for folder, place in _pieces(work, number)]


def source_folders(work: Work) -> list[Path]:
    """Where the first pass left the statistics of the rows that came in, in order; none if it was not asked."""
    return [path for folder, place in _pieces(work, 0) if (path := source_folder(folder, place)).is_dir()]


def source_folder(folder: Path, place: int = 0) -> Path:
    """Where the first pass leaves the statistics of the rows of one piece of a partition."""
    return folder / f"source-{place}"


def pieces_files(work: Work, number: int, name: str) -> list[Path]:
    """What a pass left for an exchange, in the order of the rows."""
    return [pieces_file(folder, name, place) for folder, place in _pieces(work, number)]


def _pieces(work: Work, number: int) -> Iterator[tuple[Path, int]]:
    for partition in work.plan.partitions:
        folder = work.part(f"pass-{number}", partition.number)
        record = PassRecord.model_validate_json((folder / "record.json").read_bytes())
        yield from ((folder, place) for place in range(record.pieces))


def partial_file(folder: Path, index: int, place: int = 0) -> Path:
    """Where a pass leaves what it measured for one learner in one piece of a partition."""
    return folder / f"learner-{index}-{place}.arrow"


def pieces_file(folder: Path, name: str, place: int = 0) -> Path:
    """Where a pass leaves the rows of one piece of a partition for an exchange; the engine adds a suffix."""
    return folder / f"{name}-{place}"


def _measured(placed: Placed, rows: pl.LazyFrame, engine: TaskEngine) -> pl.LazyFrame:
    own = rows.select(ROW, SPLIT, *(pl.col(kept(placed, c)).alias(c) for c in placed.gathered))
    return engine.step(f"{placed.label}, measuring", own, placed.learner.measure)


def _split_rows(rows: Held, engine: TaskEngine) -> dict[int, int]:
    counted = engine.collect([rows.lazy().group_by(SPLIT).agg(pl.len().alias("rows"))])[0]
    return {split: count for split, count in counted.select(SPLIT, "rows").iter_rows() if split is not None}


def _cut(value: pl.Expr) -> pl.Expr:
    finite = pl.when(value.is_finite()).then(value.clip(-_WIDEST, _WIDEST))
    return (
        pl.when(value.is_null())
        .then(pl.lit(None, pl.Int64))
        .otherwise((finite * 2.0**20).floor().cast(pl.Int64).fill_null(_ODD))
    )


def _key(column: str) -> str:
    return f"__key:{column}"


BUCKET = "__bucket"
_BUCKET_SEED = 0x68656164
_WIDEST = 2.0**40
_ODD = -(1 << 62)
