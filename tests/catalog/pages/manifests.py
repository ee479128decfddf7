"""Manifests of datasets that were never written: pages read nothing else."""

from __future__ import annotations

import math
from typing import Any

from headrace.catalog.arrow_schema import ArrowField, fingerprint
from headrace.catalog.manifest import (
    BadFile,
    BaselineResult,
    Column,
    Extends,
    Histogram,
    Input,
    Manifest,
    PipelineRef,
    Producer,
    Quality,
    RowOrder,
    Split,
    Statistics,
    TopValue,
    Vocabulary,
)
from headrace.catalog.records import File, FileRef

HASH = "0123456789abcdef" * 4
BUILD = "01a206e8-0606-7cf3-bf10-49acfb641427"
SCRIPT = "<script>alert('x')</script>"
UGLY = (
    SCRIPT,
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "&amp;",
    "ü" * 100,
    "n" * 100,
    "a\nb",
    "مرحبا",
    "日本語",
)


def numeric(split: int, rows: int) -> Statistics:
    counts = tuple(int(rows * math.exp(-(((bin - 20 - 3 * split) / 8) ** 2))) for bin in range(48))
    quantiles = {"0.05": -1.5, "0.25": -0.5, "0.5": 0.25, "0.75": 0.75, "0.95": 1.75}
    edges = tuple(bin / 8 - 3 for bin in range(49))
    return Statistics(
        count=rows,
        nulls=rows // 10,
        min=-3.0,
        max=3.0,
        mean=0.125,
        std=1.0,
        distinct=rows,
        quantiles=quantiles,
        histogram=Histogram(edges=edges, counts=counts),
    )


def categorical(rows: int, values: tuple[str | int, ...] = (3, 4, 5)) -> Statistics:
    top = tuple(TopValue(value=value, count=rows // (place + 2)) for place, value in enumerate(values))
    return Statistics(count=rows, min=3, max=2858, mean=7.5, distinct=2856, distinct_error=0.01, top=top)


def shard(split: str, number: int, rows: int) -> File:
    path = f"{split}/part-{number:05d}.parquet"
    return File(path=path, bytes=rows * 10, sha256=HASH, rows=rows, row_groups=(rows,))


def manifest(names: tuple[str, ...] = ("delay", "carrier"), *, shards: int = 1, **changes: Any) -> Manifest:
    """A version with a numeric and a categorical column in turn, a label, and three splits, the last one empty."""
    rows = {"train": 1000, "test": 500, "later": 0}
    columns = []
    for place, name in enumerate((*names, "late")):
        common: dict[str, Any] = {
            "name": name,
            "role": "label" if name == "late" else "feature",
            "nullable": place == 0,
        }
        found = {s: numeric(n, r) for n, (s, r) in enumerate(rows.items()) if r}
        if place % 2 and name != "late":
            found = {split: categorical(count) for split, count in rows.items() if count}
            common |= {
                "cardinality": 2859,
                "pad_id": 0,
                "null_id": 1,
                "oov_ids": (2,),
                "vocabulary": Vocabulary(
                    path="state/01-categorified/table-0.parquet",
                    sha256=HASH,
                    extends=Extends(dataset="flights", version=6, sha256=HASH),
                ),
            }
        kind = "categorical" if "cardinality" in common else "numeric"
        dtype = "Int32" if kind == "categorical" else "Float32"
        columns.append(Column(**common, kind=kind, dtype=dtype, source="Standardize", statistics=found))
    fields = tuple(
        ArrowField(name=c.name, type="int32" if c.dtype == "Int32" else "float", nullable=c.nullable) for c in columns
    )
    metrics = {"train": {"auc": 0.75, "log_loss": 0.5}, "test": {"auc": 0.625, "log_loss": None}}
    parts: dict[str, Any] = {
        "dataset": "flights",
        "build": BUILD,
        "created_at": "2026-03-01T09:30:00+00:00",
        "producer": Producer(headrace="0.5.0", python="3.11.9", polars="1.44.2", git_sha="deadbeef", run="run-1"),
        "pipeline": PipelineRef(name="flights", sha256=HASH),
        "inputs": (Input(path="flights-2013-01.parquet", bytes=372_818, rows=1600, fingerprint=HASH),),
        "arrow_schema": fields,
        "schema_fingerprint": fingerprint(fields),
        "columns": tuple(columns),
        "splits": {
            name: Split(
                rule=f"rule of {name}",
                rows=count * shards,
                files=tuple(shard(name, n, count) for n in range(shards)) if count else (),
            )
            for name, count in rows.items()
        },
        "quality": Quality(
            rows_in=1600,
            rows_published=1500,
            filtered=60,
            quarantined=40,
            reasons={"air_time:range": 10, "carrier:pattern": 30},
            bad_files=(BadFile(path="broken.parquet", problem="truncated"),),
        ),
        "row_order": RowOrder(kind="shuffle", seed=7),
        "baselines": (
            BaselineResult(
                name="logistic regression",
                estimator="logistic_regression",
                task="classification",
                target="late",
                metrics=metrics,
                rows_trained=1000,
            ),
        ),
        "files": (FileRef(path="state/pipeline.json", bytes=123, sha256=HASH),),
    }
    return Manifest(**(parts | changes))
