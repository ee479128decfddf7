"""The benchmark of very large vocabularies at a small size."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest
from benchmarks import vocabulary
from benchmarks.fit_alone import keep


@pytest.mark.parametrize("kind", ["integer", "string"])
def test_every_value_is_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: vocabulary.Kind) -> None:
    monkeypatch.setattr(vocabulary, "ROW_GROUP", 1000)
    monkeypatch.setattr(vocabulary, "FILE_ROWS", 4000)
    size = vocabulary.write_source(tmp_path / "source", 10_500, kind)
    files = sorted((tmp_path / "source").iterdir())
    assert (len(files), sum(file.stat().st_size for file in files)) == (3, size)
    rows = pl.read_parquet(files)
    assert rows["value"].n_unique() == rows.height == 10_500
    if kind == "string":
        lengths = rows["value"].str.len_bytes()
        assert (lengths.min(), lengths.max()) == (8, 16)


@pytest.mark.slow
def test_a_fit_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["vocabulary", "--values", "5000", "--kind", "string", "--folder", str(tmp_path), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    vocabulary.main()
    (result,) = json.loads((tmp_path / "vocabulary.json").read_text())
    assert (result["values"], result["kind"], result["partitions"]) == (5000, "string", 1)
    assert result["peak_mb"] > 50
    assert [path.name for path in tmp_path.iterdir()] == ["vocabulary.json"]


def test_a_result_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    for rows, seconds in ((1, 9), (2, 5), (1, 3)):
        keep(path, {"rows": rows, "seconds": seconds}, ["rows"])
    assert json.loads(path.read_text()) == [{"rows": 2, "seconds": 5}, {"rows": 1, "seconds": 3}]
