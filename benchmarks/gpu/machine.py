"""What the figures were taken on, its GPUs included. NVML alone: no CUDA context."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import Any, Final

from benchmarks import machine

_RAPIDS: Final = ("cudf", "pylibcudf", "libcudf", "cudf-polars", "dask-cudf", "cuml")
_OTHERS: Final = ("rmm", "librmm", "libkvikio", "nvidia-libnvcomp")
_PLAIN: Final = ("dask-cuda", "dask", "distributed", "cupy-cuda13x", "cupy-cuda12x", "nvidia-ml-py")
_SETTINGS: Final = ("CUDA_", "KVIKIO_", "LIBCUDF_", "CUDF_", "RMM_", "DASK_", "POLARS_", "NVIDIA_")
_NOT_OURS: Final = ("CUDA_HOME", "CUDA_PATH")


def describe(data: Path, nvml: Any = None) -> dict[str, object]:
    """`benchmarks.machine.describe`, and the GPUs, driver, CUDA, versions of RAPIDS, and settings in the environment.

    `nvml` is the module `pynvml`, initialised; without it there are no GPUs to describe.
    """
    known = machine.describe(data)
    packages = dict(known["packages"]) if isinstance(known["packages"], dict) else {}
    settings = {k: v for k, v in sorted(os.environ.items()) if k.startswith(_SETTINGS) and k not in _NOT_OURS}
    return known | {"packages": packages | rapids(), "environment": settings} | (gpus(nvml) if nvml else {})


def gpus(nvml: Any) -> dict[str, object]:
    """Every GPU that NVML lists, whether CUDA_VISIBLE_DEVICES shows it or not, and the driver."""
    cuda = int(nvml.nvmlSystemGetCudaDriverVersion())
    found = []
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
        found.append({"name": _text(nvml.nvmlDeviceGetName(handle)), "memory_gb": round(memory / 1e9, 1)})
    return {
        "gpus": found,
        "driver": _text(nvml.nvmlSystemGetDriverVersion()),
        "cuda_of_driver": f"{cuda // 1000}.{cuda % 1000 // 10}",
    }


def rapids() -> dict[str, str]:
    """Versions of what is installed of RAPIDS and around it, by the names of the wheels."""
    names = [f"{name}-cu{major}" for name in (*_RAPIDS, *_OTHERS) for major in (13, 12)]
    found = {}
    for name in (*names, *_PLAIN):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
