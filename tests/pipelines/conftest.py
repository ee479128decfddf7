"""Small sources, and the pipelines over them that most tests of pipelines need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.catalog.manifest import Manifest
from headrace.catalog.reader import open_dataset
from headrace.pipelines.build import build
from headrace.pipelines.model import Pipeline, Source
from headrace.pipelines.options import RunOptions
from headrace.schemas.contract import Column, Contract

SPLIT = {"by": "hash", "columns": ["id"], "fractions": {"train": 0.6, "test": 0.4}}

Make = Callable[..., Pipeline]


def contract_of(frame: pl.DataFrame, key: str = "id", **columns: Mapping[str, Any]) -> Contract:
    """A contract with a frame's columns; keyword arguments say more about one."""
    listed = [Column(name=n, dtype=d, **columns.get(n, {})) for n, d in frame.schema.items()]
    return Contract(name="small", columns=tuple(listed), primary_key=(key,) if key else ())


def small(rows: int = 40) -> pl.DataFrame:
    """An id, a number with nulls, a category with nulls, a time and a label."""
    number = pl.int_range(rows, eager=True)
    return pl.DataFrame(
        {
            "id": number,
            "x": [None if i % 7 == 3 else i * 0.5 for i in number],
            "c": [None if i % 11 == 5 else "abcd"[i * i % 4] for i in number],
            "at": pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2030, 1, 1), "1h", eager=True)[:rows],
            "y": [int(i % 3 == 0) for i in number],
        }
    )


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a pipeline over a frame, written as `files` files of row groups of `group` rows."""

    def one(
        steps: Any = (), frame: pl.DataFrame | None = None, *, files: int = 2, group: int = 8, **fields: Any
    ) -> Pipeline:
        frame = small() if frame is None else frame
        source = tmp_path / f"source-{len(list(tmp_path.glob('source-*')))}"
        source.mkdir()
        size = -(-frame.height // files)
        for i in range(files):
            frame[i * size : (i + 1) * size].write_parquet(source / f"part-{i}.parquet", row_group_size=group)
        checks = {"contract": fields.get("contract") or contract_of(frame), "split": SPLIT, "target": "y", **fields}
        return Pipeline(name="small", source=Source(path="*.parquet", root=str(source)), steps=tuple(steps), **checks)

    return one


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units of 16 rows, so that a small source has several."""
    monkeypatch.setattr("headrace.pipelines.plan.UNIT_ROWS", 16)


def published(pipeline: Pipeline, catalog: Path, **options: Any) -> tuple[Manifest, Path]:
    """Run a pipeline. Returns the manifest of the version and the folder of its build."""
    record = build(pipeline, RunOptions(catalog=str(catalog), **{"engine": "cpu", **options}))
    return open_dataset(catalog / pipeline.name, version=record.version).manifest, Path(record.path)


def sums(manifest: Manifest) -> dict[str, str]:
    """The checksum of every shard by its path."""
    return {file.path: file.sha256 for split in manifest.splits.values() for file in split.files}


def rows_of(manifest: Manifest, folder: Path, split: str | None = None) -> pl.DataFrame:
    """The published rows of one split or of all, as a frame."""
    names = [split] if split else list(manifest.splits)
    return pl.concat([pl.read_parquet(folder / f.path) for name in names for f in manifest.splits[name].files])


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty report: the real one has tests of its own and takes a second."""
    monkeypatch.setattr("headrace.pipelines.report.write_report", lambda path, *_: path.write_text(""))
