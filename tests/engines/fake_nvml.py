"""Stands in for `pynvml`: a machine with the GPUs that a test wants, and what it cannot be asked."""

# ruff: noqa: N801, N802  (the names of pynvml)

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

GIB = 1 << 30
H200 = "NVIDIA H200"


class NVMLError(Exception):
    pass


class NVMLError_LibraryNotFound(NVMLError): ...


class NVMLError_DriverNotLoaded(NVMLError): ...


class NVMLError_LibRmVersionMismatch(NVMLError): ...


class NVMLError_NoPermission(NVMLError): ...


class NVMLError_NotSupported(NVMLError): ...


class NVMLError_NotFound(NVMLError): ...


class NVMLError_GpuIsLost(NVMLError): ...


@dataclass(frozen=True)
class Device:
    """A GPU or a MIG instance; `instances` makes it a GPU in MIG mode, None in it an empty place."""

    uuid: str = "GPU-aaaa-1"
    name: str = H200
    total: int = 140 * GIB
    free: int = 139 * GIB
    capability: tuple[int, int] = (9, 0)
    instances: Sequence[Device | None] | None = None
    processes: Mapping[int, int | None] = field(default_factory=dict)
    lost: bool = False
    own_memory: bool = True


class FakeNvml(ModuleType):
    """The functions of pynvml that headrace calls."""

    NVMLError = NVMLError
    NVMLError_NotSupported = NVMLError_NotSupported

    def __init__(
        self,
        *devices: Device,
        driver: str = "580.65.06",
        cuda: int | None = 13000,
        start: NVMLError | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        super().__init__("pynvml")
        self.devices, self.driver, self.cuda, self.start = list(devices), driver, cuda, start
        self.names = names or {}
        self.open = 0

    def nvmlInit(self) -> None:
        if self.start:
            raise self.start
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Device:
        if self.devices[index].lost:
            raise NVMLError_GpuIsLost("GPU is lost")
        return self.devices[index]

    def nvmlSystemGetDriverVersion(self) -> str:
        return self.driver

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:
        if self.cuda is None:
            raise NVMLError_LibraryNotFound("NVML Shared Library Not Found")
        return self.cuda

    def nvmlDeviceGetUUID(self, handle: Device) -> str:
        return handle.uuid

    def nvmlDeviceGetName(self, handle: Device) -> bytes:
        return handle.name.encode()  # as older versions of nvidia-ml-py give it

    def nvmlDeviceGetMemoryInfo(self, handle: Device) -> Any:
        if not handle.own_memory:
            raise NVMLError_NotSupported("Not Supported")
        return SimpleNamespace(total=handle.total, free=handle.free, used=handle.total - handle.free)

    def nvmlDeviceGetCudaComputeCapability(self, handle: Device) -> tuple[int, int]:
        return handle.capability

    def nvmlDeviceGetMigMode(self, handle: Device) -> list[int]:
        if handle.capability < (8, 0):
            raise NVMLError_NotSupported("Not Supported")
        return [int(handle.instances is not None)] * 2

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Device) -> int:
        return len(handle.instances or ())

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Device, index: int) -> Device:
        instance = (handle.instances or ())[index]
        if instance is None:
            raise NVMLError_NotFound("Not Found")
        return instance

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Device) -> list[Any]:
        if handle.instances is not None:
            raise NVMLError_NoPermission("Insufficient Permissions")
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in handle.processes.items()]

    def nvmlSystemGetProcessName(self, pid: int) -> str:
        if pid not in self.names:
            raise NVMLError_NotFound("Not Found")
        return self.names[pid]


def put(
    monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml, *, setting: str | None = None, cuda: str | None = "13"
) -> FakeNvml:
    """Let this machine have these GPUs, CUDA_VISIBLE_DEVICES, and whole packages for this CUDA."""
    from headrace.engines.gpu import requirements

    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.delitem(sys.modules, "headrace.engines.gpu.memory", raising=False)  # others' tests import it
    if setting is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", setting)
    monkeypatch.setattr(requirements, "installed_for", lambda: (cuda,) if cuda else ())
    monkeypatch.setattr(requirements, "problems", lambda _: ())
    return nvml
