"""What a report says, before it is a page: one frozen value, which is also `report.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from headrace.catalog.drift import CATEGORIES, Drift, compare, identifying
from headrace.catalog.manifest import BaselineResult, Column, Input, Manifest, Producer, Quality, RowOrder
from headrace.catalog.sketch_files import FOLDER, load_sketches
from headrace.pipelines.metrics import Calibration, Curve
from headrace.pipelines.runs import RunRecord
from headrace.schemas.errors import DataError


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitFact(_Fact):
    name: str
    rule: str
    rows: int
    files: int
    bytes: int


class LabelFact(_Fact):
    """Mean label of the rows of a split in a period that begins at `period` (ISO 8601)."""

    period: str
    split: str
    rows: int
    rate: FiniteFloat | None


class Curves(_Fact):
    """The curves of a baseline on one split; a regression has only the last."""

    roc: Curve | None = None
    precision_recall: Curve | None = None
    calibration: Calibration | None = None


class BaselineFact(_Fact):
    result: BaselineResult
    curves: dict[str, Curves] = Field(description="by split")


class Facts(_Fact):
    """Everything the page shows."""

    schema_version: Literal[1] = 1
    dataset: str
    build: str
    created_at: str
    pipeline: str
    run_id: str
    engine: str
    engine_reason: str
    cluster: str
    producer: Producer
    inputs: tuple[Input, ...]
    quality: Quality | None
    splits: tuple[SplitFact, ...]
    row_order: RowOrder
    columns: tuple[Column, ...]
    label_over_time: tuple[LabelFact, ...]
    baselines: tuple[BaselineFact, ...]
    drift: tuple[Drift, ...] = Field(default=(), description="of each other split against the first")
    seconds: dict[str, float] = Field(description="by stage, of those that were over when the report was written")


class _CurvesFile(_Fact):
    format: Literal[1]
    splits: dict[str, Curves]


def gather(manifest: Manifest, run: RunRecord, folder: Path, label_over_time: pl.DataFrame | None = None) -> Facts:
    """The facts of a build in `folder`. Raises DataError if a baseline's curves are missing or damaged."""
    return Facts(
        dataset=manifest.dataset,
        build=manifest.build,
        created_at=manifest.created_at,
        pipeline=run.pipeline,
        run_id=run.run_id,
        engine=manifest.producer.engine or run.engine,
        engine_reason=run.engine_reason,
        cluster=manifest.producer.cluster or run.cluster,
        producer=manifest.producer,
        inputs=manifest.inputs,
        quality=manifest.quality,
        splits=tuple(
            SplitFact(
                name=name,
                rule=split.rule,
                rows=split.rows,
                files=len(split.files),
                bytes=sum(file.bytes for file in split.files),
            )
            for name, split in manifest.splits.items()
        ),
        row_order=manifest.row_order,
        columns=manifest.columns,
        label_over_time=_label_facts(label_over_time),
        baselines=tuple(
            BaselineFact(result=result, curves=_read_curves(folder, result)) for result in manifest.baselines
        ),
        drift=_drift(manifest, folder),
        seconds=dict(run.seconds),
    )


def _drift(manifest: Manifest, folder: Path) -> tuple[Drift, ...]:
    kept, names = folder / FOLDER, list(manifest.splits)
    if len(names) < 2 or not kept.is_dir():
        return ()
    ids, rows = {c.name for c in manifest.columns if c.kind in CATEGORIES}, identifying(manifest)
    found = [{c: s for c, s in load_sketches(kept, name).items() if c not in rows} for name in names]
    return tuple(
        compare(found[0], other, ids, (names[0], name)) for name, other in zip(names[1:], found[1:], strict=True)
    )


def _label_facts(frame: pl.DataFrame | None) -> tuple[LabelFact, ...]:
    if frame is None:
        return ()
    period, split, rows, rate = frame.columns
    dtype = frame.schema[period]
    iso = pl.col(period).dt.to_string("iso:strict") if dtype.is_temporal() else pl.col(period).cast(pl.String)
    plain = frame.filter(pl.col(period).is_not_null()).select(
        iso.alias("period"),
        pl.col(split).alias("split"),
        pl.col(rows).alias("rows"),
        pl.when(pl.col(rate).is_finite()).then(pl.col(rate)).alias("rate"),
    )
    return tuple(LabelFact(**row) for row in plain.iter_rows(named=True))


def _read_curves(folder: Path, result: BaselineResult) -> dict[str, Curves]:
    if result.curves is None:
        return {}
    path = folder / result.curves
    try:
        return _CurvesFile.model_validate_json(path.read_bytes()).splits
    except (OSError, ValidationError) as error:
        raise DataError(f"holds no curves of a baseline: {str(error).splitlines()[0]}", where=str(path)) from error
