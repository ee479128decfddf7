"""The device's memory, over an RMM that is not there; `tests/gpu/test_memory.py` asks the real one."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import rmm

from headrace.engines.gpu import memory
from headrace.engines.gpu.memory import device_errors, use_pool
from headrace.schemas.errors import DataError, GpuMemoryError, HeadraceError, RunError

OUT_OF_MEMORY = [
    MemoryError("std::bad_alloc: out_of_memory: CUDA error at: /rmm/cuda.hpp:50: cudaErrorMemoryAllocation"),
    MemoryError("std::bad_alloc: out_of_memory: RMM failure at:/rmm/pool.hpp:264: Maximum pool size exceeded"),
    MemoryError("std::bad_alloc: out_of_memory: RMM failure at:/rmm/limiting.cpp:51: Exceeded memory limit"),
    MemoryError("std::bad_alloc"),
    MemoryError(),
    RuntimeError("CUDA error encountered at: file.cu:12: 2 cudaErrorMemoryAllocation out of memory"),
    RuntimeError("std::bad_alloc: out_of_memory: CUDA error"),
    RuntimeError("CUDF failure at: file.cu:12: Maximum pool size exceeded"),
    RuntimeError("cuBLAS error encountered at: file=handle.cpp line=88: CUBLAS_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA_ERROR_OUT_OF_MEMORY"),
]
TOO_LONG = [
    OverflowError("CUDF failure at:concatenate.cu: Total number of concatenated rows exceeds the column size limit"),
    OverflowError("CUDF failure at:strings.cu:7: The size of output exceeds the string size limit"),
    OverflowError("CUDF failure at:offsets.cuh:4: Size of offsets exceeds maximum int32 limit"),
    RuntimeError("CUDF failure at:merge.cu:1: Total number of merged rows exceeds row limit"),
]
OTHER = [
    RuntimeError("CUDA error encountered at: file.cu:12: 700 cudaErrorIllegalAddress an illegal memory access"),
    RuntimeError("Unknown exception"),
    NotImplementedError("no such aggregation"),
    ValueError("CUDF failure at: file.cu:12: Column size mismatch"),
    TypeError("Unsupported types"),
    IndexError("out of range"),
    KeyError("a"),
    OverflowError("value too large to convert to int"),
    ArithmeticError("underflow"),
    AssertionError("a dtype"),
]
PASSED_ON = [
    DataError("bad rows", hint="h", where="w"),
    GpuMemoryError("said before"),
    pl.exceptions.InvalidOperationError("conversion failed"),
    pl.exceptions.ColumnNotFoundError("a"),
    FileNotFoundError(2, "no such file", "a.parquet"),
    OSError(28, "No space left on device"),
    KeyboardInterrupt(),
]


def said(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {problem}"


def mapped(problem: BaseException) -> HeadraceError:
    with pytest.raises(HeadraceError) as caught, device_errors():
        raise problem
    assert caught.value.__cause__ is problem
    return caught.value


@pytest.mark.parametrize("problem", OUT_OF_MEMORY, ids=said)
def test_a_full_device_is_one_error_however_it_is_said(problem: Exception) -> None:
    error = mapped(problem)
    assert isinstance(error, GpuMemoryError)
    assert error.message == f"the device has no memory left: {str(problem) or 'MemoryError'}"
    assert "--partition-bytes" in error.hint


@pytest.mark.parametrize("problem", TOO_LONG, ids=said)
def test_so_is_a_column_that_is_too_long_which_fewer_rows_mend_as_well(problem: Exception) -> None:
    error = mapped(problem)
    assert isinstance(error, GpuMemoryError)
    assert error.message == f"a column is longer than the device's can be: {problem}"
    assert "--partition-bytes" in error.hint


@pytest.mark.parametrize("problem", OTHER, ids=said)
def test_all_other_failures_of_its_libraries_are_one_error(problem: Exception) -> None:
    error = mapped(problem)
    assert type(error) is RunError
    assert error.message == f"the GPU engine failed: {type(problem).__name__}: {problem}"
    assert "--engine cpu" in error.hint


@pytest.mark.parametrize("problem", PASSED_ON, ids=said)
def test_what_is_not_of_the_device_stays_as_it_is(problem: BaseException) -> None:
    with pytest.raises(type(problem)) as caught, device_errors():
        raise problem
    assert caught.value is problem


def test_the_message_is_one_line() -> None:
    assert mapped(RuntimeError("first\n  second ")).message == "the GPU engine failed: RuntimeError: first second"


def test_host_memory_that_arrow_wants_counts_as_the_same() -> None:
    """It is asked for on the way to the device or from it, for as many rows."""
    assert isinstance(mapped(pa.ArrowMemoryError("malloc of size 1024 failed")), GpuMemoryError)


def test_every_exception_that_pylibcudf_makes_of_one_of_cpp_is_mapped() -> None:
    import pylibcudf

    handler = (Path(pylibcudf.__file__).parent / "exception_handler.pxd").read_text()
    made = {word.split(",")[0] for word in handler.split("PyExc_")[1:]}
    assert made == {
        *("MemoryError", "TypeError", "ValueError", "IOError", "IndexError", "OverflowError", "ArithmeticError"),
        "RuntimeError",
    }
    assert all(issubclass(getattr(builtins, name), memory._RAISED) for name in made - {"IOError"})


class Cuda:
    """RMM's resource of a process that has chosen none."""


