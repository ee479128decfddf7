"""`headrace run` in a process whose device memory is counted, with nothing to count here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import gpu_run
from benchmarks.gpu import facts


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(gpu_run, "on_device", facts.told)
    monkeypatch.setenv(facts.VARIABLE, str(tmp_path / "facts.json"))
    return tmp_path / "facts.json"


def test_a_run_that_ends_well_is_told(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpu_run.main(["--help"])
    assert "Run a pipeline and publish" in capsys.readouterr().out
    assert json.loads(written.read_text()) == {"stages": {}, "rmm_peak_bytes": None}


def test_a_run_that_fails_ends_the_process_as_it_would_end_its_own(written: Path) -> None:
    with pytest.raises(SystemExit) as end:
        gpu_run.main(["no-such-pipeline", "--engine", "cpu"])
    assert end.value.code not in (None, 0)
    assert not written.exists()
