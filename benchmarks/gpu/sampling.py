"""Memory of the device, and room on the disk, as seen from outside while a command runs.

NVML counts what a process holds of the device: its CUDA context and its whole memory pool, used or not. What a job
needs is RMM's count, which the process keeps itself (`benchmarks.gpu.facts`). Where this process cannot see whose
memory it is (another namespace of process ids, as in many containers), only the device's total can be told.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Peaks:
    """The most that was seen, in units of 1e6 bytes; shorter peaks than the 20 ms between samples are missed.

    Attributes
    ----------
    gpu_processes_mb
        Device memory of the command's processes; None where NVML does not name them.
    gpu_device_mb
        Device memory in use beyond what was in use before the start, whoever uses it; None without a GPU.
    disk_mb
        Room on the disk that was taken beyond what was taken before the start, whoever took it.
    """

    gpu_processes_mb: float | None
    gpu_device_mb: float | None
    disk_mb: float


class Sampler:
    """Looks at the devices and at a folder's disk; call it with the process ids of the command that runs.

    Parameters
    ----------
    folder
        On the disk that the command writes to.
    handles
        NVML's handles of the devices; NVML must be initialised. Empty without a GPU.
    nvml
        The module `pynvml`.
    """

    def __init__(self, folder: Path, handles: Sequence[Any] = (), nvml: Any = None) -> None:
        self._folder, self._handles, self._nvml = folder, tuple(handles), nvml
        self._free = shutil.disk_usage(folder).free
        self._used_before = self._used()
        self._device = 0
        self._processes: int | None = None
        self._disk = 0

    def __call__(self, pids: Sequence[int]) -> None:
        self._disk = max(self._disk, self._free - shutil.disk_usage(self._folder).free)
        if not self._handles:
            return
        self._device = max(self._device, self._used() - self._used_before)
        own = [used for pid, used in self._by_process() if pid in pids]
        if own:
            self._processes = max(self._processes or 0, sum(own))

    @property
    def peaks(self) -> Peaks:
        """What was seen so far."""
        return Peaks(
            gpu_processes_mb=None if self._processes is None else round(self._processes / 1e6, 1),
            gpu_device_mb=round(self._device / 1e6, 1) if self._handles else None,
            disk_mb=round(self._disk / 1e6, 1),
        )

    def _used(self) -> int:
        return sum(int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used) for handle in self._handles)

    def _by_process(self) -> list[tuple[int, int]]:
        try:
            found = [p for handle in self._handles for p in self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)]
        except self._nvml.NVMLError:
            return []
        return [(p.pid, int(p.usedGpuMemory)) for p in found if p.usedGpuMemory is not None]
