from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headrace.pipelines.runs import RunRecord, list_runs, read_run, save_run, sweep
from headrace.schemas.errors import UsageError


def record(run_id: str, **changes: Any) -> RunRecord:
    started = datetime(2024, 1, 1, 12, tzinfo=UTC)
    return RunRecord(**({"run_id": run_id, "pipeline": "demo", "status": "done", "started_at": started} | changes))


def test_runs_are_listed_latest_first_and_other_files_passed_over(tmp_path: Path) -> None:
    assert list_runs(tmp_path) == []
    old = record("b", started_at=datetime(2023, 1, 1, tzinfo=UTC))
    new = record("a", seconds={"fit": 1.5}, splits={"train": 3})
    save_run(tmp_path, old)
    save_run(tmp_path, new)
    (tmp_path / ".headrace" / "runs" / "x.json").write_text("{")
    assert list_runs(tmp_path) == [new, old]


def test_a_later_headrace_may_say_more_about_a_run(tmp_path: Path) -> None:
    save_run(tmp_path, record("a"))
    path = tmp_path / ".headrace" / "runs" / "a.json"
    path.write_text(path.read_text().replace("{", '{"weather": "fine",', 1))
    assert list_runs(tmp_path) == [record("a")]


def test_a_run_is_found_by_a_beginning_of_its_id(tmp_path: Path) -> None:
    for run_id in ("abc", "abd", "ab"):
        save_run(tmp_path, record(run_id))
    assert read_run(tmp_path, "abd").run_id == "abd"
    assert read_run(tmp_path, "ab").run_id == "ab"
    assert read_run(tmp_path, "latest") == list_runs(tmp_path)[0]
    with pytest.raises(UsageError, match="3 runs begin with 'a'"):
        read_run(tmp_path, "a")
    with pytest.raises(UsageError, match="no run begins with 'z'"):
        read_run(tmp_path, "z")


def test_a_run_takes_from_its_start_to_its_end_and_one_without_an_end_what_its_stages_took() -> None:
    begun = record("a", seconds={"prepare": 0.5, "fit": 1.5})
    assert begun.elapsed == 2.0
    assert begun.model_copy(update={"finished_at": datetime(2024, 1, 1, 12, 1, tzinfo=UTC)}).elapsed == 60.0


def test_runs_that_were_killed_are_closed_and_their_builds_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    half = tmp_path / "demo" / "builds" / "01a20500-79cd-7d4b-9691-acae0b441a6e"
    half.mkdir(parents=True)
    (half / "half.parquet").write_text("")
    here = socket.gethostname()
    save_run(tmp_path, record("killed", status="running", host=here, pid=dead.pid, build=str(half)))
    save_run(tmp_path, record("alive", status="running", host=here, pid=os.getpid()))
    save_run(tmp_path, record("elsewhere", status="running", host="another", pid=dead.pid))
    save_run(tmp_path, record("other", status="running", host=here, pid=dead.pid, pipeline="other"))
    sweep(tmp_path, "demo")
    assert {r.run_id: r.status for r in list_runs(tmp_path)} == {
        "killed": "failed",
        "alive": "running",
        "elsewhere": "running",
        "other": "running",
    }
    killed = read_run(tmp_path, "killed").error
    assert killed is not None
    assert killed.code == "killed"
    assert not half.exists()
