"""A run: from a pipeline to a published version, stage by stage.

prepare -> fit -> apply -> write -> baseline -> report -> publish
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from headrace.catalog.build import Build, new_build
from headrace.catalog.commit import Published
from headrace.catalog.identity import uuid7
from headrace.engines.executor import Executor, open_executor
from headrace.engines.open import EngineSpec
from headrace.engines.placement import place
from headrace.pipelines.fit import fit
from headrace.pipelines.model import Pipeline
from headrace.pipelines.options import RunOptions
from headrace.pipelines.plan import Plan
from headrace.pipelines.publish import published_ids
from headrace.pipelines.refusals import failure, told
from headrace.pipelines.runs import BadFile, RunRecord, save_run, sweep
from headrace.pipelines.stages import (
    apply_stage,
    baseline_stage,
    nothing_new,
    prepare,
    publish_stage,
    published_before,
    report_stage,
)
from headrace.pipelines.staging import Progress, Silent, Staging, Value, directly
from headrace.pipelines.work import Work, open_work
from headrace.pipelines.write import write_shards


def build(
    pipeline: Pipeline,
    options: RunOptions | None = None,
    progress: Progress | None = None,
    staging: Staging = directly,
) -> RunRecord:
    """Run a pipeline and publish the next version of its dataset.

    Parameters
    ----------
    staging
        Who calls the stages of `STAGES`; a flow passes one that makes a Prefect task of each.

    Returns
    -------
    RunRecord
        Also saved in the catalog, whether the run ends well or not.

    Raises
    ------
    HeadraceError
        Nothing is published then, and no process is left; what was computed is kept for the next run to go on from.
    """
    options = options or RunOptions()
    run = _Run(pipeline, options, progress or Silent(), staging)
    with run.recorded(), told():
        run.through_all_stages()
    return run.record


class _Run:
    """The state of a run while it goes through its stages: its record, and where it writes."""

    def __init__(self, pipeline: Pipeline, options: RunOptions, progress: Progress, staging: Staging) -> None:
        self.pipeline = pipeline
        self.options = options
        self.progress = progress
        self.staging = staging
        self.seconds: dict[str, float] = {}
        self.build: Build | None = None
        self.record = RunRecord(
            run_id=uuid7(),
            pipeline=pipeline.name,
            status="running",
            started_at=datetime.now(UTC),
            cluster=options.cluster,
            host=socket.gethostname(),
            pid=os.getpid(),
        )

    def through_all_stages(self) -> None:
        there = published_before(self.options, self.pipeline.name)
        if there is not None:
            self._done(there)
            return
        unchanged = nothing_new(self.pipeline, self.options)
        if unchanged is not None:
            self._update(notes=(unchanged[1],))
            self._done(unchanged[0])
            return
        chosen, cluster = place(
            self.options.engine, self.options.cluster, self.options.gpu, strict=self.options.strict_gpu
        )
        engine = EngineSpec(
            name=chosen.engine,
            strict=self.options.strict_gpu,
            pool=self.options.gpu.pool,
            run=self.record.run_id,
        )
        self._update(engine=chosen.engine, engine_reason=chosen.reason)
        sweep(self.options.catalog, self.pipeline.name)
        plan, lock = self._timed("prepare", 0, lambda: prepare(self.pipeline, self.options, engine, cluster))
        with lock, told(lock):
            with open_executor(cluster, chosen.engine, self.options.gpu) as executor:
                self._update(cluster=executor.address)
                work = open_work(str(lock.path))
                self._update(rows_in=plan.rows, bad_files=_bad_files(plan), features=len(plan.features))
                self._update(vocabularies=plan.vocabularies, notes=plan.notes)
                published = self._compute(work, executor, engine)
            lock.remove()
        open_work.cache_clear()  # a server that runs on keeps none of its vocabularies
        self._done(published)

    def _done(self, published: Published) -> None:
        self._update(
            status="done",
            dataset=published.dataset,
            version=published.version,
            path=published.uri,
            report=str(published.place / "report.html"),
        )

    def _compute(self, work: Work, executor: Executor, engine: EngineSpec) -> Published:
        rows = work.plan.rows
        fitted = self._timed(
            "fit", rows * work.resolved.passes, lambda: fit(work, executor, engine, self._advance("fit"))
        )
        self._update(quarantined=fitted.reasons, rows_quarantined=fitted.bad, fallbacks=fitted.fallbacks)
        applied = self._timed(
            "apply", rows, lambda: apply_stage(work, executor, engine, fitted, self._advance("apply"))
        )
        fallbacks = tuple(dict.fromkeys((*fitted.fallbacks, *applied.fallbacks)))
        self._update(fallbacks=fallbacks)
        self.build = new_build(self.options.catalog, self.pipeline.name)
        self._update(build=str(self.build.path))
        save_run(self.options.catalog, self.record)
        folder = self.build.path
        total = sum(applied.shard_rows.values())
        written = self._timed(
            "write",
            total,
            lambda: write_shards(work, executor, engine, folder, applied, published_ids(work), self._advance("write")),
        )
        self._update(
            fallbacks=tuple(dict.fromkeys((*fallbacks, *written.fallbacks))),
            rows_published=total,
            rows_filtered=rows - fitted.bad - total,
            splits={name: sum(f.rows for f in files) for name, files in written.files.items()},
        )
        baselines = self._timed(
            "baseline", 0, lambda: baseline_stage(work, self.options, folder, written, executor, engine)
        )
        self._update(baselines=baselines)
        made = self.build
        producer = {"engine": engine.name, "cluster": executor.address, "run": self.record.run_id}
        producer |= self.options.producer
        manifest = self._timed(
            "report",
            0,
            lambda: report_stage(work, made, fitted, applied, written, baselines, producer, self.record),
        )
        return self._timed("publish", 0, lambda: publish_stage(work, self.options, made, manifest, executor))

    def _advance(self, stage: str) -> Callable[[int], None]:
        return lambda rows: self.progress.advance(stage, rows)

    def _timed(self, stage: str, total: int, function: Callable[[], Value]) -> Value:
        self.progress.start(stage, total)
        began = time.perf_counter()
        value = self.staging(stage, function)
        self.seconds[stage] = round(time.perf_counter() - began, 3)
        self._update(seconds=dict(self.seconds))
        self.progress.finish(stage)
        return value

    def _update(self, **changes: object) -> None:
        self.record = self.record.model_copy(update=changes)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Save the record at the start and at the end, however that comes; an unpublished build is removed."""
        save_run(self.options.catalog, self.record)
        try:
            yield
        except BaseException as problem:
            if self.build is not None:
                self.build.discard()
            interrupted = not isinstance(problem, Exception)
            self._update(status="interrupted" if interrupted else "failed", error=failure(problem))
            raise
        finally:
            self._update(finished_at=datetime.now(UTC))
            save_run(self.options.catalog, self.record)


def _bad_files(plan: Plan) -> tuple[BadFile, ...]:
    return tuple(BadFile(path=f.path, reason=f.problem) for f in plan.files if f.problem)
