from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from headrace.commands import gpu_findings, installation, machine
from headrace.commands.findings import Finding


def test_doctor_says_what_is_there(invoke: Callable[..., Result]) -> None:
    result = invoke("doctor")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    for name in ("Python", "polars", "CPU engine", "cores", "memory", "driver", "GPU engine", "catalog", "Prefect API"):
        assert any(name in line for line in lines)
    assert any("not there yet" in line for line in lines)


def test_doctor_leaves_nothing_behind(invoke: Callable[..., Result], tmp_path: Any) -> None:
    assert invoke("doctor", "--catalog", "a/b").exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_doctor_as_json(document: Callable[..., dict[str, Any]]) -> None:
    found = document("doctor")
    assert found["ok"] is True
    assert found["data"]["cpu_engine_works"] is True
    assert {"name", "state", "found", "advice", "needed"} == set(found["data"]["findings"][0])


def test_doctor_exits_3_where_the_cpu_engine_cannot_work(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Finding("polars", "broken", "not installed", "pip install 'polars>=1.35'", needed=True)
    monkeypatch.setattr(installation, "findings", lambda: iter([broken]))
    monkeypatch.setattr(machine, "findings", lambda *_, **__: iter([]))
    monkeypatch.setattr(gpu_findings, "findings", lambda _: iter([]))
    result = invoke("doctor")
    assert result.exit_code == 3
    assert "XX  polars  not installed" in result.stdout
    assert "pip install 'polars>=1.35'" in result.stdout
    assert result.stderr.startswith("error[environment]: the CPU engine cannot work here: polars\n")


def test_a_named_catalog_that_cannot_be_used_exits_3(
    invoke: Callable[..., Result], document: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = invoke("doctor", "--catalog", "/proc/published")
    assert result.exit_code == 3
    assert "XX  catalog" in result.stdout
    assert result.stderr.startswith("error[environment]: the catalog cannot be used: /proc/published: ")
    monkeypatch.setenv("HEADRACE_CATALOG", "/proc/published")
    found = document("doctor")
    assert (found["ok"], found["error"]["code"]) == (False, "environment")
    assert (found["data"]["cpu_engine_works"], found["data"]["catalog_works"]) == (True, False)


def test_a_folder_that_cannot_be_written_is_a_warning_where_no_catalog_is_named(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/proc")
    result = invoke("doctor")
    assert result.exit_code == 0
    assert "!!  catalog" in result.stdout


def test_a_file_is_no_catalog(invoke: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "orders.parquet").write_bytes(b"PAR1")
    result = invoke("doctor", "--catalog", "orders.parquet")
    assert result.exit_code == 3
    assert "orders.parquet: is a file, a catalog is a folder" in result.stderr


def test_a_container_limits_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "/proc/meminfo": "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n",
        "/sys/fs/cgroup/memory.max": "1000000000\n",
        "/sys/fs/cgroup/memory.current": "400000000\n",
        "/sys/fs/cgroup/cpu.max": "100000 100000\n",
    }
    monkeypatch.setattr(machine, "_text", lambda path: texts[path])
    assert machine.memory() == (600_000_000, 1_000_000_000)
    assert machine.usable_cores() == 1


def test_the_gpu_settings_are_those_of_a_run(invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    pools: list[float] = []
    monkeypatch.setattr(gpu_findings, "findings", lambda pool: iter(pools.append(pool) or ()))
    assert invoke("doctor", "--gpu", "pool=0.5").exit_code == 0
    assert invoke("doctor").exit_code == 0
    assert pools == [0.5, 0.8]
    assert invoke("doctor", "--gpu", "pool=2").exit_code == 2


def test_without_a_gpu_nothing_of_rapids_is_imported() -> None:
    code = (
        "import sys; sys.argv = ['headrace', 'doctor']; from headrace.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, sorted({'cudf', 'pylibcudf', 'rmm', 'dask'} & {*sys.modules}))"
    )
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert found.stdout.splitlines()[-1] == "0 []"
