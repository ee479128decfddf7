"""A stand-in for NVML: the machine has the GPUs that STANDIN_GPUS names by their UUIDs, of 16 GiB each."""

from __future__ import annotations

import os
from types import SimpleNamespace

NVML_DEVICE_MIG_DISABLE = 0
NVML_DEVICE_MIG_ENABLE = 1


class NVMLError(Exception):
    pass


class NVMLError_LibraryNotFound(NVMLError):  # noqa: N801
    pass


class NVMLError_DriverNotLoaded(NVMLError):  # noqa: N801
    pass


class NVMLError_Unknown(NVMLError):  # noqa: N801
    pass


class NVMLError_NotSupported(NVMLError):  # noqa: N801
    pass


def nvmlInit() -> None:  # noqa: N802
    if not _uuids():
        raise NVMLError_LibraryNotFound


def nvmlShutdown() -> None:  # noqa: N802
    pass


def nvmlDeviceGetCount() -> int:  # noqa: N802
    return len(_uuids())


def nvmlDeviceGetHandleByIndex(index: int) -> int:  # noqa: N802
    return index


def nvmlDeviceGetUUID(handle: int) -> str:  # noqa: N802
    return _uuids()[handle]


def nvmlDeviceGetName(handle: int) -> str:  # noqa: N802
    return f"stand-in {handle}"


def nvmlDeviceGetMemoryInfo(_handle: int) -> SimpleNamespace:  # noqa: N802
    return SimpleNamespace(total=16 << 30, free=16 << 30, used=0)


def nvmlDeviceGetUtilizationRates(_handle: int) -> SimpleNamespace:  # noqa: N802
    return SimpleNamespace(gpu=0)


def nvmlDeviceGetMigMode(_handle: int) -> list[int]:  # noqa: N802
    return [NVML_DEVICE_MIG_DISABLE, NVML_DEVICE_MIG_DISABLE]


def nvmlDeviceGetComputeRunningProcesses(_handle: int) -> list[SimpleNamespace]:  # noqa: N802
    return []


def nvmlDeviceGetCudaComputeCapability(_handle: int) -> tuple[int, int]:  # noqa: N802
    return 9, 0


def nvmlSystemGetDriverVersion() -> str:  # noqa: N802
    return "580.65.06"


def nvmlSystemGetCudaDriverVersion_v2() -> int:  # noqa: N802
    return 13000


def _uuids() -> list[str]:
    return [uuid for uuid in os.environ.get("STANDIN_GPUS", "").split(",") if uuid]
