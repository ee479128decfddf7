"""The table and the plot, from a made-up result in a folder that goes away."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.gpu import report
from tests.benchmarks.gpu_result import made_up


def test_the_table_says_the_machine_the_rates_and_what_is_missing() -> None:
    lines = report.table(made_up()).splitlines()
    assert lines[0] == (
        "Nobody's GPU 1.5 GB, driver 1.2.3, CUDA 13.0; P, 16 cores, 128.0 GB; Linux; 2000-01-01T00:00:00+00:00."
    )
    assert "## 4,000,000 rows, 290 MB of snappy Parquet" in lines
    assert "| cuDF script | 11.0 | 2.0 | 2.00 | 0.14 | 38% (50%) | 5,000 | 90,000 | 1,000 | reference |" in lines
    assert "| floor: cuDF decodes and encodes | 9.0 | 0.8 | 5.33 | 0.39 |  | 3,000 | 90,000 | 1,000 |  |" in lines
    assert "| headrace run, GPU | 16.0 | 4.0 | 1.00 | 0.07 | 19% (25%) |  | 91,000 | 1,000 | equal |" in lines
    assert "Stages of headrace run, GPU: fit 2.00 s, apply 3.00 s." in lines
    assert "Failed: dask-cudf script: status 1 no luck" in lines
    assert "## 40,000,000 rows, 0 MB of zstd Parquet" in lines
    assert "Left out: cuDF script: no input: it would take too long." in lines


def test_all_four_files_are_written_and_the_json_reads_back(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    paths = report.write(tmp_path / "new", made_up())
    assert [path.name for path in paths] == ["gpu_ctr.json", "gpu_ctr.md", "gpu_ctr.svg", "gpu_ctr.png"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in paths)
    assert report.read(paths[0]) == made_up().complete()
    assert paths[2].read_text().startswith("<?xml")
    assert "4,000,000 rows" in paths[2].read_text()
    assert paths[3].read_bytes().startswith(b"\x89PNG")


def test_equal_results_give_equal_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    cases = list(made_up().cases[:1])
    for name in ("a.svg", "b.svg"):
        report.plot([tmp_path / name], cases)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_without_a_run_there_is_no_plot(tmp_path: Path) -> None:
    report.plot([tmp_path / "a.svg"], [])
    assert list(tmp_path.iterdir()) == []
