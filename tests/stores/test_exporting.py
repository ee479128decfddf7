from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from tests.catalog.conftest import FRAME

from headrace import open_dataset
from headrace.catalog.diff import diff, version_before
from headrace.catalog.export.export import export


def test_a_version_in_a_store_is_exported(make: Any, catalog: str, tmp_path: Path) -> None:
    make()
    done = export(open_dataset(f"{catalog}/demo"), tmp_path / "out", "arrow")
    assert {name: split.rows for name, split in done.splits.items()} == {"train": 4, "test": 2}
    with pa.memory_map(str(tmp_path / "out/train/part-00000.arrow")) as source:
        assert pa.ipc.open_file(source).read_all()["delay"].to_pylist() == FRAME["delay"].to_list()
    assert json.loads((tmp_path / "out/export.json").read_text())["dataset"] == "demo"


def test_versions_in_a_store_are_compared(make: Any, catalog: str) -> None:
    make()
    make(frame=FRAME.with_columns(pl.col("delay") + 1).drop("late"))
    dataset = open_dataset(f"{catalog}/demo")
    found = diff(version_before(dataset), dataset)
    assert (found.first, found.second, found.level) == ("demo@1", "demo@2", "major")
    assert [(change.column, change.what) for change in found.schema_changes] == [("late", "removed")]
    assert found.statistics[0].second.min == -0.25
    assert found.drift["train"].columns[0].name == "delay"
