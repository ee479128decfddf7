"""What the figures were taken on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

_PACKAGES = ("headrace", "polars", "pyarrow", "pandas", "scikit-learn", "numpy", "torch", "obstore")


def describe(data: Path) -> dict[str, object]:
    """The processor, memory, system and versions, and the file system that holds `data`; for the results' file."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "filesystem": _filesystem(data),
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith(("model name", "Hardware")):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _filesystem(path: Path) -> str:
    """Type of the file system of the longest mount point that `path` is below."""
    place = path.resolve()
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    fitting = [(len(point), kind) for point, kind in mounts if place.is_relative_to(point)]
    return max(fitting)[1] if fitting else "unknown"
