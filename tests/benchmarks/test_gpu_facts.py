"""What a measured process says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.gpu import facts


def test_a_stage_entered_again_goes_on_and_ends_when_the_device_has_finished() -> None:
    finished: list[str] = []
    stages = facts.Stages(lambda: finished.append("x"))
    for name in ("fit", "apply", "fit"):
        with stages.stage(name):
            pass
    assert list(stages.seconds) == ["fit", "apply"]
    assert finished == ["x"] * 3


def test_facts_are_written_where_the_environment_says_and_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(facts.VARIABLE, str(tmp_path / "facts.json"))
    with facts.told() as stages:
        stages.seconds = {"fit": 1.23456, "apply": 2.0}
        stages.rmm_peak_bytes = 7
    assert facts.read(tmp_path / "facts.json") == facts.Facts(stages={"fit": 1.2346, "apply": 2.0}, rmm_peak_bytes=7)


def test_a_process_that_fails_or_is_not_measured_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(facts.VARIABLE, str(tmp_path / "facts.json"))
    with pytest.raises(ValueError, match="broken"), facts.told():
        raise ValueError("broken")
    monkeypatch.delenv(facts.VARIABLE)
    with facts.told():
        pass
    assert list(tmp_path.iterdir()) == []
    assert facts.read(tmp_path / "facts.json") == facts.Facts()
