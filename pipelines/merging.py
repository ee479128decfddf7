"""Between two passes: what was measured is merged and learned, windows and keys are worked out bucket by bucket."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl

from headrace.pipelines.exchange import read_bucket
from headrace.pipelines.measuring import partial_file
from headrace.pipelines.rows import bucket_files, engine_of
from headrace.pipelines.tasks import Task
from headrace.pipelines.work import Work, open_work, save_step
from headrace.schemas.names import ROW


def learn(task: Task) -> int:
    """Merge what a pass measured for one learner, and save the fitted step. Returns its place."""
    work = open_work(task.work)
    placed = work.resolved.steps[task.item]
    folder = work.path / "learned" / str(task.item)
    if (folder / "step.json").exists():
        return task.item
    learner, engine = placed.learner, engine_of(task.engine)
    files = [partial_file(work.part(f"pass-{task.number}", p.number), task.item) for p in work.plan.partitions]
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


def distinct_duplicates(work: Work, keys: int) -> int:
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


_MERGED_AT_ONCE = 16
