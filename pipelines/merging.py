"""Between two passes: what was measured is merged and learned, windows and keys are worked out bucket by bucket."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import polars as pl

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import TaskEngine
from headrace.engines.open import open_engine
from headrace.pipelines.measuring import partial_files, pieces_files
from headrace.pipelines.rows import bucket_files
from headrace.pipelines.spilled import is_merged, leave, merged_file, merged_folder, share_of, spilled, table_of
from headrace.pipelines.tasks import Task
from headrace.pipelines.work import Work, open_work, save_step, write_atomically
from headrace.schemas.names import ROW
from headrace.transforms.base import Learner
from headrace.transforms.order import arranged


class Merged(NamedTuple):
    """What a task between passes gives: how many rows it left, and what ran on the CPU though the GPU was asked for."""

    rows: int
    fallbacks: tuple[str, ...]


def merge_groups(task: Task) -> Merged:
    """Merge what a pass measured for one learner in some of the buckets of groups, and settle it; it leaves no rows."""
    work = open_work(task.work)
    target = merged_file(work, task.item, task.bucket, task.buckets)
    if _learned(work, task.item) or is_merged(work, task.item, task.bucket, task.buckets):
        return Merged(0, _noted(target))
    learner, engine = work.resolved.steps[task.item].learner, open_engine(task.engine)
    files = partial_files(work, task.number, task.item)
    share = share_of(work, task.bucket, task.buckets)
    with task.named():
        merged = _merged(learner, (table_of(file, share) for file in files), engine, at_once=256)
    notes = _note(target, task, engine)
    leave(arranged(learner.settle(merged), learner.order), target)
    return Merged(0, notes)


def learn(task: Task) -> Merged:
    """Learn one step from what a pass measured for it, and save it; it leaves no rows.

    What was measured is merged here, unless tasks before this one have merged the buckets of its groups.
    """
    work = open_work(task.work)
    folder = work.path / "learned" / str(task.item)
    if _learned(work, task.item):
        return Merged(0, _noted(folder))
    learner, engine = work.resolved.steps[task.item].learner, open_engine(task.engine)
    before: tuple[str, ...] = ()
    if task.buckets > 1:
        merged = [merged_file(work, task.item, share, task.buckets) for share in range(task.buckets)]
        before = tuple(note for file in merged for note in _noted(file))
        total = spilled(work, task.item, task.buckets, learner.order)
    else:
        with task.named():
            files = partial_files(work, task.number, task.item)
            total = _merged(learner, map(pl.read_ipc, files), engine, at_once=_MERGED_AT_ONCE)
    notes = _note(folder, task, engine, before)
    save_step(folder, learner.learn(total))
    shutil.rmtree(merged_folder(work, task.item), ignore_errors=True)
    return Merged(0, notes)


def _learned(work: Work, index: int) -> bool:
    return (work.path / "learned" / str(index) / "step.json").exists()


def _merged(learner: Learner, tables: Iterator[pl.DataFrame], engine: TaskEngine, at_once: int) -> pl.DataFrame:
    total: list[pl.DataFrame] = []
    while some := list(islice(tables, at_once)):
        frames = [table.lazy() for table in (*total, *some)]
        total = engine.collect([learner.merge(frames)], any_order=not learner.by_unit)
    return total[0]


def answer_window(task: Task) -> Merged:
    """Work out one window over one bucket of whole entities."""
    work = open_work(task.work)
    placed = work.resolved.steps[task.item]
    target = bucket_files(work, work.path / "windows" / str(task.item))[task.bucket]
    if _answered(target):
        return Merged(_rows([target]).len() if placed.form.filters else 0, _noted(target))
    engine = open_engine(task.engine)
    with task.named():
        rows = engine.read_bucket(pieces_files(work, task.number, f"window-{task.item}"), task.bucket)
        answers = engine.step(placed.label, rows.lazy(), placed.form.apply).select(ROW, *placed.form.writes)
        return _write_answers(answers, target, task, engine)


def answer_unique(task: Task) -> Merged:
    """Find the rows of one bucket whose key an earlier row has."""
    work = open_work(task.work)
    target = bucket_files(work, work.path / "unique" / str(task.item))[task.bucket]
    if _answered(target):
        return Merged(_rows([target]).len(), _noted(target))
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


def _answered(target: Path) -> bool:
    return any(target.parent.glob(f"{target.name}.*"))


def _write_answers(rows: pl.LazyFrame, target: Path, task: Task, engine: TaskEngine) -> Merged:
    target.parent.mkdir(parents=True, exist_ok=True)
    held = engine.hold(rows.sort(ROW))
    notes = _note(target, task, engine)
    engine.write_rows(target, held)
    return Merged(held.height, notes)


def _note(target: Path, task: Task, engine: TaskEngine, before: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Leave what is to be said of a task beside what it makes, and before: a resumed run says it too."""
    notes = tuple(dict.fromkeys((*before, *task.notes(engine.fallbacks))))
    if notes:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_notes_file(target), json.dumps(notes))
    return notes


def _noted(target: Path) -> tuple[str, ...]:
    file = _notes_file(target)
    return tuple(json.loads(file.read_bytes())) if file.exists() else ()


def _notes_file(target: Path) -> Path:
    return target.with_name(f".{target.name}.notes")


_MERGED_AT_ONCE = 16
_LAST = (1 << 63) - 1
