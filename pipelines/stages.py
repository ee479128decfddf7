"""Each stage of a run as a plain function from small values to a small value."""

from __future__ import annotations

import hashlib
import io
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl

from headrace.catalog import log
from headrace.catalog.append import append
from headrace.catalog.build import Build
from headrace.catalog.commit import Published, publish, published_as
from headrace.catalog.manifest import BaselineResult, Manifest
from headrace.catalog.reader import open_dataset
from headrace.catalog.records import FileRef
from headrace.catalog.staging import work_folder
from headrace.catalog.store import dataset_place, open_store
from headrace.catalog.upload import Upload, upload
from headrace.engines.budget import partition_bytes_for
from headrace.engines.cluster import worker_count
from headrace.engines.detect import gpus
from headrace.engines.executor import Executor
from headrace.engines.open import CPU, EngineSpec
from headrace.pipelines.appending import base_of, freeze, latest_version, planned, refuse_looking_back
from headrace.pipelines.apply import ApplyRecord, apply
from headrace.pipelines.fit import Fit
from headrace.pipelines.gpu_refusals import refuse_for_gpu
from headrace.pipelines.known_files import left_out, new_files, some
from headrace.pipelines.layout import lay_out
from headrace.pipelines.locks import WorkLock, lock_work
from headrace.pipelines.model import Pipeline
from headrace.pipelines.options import RunOptions
from headrace.pipelines.plan import Plan, content_key, make_plan
from headrace.pipelines.publish import label_over_time, make_manifest, published_ids, write_state
from headrace.pipelines.resolve import resolve
from headrace.pipelines.runs import RunRecord
from headrace.pipelines.sources import SourceFiles, locate, read_tables
from headrace.pipelines.vocabularies import FromCatalog, vocabularies_follow
from headrace.pipelines.work import Work, create_work
from headrace.pipelines.write import Written
from headrace.schemas.errors import HeadraceError


def prepare(
    pipeline: Pipeline, options: RunOptions, engine: EngineSpec = CPU, cluster: str = "inline"
) -> tuple[Plan, WorkLock]:
    """Check the pipeline against its sources, plan the run, and set up its work folder, locked for this process.

    Raises
    ------
    HeadraceError
        Anything that is wrong and can be known before rows are read.
    """
    base = base_of(options.catalog, pipeline) if options.append else None
    tables = read_tables(pipeline)
    known = FromCatalog(options.catalog, pipeline.name, pipeline.source.root)
    resolved = resolve(pipeline, tables, known)
    tables |= known.tables
    if engine.name == "gpu":
        refuse_for_gpu(resolved, strict=engine.strict)
    size = options.partition_bytes or partition_bytes_for(engine.name, _device_memory(engine, cluster))
    files = locate(pipeline)
    if base is None:
        notes = tuple(filter(None, [_left_out(options.catalog, pipeline.name, files)]))
    else:
        refuse_looking_back(resolved)
        every, files = files, new_files(base, files)
        notes = (f"appended to {base.name}@{base.version}: {len(files.checked)} new of {len(every.checked)} files",)
    plan = make_plan(pipeline, resolved, files, size, known.notes)
    plan = plan.model_copy(update={"notes": notes, "appends_to": None if base is None else planned(base)})
    key = content_key(
        engine.name,  # each keeps what it makes in the form that suits it
        pipeline.model_dump_json(),
        plan.model_copy(update={"available_bytes": 0}).model_dump_json(),
        *(f"{name} {table.sha256 or _digest(table.frame)}" for name, table in tables.items()),
        *(_source_of(module) for module in pipeline.modules),
        *([] if base is None else [base.record.manifest_sha256]),
    )
    lock = lock_work(work_folder(options.catalog), pipeline.name, key, fresh=options.force)
    try:
        create_work(lock.path, pipeline, plan, tables, known.extends)
        if base is not None:
            freeze(lock.path, base, pipeline, resolved)
    except BaseException:
        lock.release()
        raise
    return plan, lock


