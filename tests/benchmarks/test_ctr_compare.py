"""The comparison from end to end, at a size that takes seconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import ctr_compare, results
from benchmarks.measure import Measurement
from benchmarks.results import Case

from headrace.pipelines.gallery.ctr import generator as ctr

_RUN = Measurement(2.0, 3.0, 0.5, 100.0, 120.0, 7.0, 0.1)


@pytest.mark.slow
def test_sides_are_measured_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("pandas")
    monkeypatch.setattr(ctr, "ROW_GROUP", 2000)
    monkeypatch.setattr(ctr, "FILE_ROWS", 4000)
    arguments = ["--rows", "5000", "--rounds", "1", "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    status = ctr_compare.main([*arguments, "--sides", "polars script", "pandas/scikit-learn script"])
    assert status == 0
    document = json.loads((tmp_path / "out" / "ctr.json").read_text())
    assert document["schema_version"] == 1
    assert document["machine"]["cores"] >= 1
    (case,) = document["cases"]
    assert case["rows"] == 5000
    assert case["checks"] == {"polars script": "reference", "pandas/scikit-learn script": "equal"}
    assert [run["wall_s"] > 0 for run in case["runs"]["polars script"]] == [True]
    assert (tmp_path / "out" / "ctr.md").read_text().strip() == capsys.readouterr().out.strip()
    assert (tmp_path / "out" / "ctr.svg").read_text().startswith("<?xml")
    assert [path.name for path in (tmp_path / "work").iterdir() if path.is_dir()] == ["ctr-5000"]


def test_an_unknown_side_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ctr_compare.main(["--sides", "duckdb"])
    assert "there are: polars script, headrace fit+apply+write, headrace run" in capsys.readouterr().err


def test_the_table_has_medians_ratios_and_what_was_left_out() -> None:
    slow = Measurement(5.0, 4.0, 1.0, 200.0, 220.0, 7.0, 0.1)
    faster = Measurement(3.0, 4.0, 1.0, 200.0, 220.0, 7.0, 0.1)
    machine = {"processor": "P", "cores": 2, "memory_gb": 8.0, "system": "Linux"}
    case = Case(1000, 10.0, {"a": [_RUN, _RUN], "b": [slow, faster]}, {"a": "reference", "b": "equal"}, {"c": "no c"})
    lines = results.table(machine, [case], "a").splitlines()
    assert "| a | 2.0 (2.0-2.0) | 1.00 | 3.5 | 100 | 120 | 7 | 0.1 | reference |" in lines
    assert "| b | 4.0 (3.0-5.0) | 2.00 | 5.0 | 200 | 220 | 7 | 0.1 | equal |" in lines
    assert "Not measured: c: no c." in lines
