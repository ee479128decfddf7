"""A run: from a pipeline to a published version, stage by stage.

Each stage is a plain function from small values to a small value, so that Prefect can make a task of it in three lines:

    prepare -> fit -> apply -> write -> baseline -> report -> publish
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from headrace.catalog import log
from headrace.catalog.build import Build, new_build
from headrace.catalog.commit import Published, publish
from headrace.catalog.identity import uuid7
from headrace.catalog.manifest import BaselineResult, FileRef, Manifest
from headrace.catalog.store import dataset_folder, open_store
from headrace.engines.detect import Chosen, EngineChoice, choose
from headrace.engines.executor import Executor, open_executor
from headrace.pipelines.apply import ApplyRecord, Written, apply, lay_out, write_shards
from headrace.pipelines.fit import Fit, fit
from headrace.pipelines.locks import WorkLock, lock_work
from headrace.pipelines.model import Pipeline
from headrace.pipelines.plan import Plan, content_key, make_plan
from headrace.pipelines.publish import label_over_time, make_manifest, published_ids, write_state
from headrace.pipelines.resolve import resolve
from headrace.pipelines.runs import BadFile, RunFailure, RunRecord, save_run, sweep
from headrace.pipelines.sources import locate, read_tables
from headrace.pipelines.work import Work, create_work, open_work
from headrace.schemas.errors import CapabilityError, HeadraceError, RunError

STAGES: Final = ("prepare", "fit", "apply", "write", "baseline", "report", "publish")


class RunOptions(BaseModel):
    """How a pipeline is run; none of it changes the data that are published.

    Parameters
    ----------
    catalog
        The folder that holds the datasets.
    engine
        `cpu`, `gpu`, or `auto`: the GPU where there is one.
    cluster
        `inline`, `local[:N]` or the address of a Dask scheduler.
    partition_bytes
        Bytes in memory of the source rows that one task works on, about.
    idempotency_key
        A run with a key that has published before gives the version that is there.
    force
        Do not resume work that an earlier run left.
    producer
        More to say about who ran it; `flow_run` and `git_sha`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    catalog: str = "published"
    engine: EngineChoice = "auto"
    cluster: str = "inline"
    partition_bytes: int = Field(256 << 20, ge=1)
    idempotency_key: str = ""
    force: bool = False
    producer: dict[str, str] = Field(default_factory=dict)


class Progress(Protocol):
    """What a run tells about its stages while it runs."""

    def start(self, stage: str, total: int) -> None:
        """A stage begins; `total` is the rows it will go over, 0 if that says nothing."""

    def advance(self, stage: str, rows: int = 0) -> None:
        """So many more rows are done."""

    def finish(self, stage: str) -> None:
        """The stage is over."""


class Silent:
    """Progress that tells nobody."""

    def start(self, stage: str, total: int) -> None: ...

    def advance(self, stage: str, rows: int = 0) -> None: ...

    def finish(self, stage: str) -> None: ...


class Staging(Protocol):
    """Who calls the stages: each in its turn, again where a failure may pass and the stage can be repeated."""

    def __call__(self, stage: str, function: Callable[[], Value]) -> Value:
        """What the function returns."""


def directly(stage: str, function: Callable[[], Value]) -> Value:  # noqa: ARG001
    """Call a stage, once."""
    return function()


def prepare(pipeline: Pipeline, options: RunOptions) -> tuple[Plan, WorkLock]:
    """Check the pipeline against its sources, plan the run, and set up its work folder, locked for this process.

    Raises
    ------
    HeadraceError
        Anything that is wrong and can be known before rows are read.
    """
    tables = read_tables(pipeline)
    resolved = resolve(pipeline, tables)
    plan = make_plan(pipeline, resolved, locate(pipeline), options.partition_bytes)
    key = content_key(
        pipeline.model_dump_json(),
        plan.model_copy(update={"available_bytes": 0}).model_dump_json(),
        *(f"{name} {_digest(table.frame)}" for name, table in tables.items()),
        *(_source_of(module) for module in pipeline.modules),
    )
    lock = lock_work(Path(options.catalog).absolute(), pipeline.name, key, fresh=options.force)
    try:
        create_work(lock.path, pipeline, plan, tables)
    except BaseException:
        lock.release()
        raise
    return plan, lock


def _digest(frame: pl.DataFrame) -> str:
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return hashlib.sha256(buffer.getbuffer()).hexdigest()


