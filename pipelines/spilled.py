"""Statistics of groups that are too many for one task: brought together by bucket, merged and settled bucket by bucket.

Some partitions' statistics are merged and cut into buckets by the hash of their groups. A bucket of all partitions is
merged, settled and put into order by itself. What is left of all is brought into one order on disk, for `learn`. A task
reads about `SPILLED_BYTES`; how many buckets there are follows from what was measured, and never shows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import polars as pl

from headrace.engines.open import open_engine
from headrace.pipelines.measuring import BUCKET, partial_files, with_bucket
from headrace.pipelines.merged import Merged, answered, note, noted
from headrace.pipelines.ordering import in_one_order, leave, together
from headrace.pipelines.tasks import Task
from headrace.pipelines.work import Work, open_work
from headrace.transforms.base import Learner
from headrace.transforms.order import arranged

SPILLED_BYTES: Final = 128 << 20
"""Statistics that one task reads, about."""


def buckets_of(measured: Mapping[int, int]) -> dict[int, int]:
    """Into how many buckets the groups of each learner fall, from the bytes that a pass measured for it."""
    return {index: max(1, -(-size // SPILLED_BYTES)) for index, size in measured.items()}


def scattering(work: Work, buckets: int) -> int:
    """How many tasks cut the statistics of a learner with so many buckets: each takes a run of partitions."""
    return min(buckets, len(work.plan.partitions))


def scatter_groups(task: Task) -> Merged:
    """Merge what a pass measured in some partitions for one learner, and cut it into buckets; it leaves no rows."""
    work = open_work(task.work)
    target = _scattered(work, task.item, task.bucket)
    merged_already = all(_merged(work, task.item, bucket).exists() for bucket in range(task.buckets))
    if merged_already or _taken_up(work, task) or answered(target):
        return Merged(0, noted(target))
    learner, engine = work.resolved.steps[task.item].learner, open_engine(task.engine)
    files, tasks = partial_files(work, task.number, task.item), scattering(work, task.buckets)
    run = files[task.bucket * len(files) // tasks : (task.bucket + 1) * len(files) // tasks]
    with task.named():
        merged = learner.merge([pl.read_ipc(file).lazy() for file in run])
        held = engine.hold(with_bucket(merged, learner.groups, task.buckets, engine))
        target.parent.mkdir(parents=True, exist_ok=True)
        notes = note(target, task, engine)
        engine.write_pieces(target, held, BUCKET, task.buckets)
    return Merged(0, notes)


def merge_groups(task: Task) -> Merged:
    """Merge one bucket of one learner's statistics, settle it and put it into order; it leaves no rows."""
    work = open_work(task.work)
    target = _merged(work, task.item, task.bucket)
    if _taken_up(work, task) or target.exists():
        return Merged(0, noted(target))
    learner, engine = work.resolved.steps[task.item].learner, open_engine(task.engine)
    files = [_scattered(work, task.item, number) for number in range(scattering(work, task.buckets))]
    with task.named():
        # A table for each file: in one of them a group has one row.
        tables = [engine.read_bucket([file], task.bucket).lazy() for file in files]
        merged = engine.collect([learner.merge(tables)], any_order=not learner.by_unit)[0]
    notes = note(target, task, engine)
    leave(arranged(learner.settle(merged), learner.order), target)
    return Merged(0, notes)


def spilled(work: Work, index: int, buckets: int, learner: Learner) -> pl.DataFrame:
    """What is left of one learner's statistics in all buckets, in its order: files that are mapped into memory.

    What it was made of goes on the way, so that the disk holds the groups three times at most.
    """
    files = [_merged(work, index, bucket) for bucket in range(buckets)]
    _remove(_folder(work, index).glob("scattered-*"))
    if not learner.order:
        return together(files)
    ordered = in_one_order(files, learner.order, _ordered(work, index))
    _remove(files)
    return ordered


def spilled_notes(work: Work, index: int, buckets: int) -> tuple[str, ...]:
    """What there is to be said of the tasks that led to what `spilled` gives."""
    made = [_scattered(work, index, number) for number in range(scattering(work, buckets))]
    made += [_merged(work, index, bucket) for bucket in range(buckets)]
    return tuple(dict.fromkeys(said for target in made for said in noted(target)))


def clear(work: Work, index: int) -> None:
    """Remove what the tasks of one learner have left on their way, which has been learned from."""
    shutil.rmtree(_folder(work, index), ignore_errors=True)


def is_learned(work: Work, index: int) -> bool:
    """Whether a learner has learned, so that nothing that was measured for it is needed any more."""
    return (work.path / "learned" / str(index) / "step.json").exists()


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _taken_up(work: Work, task: Task) -> bool:
    """Whether a later task has gone on from what this one makes, which may be gone by now."""
    return is_learned(work, task.item) or _ordered(work, task.item).is_dir()


def _folder(work: Work, index: int) -> Path:
    return work.path / "merged" / str(index)


def _scattered(work: Work, index: int, number: int) -> Path:
    return _folder(work, index) / f"scattered-{number:05d}"


def _merged(work: Work, index: int, bucket: int) -> Path:
    return _folder(work, index) / f"bucket-{bucket:05d}.arrow"


def _ordered(work: Work, index: int) -> Path:
    return _folder(work, index) / "ordered"
