"""headrace's operators compute what the hand-written script computes."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import ctr_core
from benchmarks.crosscheck import compare
from benchmarks.peers import polars_script

from headrace.pipelines.gallery.ctr import generator as ctr


def test_features_are_those_of_the_script_with_ids_one_higher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctr, "ROW_GROUP", 1000)
    monkeypatch.setattr(ctr, "FILE_ROWS", 2000)
    ctr.write_ctr(tmp_path / "in", 5000, seed=3)
    polars_script.main(str(tmp_path / "in"), str(tmp_path / "script"))
    ctr_core.fit_apply_write(tmp_path / "in", tmp_path / "headrace")
    outputs = sorted((tmp_path / "headrace").glob("*.parquet"))
    assert [path.name for path in outputs] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    agreement = compare(sorted((tmp_path / "script").glob("*.parquet")), outputs, offset=1)
    assert agreement.rows == (5000, 5000)
    assert agreement.ok