def nothing_new(pipeline: Pipeline, options: RunOptions) -> tuple[Published, str] | None:
    """The version that is there, and what to say of it, if a run that appends has no new file to read."""
    if not options.append:
        return None
    base, files = base_of(options.catalog, pipeline), locate(pipeline)
    if any(footer.rows for footer in new_files(base, files).footers):
        return None
    bad = [files.name(file) for file in files.checked if file.problem]
    words = f"nothing to append: {base.name}@{base.version} has the rows of all {len(files.footers)} files already"
    words += f", but of {some(bad)}, which cannot be read" if bad else ""
    return published_as(base.name, base.place, base.record, created=False), words


def _left_out(catalog: str, dataset: str, files: SourceFiles) -> str:
    try:
        latest = latest_version(catalog, dataset)
    except HeadraceError:
        return ""  # publishing says what is wrong with it, if it matters
    note = "" if latest is None else left_out(latest, files)
    if note:
        logging.getLogger(__name__).warning(note)
    return note


def _device_memory(engine: EngineSpec, cluster: str) -> int | None:
    """The memory of the smallest GPU of the run, None on the CPU or where the GPUs are elsewhere."""
    if engine.name == "cpu" or cluster.startswith("tcp:"):
        return None
    count = 1 if cluster == "inline" else worker_count(cluster)
    return min((gpu.memory_bytes for gpu in gpus()[:count]), default=None)


def _digest(frame: pl.DataFrame) -> str:
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return hashlib.sha256(buffer.getbuffer()).hexdigest()


def _source_of(module: str) -> str:
    """The source of a module with operators of the user's own; work done with other code is not resumed."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).read_text() if file and file.endswith(".py") else module


def published_before(options: RunOptions, dataset: str) -> Published | None:
    """The version that an earlier run with the same idempotency key has published."""
    if not options.idempotency_key:
        return None
    place = dataset_place(options.catalog, dataset)
    if place.folder is not None and not place.folder.is_dir():
        return None
    for record in log.history(open_store(place)):
        if record.idempotency_key == options.idempotency_key:
            return published_as(dataset, place, record, created=False)
    return None


def apply_stage(
    work: Work, executor: Executor, engine: EngineSpec, fitted: Fit, advance: Callable[[int], None] | None = None
) -> ApplyRecord:
    """Lay out the shards and apply the fitted steps to every partition."""
    lay_out(work, fitted)
    return apply(work, executor, engine, advance)


def baseline_stage(
    work: Work, options: RunOptions, build: Path, written: Written, executor: Executor, engine: EngineSpec
) -> tuple[BaselineResult, ...]:
    """Train and score the baselines on the shards of a build, and on those that it is appended to."""
    if not work.pipeline.baselines:
        return ()
    older: dict[str, list[Path]] = {}
    if work.plan.appends_to is not None:
        base = open_dataset(dataset_place(options.catalog, work.pipeline.name), work.plan.appends_to.version)
        older = {split: base.files(split) for split in base.splits}
    from headrace.pipelines.baseline_task import BaselineSpec, train

    spec = BaselineSpec(
        splits={
            name: (*older.get(name, ()), *(build / file.path for file in written.files.get(name, ())))
            for name in work.pipeline.split.names
        },
        baselines=work.pipeline.baselines,
        features=work.resolved.features,
        label=work.pipeline.target,
        task=work.pipeline.task,
        build=build,
        categorical=tuple(published_ids(work)),
        engine=engine,
    )
    return train(spec, executor)


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


def publish_stage(work: Work, options: RunOptions, build: Build, manifest: Manifest, executor: Executor) -> Published:
    """Commit a build as the next version of its dataset, or append it to the latest.

    For an object store, workers upload its files first.
    """

    def by_workers(tasks: Sequence[Upload]) -> None:
        executor.map(upload, tasks)

    if work.plan.appends_to is not None:
        return append(
            options.catalog,
            manifest.dataset,
            build,
            manifest,
            idempotency_key=options.idempotency_key or None,
            upload=by_workers,
        )
    return publish(
        options.catalog,
        manifest.dataset,
        build,
        manifest,
        idempotency_key=options.idempotency_key or None,
        may_follow=vocabularies_follow(work),
        upload=by_workers,
    )
