"""The description of a machine with GPUs, with a stand-in for NVML."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest
from benchmarks.gpu.machine import describe, gpus, rapids


def _nvml() -> SimpleNamespace:
    return SimpleNamespace(
        nvmlSystemGetCudaDriverVersion=lambda: 13010,
        nvmlSystemGetDriverVersion=lambda: b"580.1",
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda handle: f"GPU {handle}",
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(total=150_754_820_096),
    )


def test_gpus_driver_and_cuda_are_named() -> None:
    assert gpus(_nvml()) == {
        "gpus": [{"name": "GPU 0", "memory_gb": 150.8}, {"name": "GPU 1", "memory_gb": 150.8}],
        "driver": "580.1",
        "cuda_of_driver": "13.1",
    }


def test_versions_and_settings_that_bear_on_speed_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVIKIO_NTHREADS", "8")
    monkeypatch.setenv("CUDA_HOME", "/somewhere")
    found = describe(tmp_path, _nvml())
    assert isinstance(found["environment"], dict)
    assert found["environment"]["KVIKIO_NTHREADS"] == "8"
    assert "CUDA_HOME" not in found["environment"]
    assert isinstance(found["packages"], dict)
    assert found["packages"].items() >= rapids().items()
    assert "gpus" not in describe(tmp_path)


def test_nvml_has_what_is_asked_of_it() -> None:
    pynvml = pytest.importorskip("pynvml")
    for name in vars(_nvml()):
        function = getattr(pynvml, name)
        inspect.signature(function).bind(*([0] if "Handle" in name or name.endswith(("Name", "Info")) else []))
