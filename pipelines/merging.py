"""Between two passes: what was measured is merged and learned, windows and keys are worked out bucket by bucket."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import TaskEngine
from headrace.engines.open import open_engine
from headrace.pipelines.measuring import partial_files, pieces_files
from headrace.pipelines.merged import Merged, answered, note, noted
from headrace.pipelines.rows import bucket_files
from headrace.pipelines.spilled import clear, is_learned, spilled, spilled_notes
from headrace.pipelines.tasks import Task
from headrace.pipelines.work import Work, open_work, save_step
from headrace.schemas.names import ROW
from headrace.transforms.base import Learner


def learn(task: Task) -> Merged:
    """Learn one step from what a pass measured for it, and save it; it leaves no rows.

    What was measured is merged here, unless there are so many groups that tasks before this one have.
    """
    work = open_work(task.work)
    folder = work.path / "learned" / str(task.item)
    if is_learned(work, task.item):
        return Merged(0, noted(folder))
    learner, engine = work.resolved.steps[task.item].learner, open_engine(task.engine)
    before: tuple[str, ...] = ()
    if task.buckets > 1:
        total = spilled(work, task.item, task.buckets, learner)
        before = spilled_notes(work, task.item, task.buckets)
    else:
        with task.named():
            total = _merged(learner, partial_files(work, task.number, task.item), engine)
    notes = note(folder, task, engine, before)
    save_step(folder, learner.learn(total))
    clear(work, task.item)
    return Merged(0, notes)


def _merged(learner: Learner, files: Sequence[Path], engine: TaskEngine) -> pl.DataFrame:
    total: pl.DataFrame | None = None
    for start in range(0, len(files), _MERGED_AT_ONCE):
        tables = [pl.read_ipc(file).lazy() for file in files[start : start + _MERGED_AT_ONCE]]
        if total is not None:
            tables.insert(0, total.lazy())
        total = engine.collect([learner.merge(tables)], any_order=not learner.by_unit)[0]
    assert total is not None
    return total


def answer_window(task: Task) -> Merged:
    """Work out one window over one bucket of whole entities."""
    work = open_work(task.work)
    placed = work.resolved.steps[task.item]
    target = bucket_files(work, work.path / "windows" / str(task.item))[task.bucket]
    if answered(target):
        return Merged(_rows([target]).len() if placed.form.filters else 0, noted(target))
    engine = open_engine(task.engine)
    with task.named():
        rows = engine.read_bucket(pieces_files(work, task.number, f"window-{task.item}"), task.bucket)
        answers = engine.step(placed.label, rows.lazy(), placed.form.apply).select(ROW, *placed.form.writes)
        return _write_answers(answers, target, task, engine)


def answer_unique(task: Task) -> Merged:
    """Find the rows of one bucket whose key an earlier row has."""
    work = open_work(task.work)
    target = bucket_files(work, work.path / "unique" / str(task.item))[task.bucket]
    if answered(target):
        return Merged(_rows([target]).len(), noted(target))
    columns = list(work.pipeline.contract.unique_keys()[task.item])
    engine = open_engine(task.engine)
    with task.named():
        rows = engine.read_bucket(pieces_files(work, task.number, f"unique-{task.item}"), task.bucket).lazy()
        # A key with a null in it is no key: SQL's rule for UNIQUE.
        keyed = rows.drop_nulls(columns)
        first = keyed.group_by(columns).agg(pl.col(ROW).min()).select(ROW)
        return _write_answers(keyed.join(first, on=ROW, how="anti").select(ROW), target, task, engine)


def distinct_duplicates(work: Work, keys: int) -> int:
    """How many rows repeat a key; one that repeats several counts once."""
    files = [file for key in range(keys) for file in bucket_files(work, work.path / "unique" / str(key))]
    return _rows(files).n_unique()


def _rows(files: list[Path]) -> pl.Series:
    return CpuEngine().read_rows(files, ROW, 0, _LAST).select(ROW).collect()[ROW]


def _write_answers(rows: pl.LazyFrame, target: Path, task: Task, engine: TaskEngine) -> Merged:
    target.parent.mkdir(parents=True, exist_ok=True)
    held = engine.hold(rows.sort(ROW))
    notes = note(target, task, engine)
    engine.write_rows(target, held)
    return Merged(held.height, notes)


_MERGED_AT_ONCE = 16
_LAST = (1 << 63) - 1
