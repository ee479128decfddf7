"""The comparison of cuML's baselines with scikit-learn's, as far as it goes without a GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from benchmarks import cuml_baselines

pytest.importorskip("sklearn")


@pytest.mark.slow
def test_without_a_gpu_scikit_learn_is_measured_alone(tmp_path: Path) -> None:
    arguments = ["--rows", "3000", "--features", "20", "--rounds", "1", "--estimators", "logistic_regression"]
    places = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    assert cuml_baselines.main([*arguments, *places, "--cpu-only"]) == 0
    document = json.loads((tmp_path / "out" / "cuml_baselines.json").read_text())
    assert (document["rows"], document["features"], document["machine"]["cores"] >= 1) == (3000, 20, True)
    (case,) = document["cases"]
    assert (case["ratios"], case["left_out"]) == ({}, {"cuML": "--cpu-only"})
    (run,) = case["sides"]["scikit-learn"]["runs"]
    assert run["wall_s"] > run["fit_s"] > 0
    assert run["rows_trained"] == 3000
    assert run["metrics"]["auc"] > 0.6


def test_without_a_gpu_and_without_a_word_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cuml_baselines, "gpus", lambda: ())
    assert cuml_baselines.main(["--out", str(tmp_path), "--work", str(tmp_path)]) == 2
    assert "--cpu-only" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_shards_are_made_once_and_mean_the_same_in_both_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuml_baselines, "_SHARD_ROWS", 1500)
    source = cuml_baselines.prepare(4000, 3, tmp_path)
    assert [pq.read_metadata(path).num_rows for path in sorted((source / "train").iterdir())] == [1500, 1500, 1000]
    assert [pq.read_metadata(path).num_rows for path in (source / "test").iterdir()] == [1000]
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*.parquet")}
    assert cuml_baselines.prepare(4000, 3, tmp_path) == source
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*.parquet")} == before
    schema = pq.read_schema(source / "test" / "part-00000.parquet")
    assert schema.names == ["f000", "f001", "f002", "label"]
    assert not schema.field("f000").nullable


def test_ratios_say_how_many_times_as_long_scikit_learn_takes() -> None:
    def side(seconds: float) -> dict[str, Any]:
        return {"wall_s": seconds, "fit_s": 2 * seconds, "predict_s": 0.0 if seconds == 1 else seconds}

    assert cuml_baselines._ratios({"scikit-learn": side(20.5), "cuML": side(1)}) == {"wall_s": 20.5, "fit_s": 20.5}
    assert cuml_baselines._ratios({"scikit-learn": side(20.5)}) == {}
