"""A process of ours: what it says, how it ended, and that its end takes along what it has started."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.engines.clusters import until

from headrace.engines.spawned import Spawned, end_all


def scripted(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: bool) -> Spawned:
    """A shell script in the place of Python."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    return Spawned("cuda", "cluster", folder, 3, "{}", **options)


def test_it_is_told_its_role_its_parent_and_its_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = scripted('echo "$@" $POLARS_MAX_THREADS', tmp_path, monkeypatch, asked=True)
    words = process.line(time.monotonic() + 180).split()
    process.end()
    assert words[:4] == ["-P", "-m", "headrace.engines.child", "cuda"]
    assert words[5:] == [str(tmp_path), "cluster", "{}", "3"]


def test_a_line_goes_in_and_a_line_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = scripted('read line; echo "got $line"', tmp_path, monkeypatch, asked=True, told=True)
    process.tell("tcp://127.0.0.1:1")
    assert process.line(time.monotonic() + 180) == "got tcp://127.0.0.1:1"
    assert process.status(seconds=10) == "exit status 0"
    process.end()


def test_its_end_is_told_with_what_it_printed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = scripted("seq 1 20 >&2; exit 7", tmp_path, monkeypatch, asked=True)
    assert process.line(time.monotonic() + 180) == ""
    assert process.status(seconds=10) == "exit status 7"
    assert process.tail().split() == [str(n) for n in range(9, 21)]
    process.end()
    assert process.status() == "exit status 7"


def test_one_that_runs_has_no_status_and_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = scripted("exec sleep 600", tmp_path, monkeypatch, asked=True)
    assert process.status() == ""
    assert process.line(time.monotonic()) == ""
    end_all([process])
    assert process.status() == "SIGKILL"


@pytest.mark.parametrize("leader", ["exec sleep 600", "exit 1"])
def test_what_it_has_started_ends_with_it(leader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"sleep 600 <&- >&- 2>&- & echo $! > {tmp_path}/pid; {leader}"
    process = scripted(script, tmp_path, monkeypatch)
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
    process.status(seconds=0.1 if "sleep" in leader else 10)
    started = psutil.Process(int((tmp_path / "pid").read_text()))
    assert started.is_running()
    process.end()
    until(lambda: not started.is_running() or started.status() == psutil.STATUS_ZOMBIE)