class Pool:
    def __init__(self, upstream: object, initial_pool_size: int, maximum_pool_size: int) -> None:
        self.upstream, self.sizes = upstream, (initial_pool_size, maximum_pool_size)


class Rmm:
    """RMM's `mr`, as far as a pool needs it."""

    CudaMemoryResource = Cuda
    PoolMemoryResource: Any = Pool

    def __init__(self, current: object, free: int = 1_000_000) -> None:
        self.current, self.free = current, free

    def get_current_device_resource(self) -> object:
        return self.current

    def set_current_device_resource(self, resource: object) -> None:
        self.current = resource

    def available_device_memory(self) -> tuple[int, int]:
        return self.free, 2 * self.free


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Rmm:
    made = Rmm(Cuda())
    monkeypatch.setattr(memory, "rmm", SimpleNamespace(mr=made))
    return made


def test_a_process_without_a_resource_gets_a_pool_of_a_part_of_what_is_free(device: Rmm) -> None:
    use_pool(0.3)
    assert isinstance(device.current, Pool)
    assert isinstance(device.current.upstream, Cuda)
    assert device.current.sizes == (299_776, 299_776)  # 300,000 as a multiple of 256, and never more


def test_it_gets_one_pool(device: Rmm) -> None:
    use_pool(0.3)
    made = device.current
    use_pool(0.6)
    assert device.current is made


def test_a_resource_that_is_there_stays(device: Rmm) -> None:
    device.current = theirs = object()
    use_pool(0.3)
    assert device.current is theirs


def test_a_pool_that_does_not_fit_is_a_full_device(device: Rmm) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError("std::bad_alloc: out_of_memory: cudaErrorMemoryAllocation out of memory")

    device.PoolMemoryResource = full
    with pytest.raises(GpuMemoryError, match="the device has no memory left"):
        use_pool(0.8)
    assert isinstance(device.current, Cuda)


def test_a_device_that_cannot_be_used_is_one_error(device: Rmm, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("CUDA error at: 100 cudaErrorNoDevice no CUDA-capable device is detected")

    monkeypatch.setattr(device, "get_current_device_resource", fails)
    with pytest.raises(RunError, match="cudaErrorNoDevice"):
        use_pool(0.8)


def test_the_real_rmm_has_what_is_used() -> None:
    for name in (n for n in vars(Rmm) if not n.startswith("_")):
        assert hasattr(rmm.mr, name), name
    stub = Path(rmm.__file__).parent / "pylibrmm" / "memory_resource" / "_memory_resource.pyi"
    kinds = {k.name: k for k in ast.parse(stub.read_text()).body if isinstance(k, ast.ClassDef)}
    [made] = [f for f in kinds["PoolMemoryResource"].body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
    assert [a.arg for a in made.args.args] == ["self", "upstream_mr", "initial_pool_size", "maximum_pool_size"]
