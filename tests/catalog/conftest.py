"""A tiny dataset with everything a real one has: two splits, state, quarantine, a card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from headrace.catalog.arrow_schema import arrow_fields, fingerprint
from headrace.catalog.build import Build, new_build
from headrace.catalog.commit import Published, publish
from headrace.catalog.manifest import Column, Manifest, PipelineRef, Producer, Quality, RowOrder, Split
from headrace.catalog.shards import shard_path, write_table
from headrace.catalog.statistics import measure, summarize
from headrace.engines.cpu import CpuEngine, InMemory

FRAME = pl.DataFrame(
    {"delay": [0.5, -1.25, 3.0, 8.5], "carrier": [2, 3, 2, 4], "late": [0, 0, 0, 1]},
    schema={"delay": pl.Float32, "carrier": pl.Int32, "late": pl.UInt8},
)


def fill(build: Build, frame: pl.DataFrame = FRAME, **changes: Any) -> Manifest:
    """Write two shards and a few other files into a build and describe them."""
    nullable = [name for name in frame.columns if frame[name].null_count()]
    train = write_table(build.path, shard_path("train", 0), frame.to_arrow(), nullable=nullable)
    test = write_table(build.path, shard_path("test", 0), frame.head(2).to_arrow(), nullable=nullable)
    pipeline = build.write("state/pipeline.json", b'{"steps": []}')
    for name in ("state/carrier.parquet", "quarantine/part-00000.parquet"):
        (build.path / name).parent.mkdir(exist_ok=True)
        pl.DataFrame({"other": ["x", "y"]}).write_parquet(build.path / name)
    fields = arrow_fields(pq.read_schema(build.path / train.path))
    splits = {"train": frame, "test": frame.head(2)}
    statistics = {name: summarize(measure(InMemory(rows), CpuEngine())) for name, rows in splits.items()}
    columns = [
        Column(
            name=name,
            role="label" if name == "late" else "feature",
            kind="categorical" if name == "carrier" else "numeric",
            dtype=str(dtype),
            nullable=name in nullable,
            cardinality=5 if name == "carrier" else None,
            null_id=1 if name == "carrier" else None,
            statistics={split: values[name] for split, values in statistics.items()},
        )
        for name, dtype in frame.schema.items()
    ]
    parts: dict[str, Any] = {
        "dataset": build.dataset,
        "build": build.id,
        "created_at": "2026-03-01T09:30:00.000Z",
        "producer": Producer(headrace="0.1.0", python="3.11.9", polars="1.44.2"),
        "pipeline": PipelineRef(name="flights", sha256=pipeline.sha256),
        "arrow_schema": fields,
        "schema_fingerprint": fingerprint(fields),
        "columns": tuple(columns),
        "splits": {
            "train": Split(rule="before 2013-10-01", rows=frame.height, files=(train,)),
            "test": Split(rule="from 2013-10-01", rows=2, files=(test,)),
        },
        "quality": Quality(rows_in=7, rows_published=6, quarantined=1, reasons={"delay > 0": 1}),
        "row_order": RowOrder(kind="shuffle", seed=7),
        "files": build.add_rest((train, test, pipeline)),
    }
    return Manifest(**(parts | changes))


Make = Callable[..., Published]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "catalog"


@pytest.fixture
def make(catalog: Path) -> Make:
    """Publishes a version of the tiny dataset; keyword arguments change its manifest."""

    def one(dataset: str = "demo", *, key: str | None = None, frame: pl.DataFrame = FRAME, **changes: Any) -> Published:
        build = new_build(catalog, dataset)
        return publish(catalog, dataset, build, fill(build, frame, **changes), idempotency_key=key)

    return one


@pytest.fixture
def filled(catalog: Path) -> Callable[..., tuple[Build, Manifest]]:
    """A build that is written but not published."""

    def one(dataset: str = "demo", *, frame: pl.DataFrame = FRAME, **changes: Any) -> tuple[Build, Manifest]:
        build = new_build(catalog, dataset)
        return build, fill(build, frame, **changes)

    return one


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> int:
    """Row groups of 100 rows, so that a small table has several."""
    monkeypatch.setattr("headrace.catalog.shards.ROW_GROUP_ROWS", 100)
    return 100
