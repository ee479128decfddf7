"""headrace's operators on an engine that holds rows, here the CPU's: the features are those of the script."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from benchmarks import gpu_core, gpu_ctr
from benchmarks.crosscheck import compare
from benchmarks.gpu import facts
from benchmarks.peers import polars_script
from tests.imitation.fixture import imitation

from headrace.engines.gpu.engine import GpuEngine


@pytest.mark.parametrize("files", [1, 4])
def test_features_are_those_of_the_script_with_ids_one_higher(
    files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gpu_core.FILES, "cpu", files)
    monkeypatch.setenv(facts.VARIABLE, str(tmp_path / "facts.json"))
    gpu_ctr.write_ctr(tmp_path / "in", 5000, seed=3, host=True, file_rows=1000)
    polars_script.main(str(tmp_path / "in"), str(tmp_path / "script"))
    gpu_core.main("cpu", str(tmp_path / "in"), str(tmp_path / "headrace"))
    outputs = sorted((tmp_path / "headrace").glob("*.parquet"))
    assert len(outputs) == {1: 5, 4: 2}[files]
    agreement = compare(sorted((tmp_path / "script").glob("*.parquet")), outputs, offset=1)
    assert agreement.rows == (5000, 5000)
    assert agreement.ok
    assert pl.read_parquet_schema(outputs[0])["C1"] == pl.Int32
    told = facts.read(tmp_path / "facts.json")
    assert list(told.stages) == ["fit", "apply and write"]
    assert told.rmm_peak_bytes is None


def test_the_gpu_engine_over_the_imitation_computes_the_same_without_the_cpu(tmp_path: Path) -> None:
    gpu_ctr.write_ctr(tmp_path / "in", 3000, seed=3, host=True, file_rows=500)  # six files: two partitions
    polars_script.main(str(tmp_path / "in"), str(tmp_path / "script"))
    engine = GpuEngine(strict=True)
    with imitation():
        gpu_core.fit_apply_write(tmp_path / "in", tmp_path / "headrace", engine, facts.Stages())
    outputs = sorted((tmp_path / "headrace").glob("*.parquet"))
    assert len(outputs) == 2
    assert compare(sorted((tmp_path / "script").glob("*.parquet")), outputs, offset=1).ok
    assert engine.fallbacks == ()


@pytest.mark.parametrize("words", [[], ["gpu", "in"], ["tpu", "in", "out"]])
def test_other_words_are_refused_with_the_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit, match=re.escape("gpu_core cpu|gpu IN OUT")):
        gpu_core.arguments(words)
    assert gpu_core.arguments(["gpu", "a", "b"]) == ("gpu", "a", "b")
