"""Fitting: passes over the rows that measure, and between them the merging of what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from headrace.engines.executor import Executor
from headrace.engines.open import EngineSpec
from headrace.pipelines.counts import added
from headrace.pipelines.measuring import PassRecord, run_pass
from headrace.pipelines.merged import Merged
from headrace.pipelines.merging import answer_unique, answer_window, distinct_duplicates, learn
from headrace.pipelines.rows import QUARANTINE
from headrace.pipelines.spilled import buckets_of, merge_groups, scatter_groups, scattering
from headrace.pipelines.tasks import Task, map_tasks
from headrace.pipelines.work import Work
from headrace.schemas.errors import DataError


class Fit(BaseModel):
    """What fitting found: rows, the bad ones by reason, and how many rows each split has in the last pass.

    `stay` says how many of how many rows steps leave that drop rows only after that pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    bad: int
    reasons: dict[str, int]
    split_rows: dict[int, int]
    unit_rows: dict[int, dict[int, int]] = {}
    stay: tuple[int, int] = (1, 1)
    fallbacks: tuple[str, ...] = ()


def fit(work: Work, executor: Executor, engine: EngineSpec, advance: Callable[[int], None] | None = None) -> Fit:
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
    fallbacks: dict[str, None] = {}
    duplicates = 0
    keys = work.pipeline.contract.unique_keys()

    def task(label: str, number: int, item: int, bucket: int = 0, buckets: int = 1, units: int = 1) -> Task:
        return Task(
            work=str(work.path),
            engine=engine,
            number=number,
            item=item,
            bucket=bucket,
            buckets=buckets,
            label=label,
            most_pieces=units,
        )

    def count(record: object) -> None:
        if advance and isinstance(record, PassRecord):
            advance(record.rows)

    def noted(results: Sequence[PassRecord | Merged]) -> None:
        fallbacks.update(dict.fromkeys(note for result in results for note in result.fallbacks))

    for number in range(work.resolved.passes):
        tasks = [
            task(f"pass {number} over partition {p.number}", number, p.number, units=len(p.units))
            for p in work.plan.partitions
        ]
        records = map_tasks(executor, run_pass, tasks, count)
        noted(records)
        split_rows = added(r.split_rows for r in records)
        unit_rows = {unit: rows for r in records for unit, rows in r.unit_rows.items()}
        if number == 0:
            reasons = added(r.reasons for r in records)
            bad = sum(r.bad for r in records)
            _refuse_too_many(work, bad, reasons)
            for key, columns in enumerate(keys):
                reason = unique_reason(columns)
                tasks = [task(f"{reason}, bucket {b}", 0, key, b) for b in range(work.plan.buckets)]
                answered = map_tasks(executor, answer_unique, tasks)
                noted(answered)
                if repeated := sum(a.rows for a in answered):
                    reasons[reason] = repeated
                    duplicates += repeated
            if len(keys) > 1 and duplicates:
                duplicates = distinct_duplicates(work, len(keys))
            _refuse_too_many(work, bad + duplicates, reasons)
        served = work.resolved.in_pass(number)
        buckets = buckets_of(added(r.measured for r in records))
        many = [s for s in served if buckets.get(s.index, 1) > 1]
        scatters = [
            task(f"{s.label}, scattering groups {run}", number, s.index, run, buckets[s.index])
            for s in many
            for run in range(scattering(work, buckets[s.index]))
        ]
        noted(map_tasks(executor, scatter_groups, scatters))
        merges = [
            task(f"{s.label}, merging groups {b}", number, s.index, b, buckets[s.index])
            for s in many
            for b in range(buckets[s.index])
        ]
        noted(map_tasks(executor, merge_groups, merges))
        learned = [
            task(f"{s.label}, learning", number, s.index, buckets=buckets.get(s.index, 1)) for s in served if s.learns
        ]
        noted(map_tasks(executor, learn, learned))
        windows = [
            task(f"{s.label}, bucket {b}", number, s.index, b)
            for s in served
            if s.collects
            for b in range(work.plan.buckets)
        ]
        answers = map_tasks(executor, answer_window, windows)
        noted(answers)
        left = added({t.item: a.rows} for t, a in zip(windows, answers, strict=True))
        fewest = min((left[s.index] for s in served if s.collects and s.form.filters), default=None)
        seen = sum(split_rows.values())
        stay = (1, 1) if fewest is None or fewest >= seen else (fewest, seen)
    bad += duplicates
    return Fit(
        rows=work.plan.rows,
        bad=bad,
        reasons=reasons,
        split_rows=split_rows,
        unit_rows=unit_rows,
        stay=stay,
        fallbacks=tuple(fallbacks),
    )


def unique_reason(columns: Sequence[str]) -> str:
    """The reason given for rows that repeat a key."""
    return f"{','.join(columns)}:unique"


def _refuse_too_many(work: Work, bad: int, reasons: dict[str, int]) -> None:
    allowed = work.pipeline.max_bad_fraction
    if bad <= allowed * work.plan.rows:
        return
    where = f"{work.path}/pass-0/*/{QUARANTINE}"
    table = "".join(
        f"\n  {count:>10,}  {reason}" for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    )
    raise DataError(
        f"{bad:,} of {work.plan.rows:,} rows break the contract ({100 * bad / work.plan.rows:.3g}%); "
        f"max_bad_fraction allows {100 * allowed:.3g}%{table}",
        hint=f"mend the data or the contract, or raise max_bad_fraction; the rows are in {where}",
        where=work.pipeline.name,
    )
