"""Device memory and disk as seen from outside, with a stand-in for NVML."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.gpu.sampling import Peaks, Sampler


class _Nvml:
    class NVMLError(Exception):
        pass

    def __init__(self, used: list[int], processes: list[dict[int, int | None]]) -> None:
        self._used, self._processes = iter(used), iter(processes)

    def nvmlDeviceGetMemoryInfo(self, handle: object) -> Any:  # noqa: N802  # NVML's name
        assert handle == "gpu 0"
        return SimpleNamespace(used=next(self._used))

    def nvmlDeviceGetComputeRunningProcesses(self, handle: object) -> Any:  # noqa: N802  # NVML's name
        assert handle == "gpu 0"
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in next(self._processes).items()]


def test_the_peak_is_of_the_commands_processes_together_and_of_the_device_above_what_was_used(tmp_path: Path) -> None:
    nvml = _Nvml(
        [500_000_000, 900_000_000, 2_500_000_000, 600_000_000],
        [{7: 300_000_000, 99: 500_000_000}, {7: 1_200_000_000, 8: 700_000_000}, {8: None}],
    )
    sampler = Sampler(tmp_path, ["gpu 0"], nvml)
    for _ in range(3):
        sampler([7, 8])
    assert (sampler.peaks.gpu_processes_mb, sampler.peaks.gpu_device_mb) == (1900.0, 2000.0)


def test_processes_that_nvml_does_not_name_have_no_figure_of_their_own(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path, ["gpu 0"], _Nvml([0, 10_000_000], [{4_000_001: 10_000_000}]))
    sampler([7])
    assert (sampler.peaks.gpu_processes_mb, sampler.peaks.gpu_device_mb) == (None, 10.0)


def test_without_a_gpu_there_is_the_disk_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([50_000_000_000, 47_000_000_000, 49_000_000_000])
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=next(free)))
    sampler = Sampler(tmp_path)
    sampler([1])
    sampler([1])
    assert sampler.peaks == Peaks(None, None, 3000.0)


def test_nvml_has_what_is_asked_of_it() -> None:
    pynvml = pytest.importorskip("pynvml")
    for name in ("nvmlDeviceGetMemoryInfo", "nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetHandleByIndex"):
        inspect.signature(getattr(pynvml, name)).bind(0)
    assert issubclass(pynvml.NVMLError, Exception)