def _source_of(module: str) -> str:
    """The source of a module with operators of the user's own; work done with other code is not resumed."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).read_text() if file and file.endswith(".py") else module


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
    with run.recorded(), _told():
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
        chosen = choose(self.options.engine)
        self._update(engine=chosen.engine, engine_reason=chosen.reason)
        sweep(self.options.catalog, self.pipeline.name)
        plan, lock = self._timed("prepare", 0, lambda: prepare(self.pipeline, self.options))
        with lock, _told(lock):
            with open_executor(self.options.cluster, chosen.engine) as executor:
                work = open_work(str(lock.path))
                self._update(rows_in=plan.rows, bad_files=_bad_files(plan), features=len(plan.features))
                published = self._compute(work, executor, chosen)
            lock.remove()
        self._done(published)

    def _done(self, published: Published) -> None:
        self._update(
            status="done",
            dataset=published.dataset,
            version=published.version,
            path=str(published.path),
            report=str(published.path / "report.html"),
        )

    def _compute(self, work: Work, executor: Executor, chosen: Chosen) -> Published:
        engine, rows = chosen.engine, work.plan.rows
        fitted = self._timed(
            "fit", rows * work.resolved.passes, lambda: fit(work, executor, engine, self._advance("fit"))
        )
        self._update(quarantined=fitted.reasons, rows_quarantined=fitted.bad)
        applied = self._timed(
            "apply", rows, lambda: apply_stage(work, executor, engine, fitted, self._advance("apply"))
        )
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
            rows_published=total,
            rows_filtered=rows - fitted.bad - total,
            splits={name: sum(f.rows for f in files) for name, files in written.files.items()},
        )
        baselines = self._timed("baseline", 0, lambda: baseline_stage(work, folder, written))
        self._update(baselines=baselines)
        made = self.build
        producer = {"engine": engine, "cluster": executor.address, "run": self.record.run_id, **self.options.producer}
        manifest = self._timed(
            "report",
            0,
            lambda: report_stage(work, made, fitted, applied, written, baselines, producer, self.record),
        )
        return self._timed("publish", 0, lambda: publish_stage(self.options, made, manifest))

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
            self._update(status="interrupted" if interrupted else "failed", error=_failure(problem))
            raise
        finally:
            self._update(finished_at=datetime.now(UTC))
            save_run(self.options.catalog, self.record)


def published_before(options: RunOptions, dataset: str) -> Published | None:
    """The version that an earlier run with the same idempotency key has published."""
    if not options.idempotency_key:
        return None
    folder = dataset_folder(options.catalog, dataset)
    if not folder.is_dir():
        return None
    for record in log.history(open_store(folder)):
        if record.idempotency_key == options.idempotency_key:
            path = folder / "builds" / record.build
            return Published(dataset, record.version, path, record.build, record.manifest_sha256, created=False)
    return None


def apply_stage(
    work: Work, executor: Executor, engine: str, fitted: Fit, advance: Callable[[int], None] | None = None
) -> ApplyRecord:
    """Lay out the shards and apply the fitted steps to every partition."""
    lay_out(work, fitted)
    return apply(work, executor, engine, advance)


def baseline_stage(work: Work, build: Path, written: Written) -> tuple[BaselineResult, ...]:
    """Train and score the baselines on the shards of a build."""
    if not work.pipeline.baselines:
        return ()
    from headrace.pipelines.baselines import train_baselines

    return tuple(
        train_baselines(
            {name: [build / file.path for file in files] for name, files in written.files.items()},
            work.pipeline.baselines,
            features=work.resolved.features,
            label=work.pipeline.target,
            task=work.pipeline.task,
            build=build,
            categorical=tuple(published_ids(work)),
        )
    )


def report_stage(
    work: Work,
    build: Build,
    fitted: Fit,
    applied: ApplyRecord,
    written: Written,
    baselines: tuple[BaselineResult, ...],
    producer: Mapping[str, str],
    run: RunRecord,
) -> Manifest:
    """Write the state and the report into a build. Returns its manifest."""
    from headrace.pipelines.report import write_report

    state: dict[str, FileRef] = write_state(work, build)
    manifest = make_manifest(work, build, written, fitted, applied, state, baselines, producer)
    write_report(build.path / "report.html", manifest, run, label_over_time(work))
    shards = {file.path for files in written.files.values() for file in files}
    rest = tuple(state.get(path) or build.add_file(path) for path in sorted(build.files() - shards))
    return manifest.model_copy(update={"files": rest})


def publish_stage(options: RunOptions, build: Build, manifest: Manifest) -> Published:
    """Commit a build as the next version of its dataset."""
    return publish(options.catalog, manifest.dataset, build, manifest, idempotency_key=options.idempotency_key or None)


def _bad_files(plan: Plan) -> tuple[BadFile, ...]:
    return tuple(BadFile(path=f.path, reason=f.problem) for f in plan.files if f.problem)


def _failure(problem: BaseException) -> RunFailure:
    if isinstance(problem, HeadraceError):
        return RunFailure(code=problem.code, message=problem.message, hint=problem.hint, where=problem.where)
    code = "interrupted" if isinstance(problem, KeyboardInterrupt) else "internal"
    return RunFailure(code=code, message=f"{type(problem).__name__}: {problem}")


@contextmanager
def _told(lock: WorkLock | None = None) -> Iterator[None]:
    """Turn what the machine refuses into one clear error; with a lock, what a folder gives that was damaged since."""
    try:
        yield
    except HeadraceError:
        raise
    except pl.exceptions.PanicException as problem:
        # It is no Exception: without this it would pass for an interruption.
        raise RunError(f"Polars panicked: {_first_line(problem)}", hint="this is a bug; please report it") from problem
    except MemoryError as problem:
        raise RunError("out of memory", hint="run with smaller partitions: --partition-bytes") from problem
    except Exception as problem:
        code = problem.errno if isinstance(problem, OSError) else None
        text = _first_line(problem)
        if code in (errno.ENOSPC, errno.EDQUOT) or "No space left" in text:
            hint = "free space and run again; it goes on from here"
            raise RunError(f"the disk is full: {text}", hint=hint) from problem
        if code in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise CapabilityError(f"not allowed: {text}", hint="check the permissions of the catalog") from problem
        if lock is not None and lock.resumed:
            raise RunError(
                f"failed while going on from what an earlier run left: {type(problem).__name__}: {text}",
                where=str(lock.path),
                hint="run again with --force, which does all the work anew",
            ) from problem
        raise


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


Value = TypeVar("Value")
