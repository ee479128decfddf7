"""What NVML says of this machine's GPUs.

NVML makes no CUDA context: asking takes no memory of a GPU, and binds this process to none.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple


class Obstacle(NamedTuple):
    """Why the GPU engine cannot run here, and what to do about it.

    Parameters
    ----------
    what
        What is wrong, in a line.
    remedy
        What to do next.
    lines
        More of it, a line per package, process or instance.
    passing
        It may go away by itself: another process may end.
    """

    what: str
    remedy: str
    lines: tuple[str, ...] = ()
    passing: bool = False

    def in_a_line(self, most: int = 3) -> str:
        """What is wrong, with so many of its lines at most."""
        lines = [line.strip() for line in self.lines[:most]]
        more = f"; {len(self.lines) - most} more" if len(self.lines) > most else ""
        return self.what + (f": {'; '.join(lines)}{more}" if lines else "")


@dataclass(frozen=True)
class Process:
    """A process that has memory on a GPU; `memory_bytes` is None where NVML does not say how much."""

    pid: int
    name: str = ""
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Gpu:
    """One GPU, or one MIG instance of a GPU, as NVML sees it.

    Parameters
    ----------
    index
        NVML's, in the order of the PCI bus; an instance has that of the GPU it is a part of.
    memory_bytes
        0 where the GPU has no memory of its own, but shares the host's.
    free_bytes
        What no process holds at this moment; None where it is not known.
    capability
        Compute capability, such as (9, 0); None where it is not known.
    mig
        MIG mode is on: only instances of it can be used. True for an instance too.
    instances
        The MIG instances that this process may see.
    processes
        Those that NVML lists; in a container it may list none, though there are some.
    """

    index: int
    uuid: str
    name: str
    memory_bytes: int
    free_bytes: int | None = None
    capability: tuple[int, int] | None = None
    mig: bool = False
    instances: tuple[Gpu, ...] = ()
    processes: tuple[Process, ...] = ()

    @property
    def is_instance(self) -> bool:
        """Whether this is a MIG instance."""
        return self.uuid.startswith("MIG-")

    @property
    def device(self) -> str:
        """What names it in CUDA_VISIBLE_DEVICES: the index of a GPU, the UUID of an instance."""
        return self.uuid if self.is_instance else str(self.index)

    def __str__(self) -> str:
        return f"{self.device} ({self.name})"


@dataclass(frozen=True)
class Machine:
    """All GPUs of a machine, whatever CUDA_VISIBLE_DEVICES says, and their driver.

    Parameters
    ----------
    gpus
        Those that can be asked.
    driver
        Its version, such as `580.65.06`.
    cuda
        The newest CUDA that libcuda does; None where there is no libcuda.
    fault
        Why NVML does not answer.
    unreadable
        GPUs that cannot be asked, by index, and why.
    """

    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    cuda: tuple[int, int] | None = None
    fault: Obstacle | None = None
    unreadable: tuple[tuple[int, str], ...] = ()


_ON_CPU: Final = "or run with --engine cpu"
_FAULTS: Final = {
    "NVMLError_LibraryNotFound": Obstacle(
        "there is no NVIDIA driver: libnvidia-ml.so.1 is not there",
        "install NVIDIA's driver, 580 or newer; in a container, start it with the host's GPUs (docker run --gpus all); "
        + _ON_CPU,
    ),
    "NVMLError_DriverNotLoaded": Obstacle(
        "the NVIDIA driver is not loaded",
        f"load it (modprobe nvidia) and see whether `nvidia-smi` answers; {_ON_CPU}",
    ),
    "NVMLError_LibRmVersionMismatch": Obstacle(
        "the NVIDIA driver's library and its kernel module are of different versions",
        f"the driver was updated while it ran: start the machine again; {_ON_CPU}",
    ),
    "NVMLError_NoPermission": Obstacle(
        "this user may not ask the NVIDIA driver",
        f"get access to /dev/nvidiactl and /dev/nvidia0, such as by the group video; {_ON_CPU}",
    ),
}


def look() -> Machine:
    """Ask NVML. Does not fail: what goes wrong is in the answer. Takes some milliseconds."""
    try:
        with warnings.catch_warnings():
            # Where the package `pynvml` stands beside `nvidia-ml-py`, its import prints advice to uninstall it.
            warnings.filterwarnings("ignore", "The pynvml package is deprecated", FutureWarning)
            import pynvml as nvml
    except ImportError:
        remedy = f"pip install 'headrace[cuda13]', which brings it; {_ON_CPU}"
        return Machine(fault=Obstacle("GPUs cannot be looked for: nvidia-ml-py is not installed", remedy))
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        other = Obstacle(f"NVML does not start: {error}", f"see whether `nvidia-smi` answers; {_ON_CPU}")
        return Machine(fault=_FAULTS.get(type(error).__name__, other))
    try:
        return _machine(nvml)
    except nvml.NVMLError as error:
        remedy = f"see whether `nvidia-smi` answers; {_ON_CPU}"
        return Machine(fault=Obstacle(f"NVML does not list the GPUs: {error}", remedy))
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _machine(nvml: Any) -> Machine:
    found, unreadable = [], []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            found.append(_gpu(nvml, index))
        except nvml.NVMLError as error:
            unreadable.append((index, str(error)))
    # Of the library that CUDA itself would load, so a newer one from a cuda-compat package counts.
    cuda = _unless(nvml, nvml.nvmlSystemGetCudaDriverVersion_v2, None)
    return Machine(
        gpus=tuple(found),
        driver=_text(_unless(nvml, nvml.nvmlSystemGetDriverVersion, "")),
        cuda=None if cuda is None else (cuda // 1000, cuda % 1000 // 10),
        unreadable=tuple(unreadable),
    )


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    capability = _unless(nvml, lambda: tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle)), None)
    mig = bool(_unless(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle)[0], 0))
    instances = tuple(_device(nvml, h, index, capability, mig=True) for h in _instances(nvml, handle)) if mig else ()
    return _device(nvml, handle, index, capability, mig, instances)


def _device(
    nvml: Any,
    handle: Any,
    index: int,
    capability: tuple[int, int] | None,
    mig: bool,
    instances: tuple[Gpu, ...] = (),
) -> Gpu:
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        total, free = int(memory.total), int(memory.free)
    except nvml.NVMLError_NotSupported:
        total, free = 0, None
    return Gpu(
        index=index,
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        memory_bytes=total,
        free_bytes=free,
        capability=capability,
        mig=mig,
        instances=instances,
        processes=tuple(_processes(nvml, handle)),
    )


def _instances(nvml: Any, handle: Any) -> Iterator[Any]:
    for number in range(_unless(nvml, lambda: nvml.nvmlDeviceGetMaxMigDeviceCount(handle), 0)):
        with suppress(nvml.NVMLError):  # a place that no instance takes, or one that is not for this process
            yield nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)


def _processes(nvml: Any, handle: Any) -> Iterator[Process]:
    for process in _unless(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle), []):
        pid = int(process.pid)
        name = _text(_unless(nvml, partial(nvml.nvmlSystemGetProcessName, pid), ""))
        used = process.usedGpuMemory
        yield Process(pid, name.rpartition("/")[2].partition(" ")[0], None if used is None else int(used))


def _unless(nvml: Any, ask: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return ask()
    except nvml.NVMLError:  # not supported by this GPU or driver, or not allowed
        return otherwise


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
