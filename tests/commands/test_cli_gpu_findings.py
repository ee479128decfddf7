from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest
from tests.engines.fake_nvml import GIB, Device, FakeNvml, NVMLError_LibraryNotFound, put

from headrace.commands import gpu_findings
from headrace.commands.findings import Finding
from headrace.commands.gpu_findings import findings, self_test
from headrace.engines.distributions import Requirement
from headrace.engines.gpu import requirements

VERSIONS = {
    "cudf-cu13": "26.10.2",
    "rmm-cu13": "26.10.0",
    "ucxx-cu13": "0.52.0",
    "distributed-ucxx-cu13": "0.52.0",
}


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The packages that are installed, to be changed by a test; three of them are pinned, and the trial does well."""
    versions = dict(VERSIONS)
    pinned = (
        Requirement("cudf-cu13", "==26.10.*"),
        Requirement("rmm-cu13", "==26.10.*"),
        Requirement("ucxx-cu13", "==0.52.*"),
    )
    monkeypatch.setattr(requirements, "pins", lambda _: pinned)
    monkeypatch.setattr(gpu_findings, "installed", versions.get)
    monkeypatch.setattr(gpu_findings, "self_test", lambda: Finding("GPU self-test", "ok", "equal"))
    return versions


def found(pool: float = 0.8) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings(pool)}


@pytest.mark.usefixtures("there")
def test_a_machine_with_all_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device(), Device("GPU-bbbb-2", "NVIDIA L4", 22 * GIB, 20 * GIB, (8, 9))), setting="0")
    lines = found()
    assert list(lines) == [
        "driver", "GPU 0", "GPU 1", "cudf-cu13", "rmm-cu13", "ucxx-cu13", "RMM", "UCXX", "GDS", "shared memory",
        "GPU engine", "GPU self-test",
    ]  # fmt: skip
    assert lines["driver"] == Finding("driver", "ok", "580.65.06, for CUDA up to 13.0")
    assert lines["GPU 0"].found == "NVIDIA H200, compute capability 9.0, 139.0 GiB free of 140.0 GiB"
    assert lines["GPU 1"].state == "absent"
    assert lines["GPU 1"].found.endswith("20.0 GiB free of 22.0 GiB; not in CUDA_VISIBLE_DEVICES")
    assert lines["cudf-cu13"] == Finding("cudf-cu13", "ok", "26.10.2, as expected (26.10.*)")
    assert lines["RMM"].found == "26.10.0; a pool of 0.8 of the memory is 112.0 GiB on GPU 0, which fits"
    assert lines["UCXX"].found == "distributed-ucxx-cu13 0.52.0, ucxx-cu13 0.52.0"
    assert lines["GPU engine"] == Finding("GPU engine", "ok", "can run on 1 GPU(s)")
    assert lines["GPU self-test"].state == "ok"


def test_packages_that_are_missing_or_of_other_versions(monkeypatch: pytest.MonkeyPatch, there: dict[str, str]) -> None:
    put(monkeypatch, FakeNvml(Device()))
    monkeypatch.setattr(requirements, "problems", lambda _: (requirements.Problem("cudf-cu13", "26.8.1", "==26.10.*"),))
    there["cudf-cu13"] = "26.8.1"
    del there["ucxx-cu13"]
    lines = found()
    upgrade = "pip install --upgrade 'headrace[cuda13]'"
    assert lines["cudf-cu13"] == Finding("cudf-cu13", "warning", "26.8.1, expected 26.10.*", upgrade)
    assert lines["ucxx-cu13"] == Finding("ucxx-cu13", "absent", "not installed, expected 0.52.*", upgrade)
    assert lines["UCXX"].advice == "for --gpu protocol=ucxx: pip install distributed-ucxx-cu13"
    assert lines["GPU engine"].found.endswith("cudf-cu13: got 26.8.1, expected 26.10.*")
    assert lines["GPU engine"].advice.startswith(upgrade)
    assert "GPU self-test" not in lines


@pytest.mark.usefixtures("there")
def test_a_pool_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device(free=77 * GIB, processes={7: 60 * GIB})))
    lines = found()
    assert lines["RMM"].state == "warning"
    assert lines["RMM"].found.endswith("112.0 GiB on GPU 0, which does not fit: GPU 0 has 77.0 GiB free")
    assert lines["GPU engine"].state == "absent"
    assert "process 7 holds 60.0 GiB" in lines["GPU engine"].found
    assert "\n" not in lines["GPU engine"].found
    assert found(pool=0.5)["RMM"].state == "ok"


@pytest.mark.usefixtures("there")
def test_a_machine_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(start=NVMLError_LibraryNotFound("none")), cuda=None)
    lines = found()
    assert list(lines) == ["driver", "RAPIDS", "shared memory", "GPU engine"]
    assert lines["driver"].found == "there is no NVIDIA driver: libnvidia-ml.so.1 is not there"
    assert lines["RAPIDS"].found == (
        "not installed; the GPU engine needs the extra cuda13 (driver 580 or newer) or cuda12 (driver 535 or newer)"
    )
    assert lines["RAPIDS"].advice == "on a machine with a GPU: pip install 'headrace[cuda13]'"
    assert lines["GPU engine"].advice.startswith("install NVIDIA's driver, 580 or newer; in a container, ")


@pytest.mark.usefixtures("there")
def test_gpus_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Device("MIG-a", "NVIDIA H200 MIG 1g.18gb", 16 * GIB, 15 * GIB)
    shared = Device("GPU-cccc-3", "NVIDIA GB10", own_memory=False, capability=(12, 1))
    put(monkeypatch, FakeNvml(Device(instances=[part]), Device(lost=True), shared), setting="MIG-a")
    lines = found()
    assert lines["GPU 0"].found.endswith("in MIG mode, 139.0 GiB free of 140.0 GiB; not in CUDA_VISIBLE_DEVICES")
    assert lines["GPU MIG-a"] == Finding(
        "GPU MIG-a", "ok", "NVIDIA H200 MIG 1g.18gb, compute capability 9.0, 15.0 GiB free of 16.0 GiB"
    )
    assert lines["GPU 1"] == Finding("GPU 1", "warning", "cannot be asked: GPU is lost")
    assert "no memory of its own" in lines["GPU 2"].found
    assert lines["GPU engine"].state == "ok"
    put(monkeypatch, FakeNvml())
    assert found()["GPU"].found == "NVML finds none"
    put(monkeypatch, FakeNvml(Device(), cuda=None))
    assert found()["driver"].state == "warning"


def trial(monkeypatch: pytest.MonkeyPatch, stdout: str, stderr: str = "", code: int = 0) -> Finding:
    """What the doctor makes of a trial that ended so."""
    asked: list[list[str]] = []

    def run(words: list[str], **options: Any) -> Any:
        asked.append(words)
        assert options["timeout"] == 7
        return SimpleNamespace(stdout=stdout, stderr=stderr, returncode=code)

    monkeypatch.setattr(subprocess, "run", run)
    finding = self_test(7)
    assert asked[0][1:4] == ["-P", "-m", "headrace.engines.gpu.selftest"]
    assert not finding.needed
    return finding


def test_the_trial_does_well(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = json.dumps({"outcome": "ok", "rows": 1000, "columns": 16, "differences": [], "error": "", "hint": ""})
    finding = trial(monkeypatch, f"what a library prints\n{answer}\n")
    assert (finding.state, finding.found) == ("ok", "16 columns of 1000 rows equal the CPU's")


def test_the_trial_finds_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"outcome": "different", "rows": 1000, "columns": 16, "differences": ["lookup.id: 3 of 1000 values"]}
    finding = trial(monkeypatch, json.dumps(answer), code=1)
    assert (finding.state, finding.found) == ("broken", "differs from the CPU: lookup.id: 3 of 1000 values")
    assert finding.advice.startswith("do not use the GPU engine here")


def test_the_trial_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"outcome": "failed", "error": "RuntimeError: two\nlines", "hint": ""}
    finding = trial(monkeypatch, json.dumps(answer), code=1)
    assert finding == Finding("GPU self-test", "broken", "RuntimeError: two lines", "run with --engine cpu")


@pytest.mark.parametrize("stdout", ["", "no document\n", "[]", "{}"])
def test_the_trial_dies(monkeypatch: pytest.MonkeyPatch, stdout: str) -> None:
    finding = trial(monkeypatch, stdout, "Fatal\n  error", -11)
    assert (finding.state, finding.found) == ("broken", "ended with exit status -11: Fatal error")


def test_the_trial_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(words: list[str], **options: Any) -> Any:
        raise subprocess.TimeoutExpired(words, options["timeout"])

    monkeypatch.setattr(subprocess, "run", run)
    assert self_test(7).found == "no answer in 7 s"


@pytest.mark.slow
def test_the_trial_says_what_it_lacks_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    finding = self_test()
    assert finding.state == "broken"
    assert "exit status" not in finding.found  # it is the child's own report
