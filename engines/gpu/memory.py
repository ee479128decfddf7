"""The device's memory: whose pool a process uses, and what a device that has none left looks like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import rmm

from headrace.schemas.errors import GpuMemoryError, HeadraceError, RunError

_FULL: Final = ("out_of_memory", "out of memory", "bad_alloc", "MemoryAllocation", "Maximum pool size exceeded")
_ALIGNED: Final = 256


def use_pool(fraction: float) -> None:
    """Give this process a pool of `fraction` of the free memory of its device, unless it has a resource already.

    A worker of Dask-CUDA has one, made by its own options: that one is used.
    """
    if not isinstance(rmm.mr.get_current_device_resource(), rmm.mr.CudaMemoryResource):
        return
    free, _ = rmm.mr.available_device_memory()
    size = int(free * fraction) // _ALIGNED * _ALIGNED
    rmm.mr.set_current_device_resource(
        rmm.mr.PoolMemoryResource(rmm.mr.CudaMemoryResource(), initial_pool_size=size, maximum_pool_size=size)
    )


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn what the device's libraries raise into errors of ours.

    Raises
    ------
    GpuMemoryError
        The device has no memory left.
    RunError
        Any other failure of the device or its libraries.
    """
    try:
        yield
    except HeadraceError:
        raise
    except (MemoryError, RuntimeError, NotImplementedError, ValueError, TypeError) as problem:
        said = " ".join(str(problem).split()) or type(problem).__name__
        if isinstance(problem, MemoryError) or any(word in said for word in _FULL):
            raise GpuMemoryError(
                f"the device has no memory left: {said}",
                hint="use smaller partitions (--partition-bytes), or fewer other processes on this GPU",
            ) from problem
        raise RunError(
            f"the GPU engine failed: {type(problem).__name__}: {said}",
            hint="run with --engine cpu, which gives the same results; --debug shows where",
        ) from problem
