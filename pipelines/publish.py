"""From shards to a version: state, quarantine, contract, manifest, report, and the one commit that makes it visible."""

from __future__ import annotations

import operator
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from headrace.catalog.arrow_schema import arrow_fields, fingerprint
from headrace.catalog.build import Build
from headrace.catalog.manifest import (
    BadFile,
    BaselineResult,
    Column,
    Input,
    Manifest,
    PipelineRef,
    Producer,
    Quality,
    RowOrder,
    Vocabulary,
)
from headrace.catalog.manifest import Split as SplitEntry
from headrace.catalog.records import FileRef
from headrace.catalog.settings import save_settings
from headrace.catalog.sketch import Sketches, merge_sketches
from headrace.catalog.sketch_files import FOLDER, SOURCE, load_sketches, save_sketches
from headrace.pipelines.apply import LABELS, ApplyRecord
from headrace.pipelines.fit import Fit
from headrace.pipelines.fitted import FILE, FittedPipeline
from headrace.pipelines.measuring import source_folders
from headrace.pipelines.resolve import all_ids
from headrace.pipelines.rows import QUARANTINE
from headrace.pipelines.work import Work
from headrace.pipelines.write import Written
from headrace.schemas.names import ROW, SPLIT
from headrace.schemas.odcs import dump_contract
from headrace.schemas.rules import FILE_ROW
from headrace.transforms.base import Ids
from headrace.transforms.table import Table

STATE = "state"


def fitted_pipeline(work: Work) -> FittedPipeline:
    """The pipeline with what its learners learned in this work folder."""
    pipeline = work.pipeline
    contract = pipeline.contract
    return FittedPipeline(
        name=pipeline.name,
        source=contract.dtypes,
        required=tuple(c for c in contract.names if contract.required(c)),
        steps=tuple(work.form(placed.index) for placed in work.resolved.steps),
        features=work.resolved.features,
        target=pipeline.target,
    )


def published_ids(work: Work) -> dict[str, Ids]:
    """What the ids in the published columns stand for."""
    return all_ids(tuple(work.form(placed.index) for placed in work.resolved.steps), work.resolved.published)


def write_state(work: Work, build: Build) -> dict[str, FileRef]:
    """Write the fitted pipeline, settings, contract, quarantine and, if they were measured, statistics of the source.

    Returns the files by path.
    """
    files = [build.add_file(path) for path in fitted_pipeline(work).save(build.path / STATE)]
    files.append(save_settings(build, work.pipeline.settings()))
    files.append(build.write("contract.odcs.yaml", dump_contract(work.pipeline.contract).encode()))
    files += [build.add_file(path) for path in _write_quarantine(work, build.path / "quarantine")]
    files += [build.add_file(path) for path in _write_source_statistics(work, build.path / FOLDER / SOURCE)]
    return {ref.path: ref for ref in files}


def make_manifest(
    work: Work,
    build: Build,
    written: Written,
    fitted: Fit,
    applied: ApplyRecord,
    state: Mapping[str, FileRef],
    baselines: tuple[BaselineResult, ...],
    producer: Mapping[str, str],
) -> Manifest:
    """Everything a reader must know about this build."""
    pipeline = work.pipeline
    schema = arrow_fields(pq.read_schema(build.path / next(iter(written.files.values()))[0].path))
    published = sum(file.rows for files in written.files.values() for file in files)
    return Manifest(
        dataset=build.dataset,
        build=build.id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        producer=_producer(producer, (*fitted.fallbacks, *applied.fallbacks, *written.fallbacks)),
        pipeline=PipelineRef(name=pipeline.name, sha256=state[f"{STATE}/{FILE}"].sha256),
        inputs=tuple(
            Input(path=work.source_path(f.path), bytes=f.bytes, rows=f.rows, fingerprint=f.fingerprint)
            for f in work.plan.files
            if not f.problem
        ),
        arrow_schema=schema,
        schema_fingerprint=fingerprint(schema),
        columns=_columns(work, written, applied, state),
        splits={
            name: SplitEntry(rule=pipeline.split.rules[name], rows=sum(file.rows for file in files), files=files)
            for name, files in written.files.items()
        },
        quality=Quality(
            rows_in=fitted.rows,
            rows_published=published,
            filtered=fitted.rows - fitted.bad - published,
            quarantined=fitted.bad,
            reasons=fitted.reasons,
            bad_files=tuple(
                BadFile(path=work.source_path(f.path), problem=f.problem) for f in work.plan.files if f.problem
            ),
        ),
        row_order=RowOrder(
            kind=pipeline.output.order, seed=pipeline.output.seed if pipeline.output.order == "shuffle" else None
        ),
        baselines=baselines,
    )


