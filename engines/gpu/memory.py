"""The device's memory: whose pool a process uses, and what a device that has none left looks like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import rmm

from headrace.schemas.errors import GpuMemoryError, HeadraceError, RunError

_FULL: Final = ("out_of_memory", "out of memory", "bad_alloc", "memoryallocation", "alloc_failed", "pool size exceeded")
"""What RMM, CUDA, and cuBLAS and its kin say, in small letters."""
_LONG: Final = ("column size limit", "string size limit", "row size limit", "row limit", "int32 limit")
"""What libcudf says of a column that would have more than 2^31 - 1 rows, or a list of as many elements."""
_ALIGNED: Final = 256
_RAISED: Final = (MemoryError, RuntimeError, ValueError, TypeError, ArithmeticError, LookupError, AssertionError)
"""By libraries of the device. Source: pylibcudf/exception_handler.pxd of 26.10, and Cython's own handler in RMM."""


def use_pool(fraction: float) -> None:
    """Give this process a pool of `fraction` of the free memory of its device, unless it has a resource already.

    A worker of Dask-CUDA has one, made by its own options: that one is used.

    Raises
    ------
    GpuMemoryError
        Another process took that memory in the meantime.
    RunError
        The device cannot be used.
    """
    with device_errors():
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

    pylibcudf and RMM raise MemoryError for `std::bad_alloc`, of which RMM's and Thrust's errors of that kind are, and
    map the other standard exceptions of C++ to Python's; all else is a RuntimeError. What Polars and the operating
    system raise stays as it is.

    Raises
    ------
    GpuMemoryError
        The device has no memory left, or a column would have more rows than libcudf's can: fewer rows would do.
    RunError
        Any other failure of the device or its libraries.
    """
    try:
        yield
    except HeadraceError:
        raise
    except _RAISED as problem:
        said = " ".join(str(problem).split()) or type(problem).__name__
        if isinstance(problem, MemoryError) or _any_of(_FULL, said):
            raise GpuMemoryError(
                f"the device has no memory left: {said}",
                hint="use smaller partitions (--partition-bytes), or fewer other processes on this GPU",
            ) from problem
        if _any_of(_LONG, said):
            raise GpuMemoryError(
                f"a column is longer than the device's can be: {said}",
                hint="use smaller partitions (--partition-bytes)",
            ) from problem
        raise RunError(
            f"the GPU engine failed: {type(problem).__name__}: {said}",
            hint="run with --engine cpu, which gives the same results; --debug shows where",
        ) from problem


def _any_of(words: Sequence[str], said: str) -> bool:
    return any(word in said.lower() for word in words)
