"""The command: what it takes and refuses, and from end to end on the CPU's sides."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from benchmarks import gpu_compare
from benchmarks.gpu import report
from benchmarks.gpu.model import FLOOR
from benchmarks.gpu.sides import PIPELINE, sides
from tests.benchmarks.gpu_result import made_up

from headrace.commands.run import run as headrace_run

_CPU = ["headrace operators, CPU", "headrace run, CPU"]


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_compare, "gpus", lambda: ())


def test_the_defaults_are_the_three_sizes_without_a_limit() -> None:
    options = gpu_compare.parser().parse_args([])
    assert options.rows == [4_000_000, 40_000_000, 400_000_000]
    assert options.budget_seconds == math.inf
    assert options.out.parts[-2:] == ("benchmarks", "results")
    assert (options.rounds, options.compression, options.keep, options.include) == (1, "snappy", False, [])


@pytest.mark.parametrize("words", [["--rows", "0"], ["--rows", "many"], ["--compression", "gzip"], ["--sides", "x"]])
def test_what_it_does_not_know_it_refuses(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu_compare.main(words)
    assert words[-1] in capsys.readouterr().err


def test_without_a_gpu_it_says_which_sides_need_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_compare.main(["--sides", "cuDF script", *_CPU, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == ("NVML finds no GPU; these sides need one: cuDF script. --sides takes others.\n")
    assert list(tmp_path.iterdir()) == []


def test_the_reference_comes_first_and_the_floor_right_after_it() -> None:
    names = [side.name for side in sides()]
    assert names[:2] == ["cuDF script", FLOOR]
    assert len(set(names)) == len(names)
    assert [side.name for side in sides() if side.engine == "cpu"] == _CPU
    assert [side.name for side in gpu_compare.chosen(gpu_compare.parser(), _CPU[::-1])] == _CPU[::-1]


def test_every_side_is_started_with_its_folders() -> None:
    for side in sides():
        command = side.command(Path("/in"), Path("/features"), Path("/out"))
        assert command[-1] == "/out" or command[command.index("--catalog") + 1] == "/out", side.name
        assert any("/in" in word for word in command), side.name
        assert ("/features" in command) is not side.computes, side.name
        if "run" in side.name:
            words = command[command.index(PIPELINE) :]
            with headrace_run.make_context("run", list(words)) as context:  # refuses what it does not know
                assert context.params["engine"] == side.engine
                assert context.params["strict_gpu"] is (side.engine == "gpu")


@pytest.mark.slow
def test_sides_on_the_cpu_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    common = ["--work", str(tmp_path / "work"), "--sides", *_CPU]
    assert gpu_compare.main(["--rows", "3000", "--out", str(tmp_path / "a"), *common]) == 0
    printed = capsys.readouterr().out
    assert "| headrace operators, CPU |" in printed
    result = report.read(tmp_path / "a" / "gpu_ctr.json")
    (case,) = result.cases
    assert case.checks == {_CPU[0]: "reference", _CPU[1]: "equal"}
    assert list(case.runs[_CPU[0]][0].stages) == ["fit", "apply and write"]
    assert {"fit", "apply", "write", "publish"} < set(case.runs[_CPU[1]][0].stages)
    assert (tmp_path / "a" / "gpu_ctr.md").read_text().strip() == printed.strip()
    # A second command carries the first one's sizes over.
    more = ["--rows", "2000", "--budget-seconds", "0", "--include", str(tmp_path / "a" / "gpu_ctr.json")]
    assert gpu_compare.main([*more, "--out", str(tmp_path / "b"), *common]) == 0
    both = json.loads((tmp_path / "b" / "gpu_ctr.json").read_text())
    assert [case["rows"] for case in both["cases"]] == [2000, 3000]
    assert both["cases"][0]["left_out"][_CPU[0]].startswith("no input: a guess says about 30 s, and 0 of 0 s are left")
    assert list(both["cases"][1]["runs"]) == _CPU
    assert both["settings"]["budget_seconds"] == 0


def test_results_of_another_machine_are_not_carried_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = report.save(tmp_path, made_up())
    with pytest.raises(SystemExit):
        gpu_compare.included(gpu_compare.parser(), [path], {**made_up().machine, "driver": "9", "filesystem": "tmpfs"})
    assert "was taken on another machine: driver differ" in capsys.readouterr().err
    here = {**made_up().machine, "filesystem": "tmpfs"}
    assert [case.rows for case in gpu_compare.included(gpu_compare.parser(), [path], here)] == [4_000_000, 40_000_000]