def label_over_time(work: Work) -> pl.DataFrame | None:
    """The label's rate by week and split, `(week, split, rows, rate)`; None where the split is not by time."""
    files = [file for p in work.plan.partitions for file in work.part("apply", p.number).glob(f"{LABELS}-*")]
    parts = [pl.read_parquet(file, glob=False) for file in files]
    if not parts:
        return None
    names = list(work.pipeline.split.names)
    return (
        pl.concat(parts)
        .group_by("week", SPLIT)
        .agg(pl.col("rows").sum(), pl.col("label").sum())
        .sort(SPLIT, "week")
        .select(
            "week",
            pl.col(SPLIT).replace_strict(list(range(len(names))), names, return_dtype=pl.String).alias("split"),
            "rows",
            (pl.col("label") / pl.col("rows")).alias("rate"),
        )
    )


def _columns(work: Work, written: Written, applied: ApplyRecord, state: Mapping[str, FileRef]) -> tuple[Column, ...]:
    ids = published_ids(work)
    masks = {c for s in work.resolved.steps for c in s.form.writes if c.endswith("_isnull")}
    roles = {work.pipeline.target: "label"} | dict.fromkeys(work.pipeline.output.keep, "key")
    made_by = {c: s.step.called for s in work.resolved.steps for c in s.form.writes}
    columns = []
    for name, dtype in work.resolved.output.items():
        known = ids.get(name)
        role = roles.get(name, "feature")
        if role == "key" and dtype.is_temporal():
            role = "time"
        columns.append(
            Column(
                name=name,
                role=role,
                kind=_kind(dtype, known, name in masks),
                dtype=str(dtype),
                nullable=name in applied.nulls,
                pad_id=known.pad_id if known else None,
                null_id=known.null_id if known else None,
                oov_ids=known.oov_ids if known else (),
                cardinality=known.cardinality if known else None,
                vocabulary=_vocabulary(work, known, state),
                source=made_by.get(name, "source"),
                statistics={split: found[name] for split, found in written.statistics.items()},
            )
        )
    return tuple(columns)


def _kind(dtype: pl.DataType, ids: Ids | None, mask: bool) -> str:
    if ids is not None:
        return "categorical"
    if mask:
        return "mask"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_numeric():
        return "numeric"
    if dtype.is_temporal():
        return "temporal"
    return "text" if dtype == pl.String else "list" if dtype.is_nested() else "other"


def _same_table(one: Table, other: Table) -> bool:
    return bool(one.sha256) and one.sha256 == other.sha256


def _vocabulary(work: Work, ids: Ids | None, state: Mapping[str, FileRef]) -> Vocabulary | None:
    if ids is None or ids.vocabulary is None:
        return None
    forms = [(placed.index, work.form(placed.index)) for placed in reversed(work.resolved.steps)]
    # By identity first: two columns may have equal vocabularies, of which one continues an older one.
    for same in (operator.is_, _same_table):
        for index, form in forms:
            tables = [known.vocabulary for known in form.ids.values() if known.vocabulary is not None]
            if any(same(table, ids.vocabulary) for table in tables):
                # The first table that a step with a vocabulary saves is the vocabulary.
                path = f"{STATE}/{index:02d}-{type(form).__name__.lower()}/table-0.parquet"
                extends = work.vocabularies.extends.get(form.writes[0])
                return Vocabulary(path=path, sha256=state[path].sha256, extends=extends) if path in state else None
    return None


def _write_quarantine(work: Work, folder: Path) -> list[Path]:
    """The bad rows, one file for each source file that has any, in the order of its rows."""
    found: dict[str, list[Path]] = {}
    for partition in work.plan.partitions:
        for stage in ("pass-0", "apply"):
            path = work.part(stage, partition.number) / QUARANTINE
            if path.exists():
                found.setdefault(partition.file, []).append(path)
    written = []
    for number, parts in enumerate(found.values()):
        folder.mkdir(exist_ok=True)
        target = folder / f"part-{number:05d}.parquet"
        pl.concat([pl.read_parquet(part, glob=False) for part in parts]).sort(FILE_ROW).drop(ROW).write_parquet(target)
        written.append(target)
    return written


def _write_source_statistics(work: Work, folder: Path) -> tuple[Path, ...]:
    total: Sketches | None = None
    for part in source_folders(work):  # one by one: of all partitions together they could be large
        found = load_sketches(part, SOURCE)
        total = found if total is None else merge_sketches([total, found])
    return () if total is None else save_sketches(folder, {SOURCE: total})


def _producer(more: Mapping[str, str], fallbacks: tuple[str, ...]) -> Producer:
    return Producer(
        headrace=metadata.version("headrace"),
        python=platform.python_version(),
        polars=metadata.version("polars"),
        pyarrow=metadata.version("pyarrow"),
        fallbacks=tuple(dict.fromkeys(fallbacks)),
        **more,
    )
