"""Published splits, whole, where a model trains: cuDF frames, and tensors that share memory with decoded columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa

from headrace.engines import detect
from headrace.engines.nvml import Gpu
from headrace.schemas.errors import CapabilityError, DataError, GpuMemoryError, UsageError

if TYPE_CHECKING:
    import pylibcudf as plc

Tensor = Any
"""A `torch.Tensor`; headrace does not depend on torch."""

MOST_ROWS: Final = 2**31 - 1
"""What a column of libcudf can hold."""


class Ragged(NamedTuple):
    """A column of lists of different lengths: list i is `values[offsets[i]:offsets[i + 1]]`; offsets are Int64."""

    values: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class Wanted:
    """Columns of a split, before any of it is read.

    Parameters
    ----------
    where
        The dataset, its version and the split, for messages.
    schema
        Of the columns, in the order in which they are wanted.
    files
        The split's shards.
    rows
        Of all shards together.
    least_bytes
        What the columns take in memory, at least.
    """

    where: str
    schema: pa.Schema
    files: tuple[Path, ...]
    rows: int
    least_bytes: int


def frame(wanted: Wanted) -> Any:
    """The columns as a `cudf.DataFrame`, decoded on the current device. See `Dataset.cudf`."""
    with _gpu("dataset.arrow() and dataset.to_polars() read it without one") as visible:
        _fits(wanted, visible[0], "the current device")
        import cudf

        if not wanted.files:
            return cudf.DataFrame.from_arrow(_no_rows(wanted.schema))
        with _memory(wanted):
            return cudf.DataFrame.from_pylibcudf(_decoded(wanted))[wanted.schema.names]


def require(package: str, extra: str) -> None:
    """Raise CapabilityError unless a package is installed, which comes with an extra."""
    if util.find_spec(package) is None:
        raise CapabilityError(f"{package} is not installed", hint=f"pip install 'headrace[{extra}]'")


def tensors(wanted: Wanted, device: str, arrow: Callable[[], pa.Table]) -> dict[str, Any]:
    """The columns as tensors on a device. See `Dataset.torch`; `arrow` reads them into this process's memory."""
    index = device_index(device)
    check_tensors(wanted.schema, wanted.where)
    require("torch", "torch")
    import torch

    if index is None:
        return {name: _on_host(torch, wanted, name, column) for name, column in _columns(arrow())}
    with _gpu('device="cpu" works without one') as visible:
        if index >= len(visible):
            raise UsageError(f"there is no {device!r}: {len(visible)} GPU(s) are visible, from cuda:0")
        if not torch.cuda.is_available():
            raise CapabilityError(
                f"torch {torch.__version__} does not see the GPU that NVML sees",
                hint="install a build of torch for CUDA; `python -m torch.utils.collect_env` says which it is",
            )
        _fits(wanted, visible[index], device)
        with torch.cuda.device(index), _memory(wanted):
            return _on_device(torch, wanted, arrow)


def check_tensors(schema: pa.Schema, where: str, spelled: Mapping[str, str] | None = None) -> None:
    """Raise UsageError that names every column that cannot be a tensor, and why; `spelled` has other names of types."""
    words = {field.name: _no_tensor(field, (spelled or {}).get(field.name, str(field.type))) for field in schema}
    if refused := [f"{name}: {problem}" for name, problem in words.items() if problem]:
        good = [name for name, problem in words.items() if not problem]
        raise UsageError(
            f"{len(refused)} of {len(schema)} columns cannot be tensors:\n  " + "\n  ".join(refused),
            hint=f"name others: columns={good}" if good else "none of these columns can; scan() reads them all",
            where=where,
        )


def device_index(device: str) -> int | None:
    """The number of the GPU, None for `cpu`. Raises UsageError for anything else."""
    kind, colon, number = str(device).partition(":")
    if kind == "cuda" and (number.isdecimal() or not colon):
        return int(number or 0)
    if device == "cpu":
        return None
    raise UsageError(f"unknown device {device!r}", hint='"cpu", or "cuda:0" for the first GPU that is visible')


def _no_tensor(field: pa.Field, kind: str) -> str:
    """Why a column cannot be a tensor; empty if it can."""
    if field.nullable:
        return f"{kind} with nulls; fill them in the pipeline (FillNull), or drop the rows (DropNull)"
    element = field.type.value_type if is_list(field.type) else field.type
    if pa.types.is_boolean(element) or pa.types.is_integer(element) or pa.types.is_floating(element):
        return ""
    if pa.types.is_temporal(element):
        return f"{kind}; turn it into numbers in the pipeline (DateParts, Cast)"
    if pa.types.is_string(element) or pa.types.is_large_string(element):
        return f"{kind}; turn it into ids in the pipeline (Categorify, HashBucket)"
    return f"{kind}; only numbers, booleans and lists of them can be"


def is_list(dtype: pa.DataType) -> bool:
    """Of any length or of one."""
    return bool(pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype))


def least_bytes(schema: pa.Schema, rows: int) -> int:
    """What columns take on a device, at least: lists and strings of any length count with their offsets alone."""
    return sum(rows * _width(field.type) for field in schema)


def _width(dtype: pa.DataType) -> int:
    if pa.types.is_fixed_size_list(dtype):
        return int(dtype.list_size) * _width(dtype.value_type)
    try:
        return max(int(dtype.bit_width) // 8, 1)
    except ValueError:
        return 4


# On this process's side.


def _columns(table: pa.Table) -> Iterator[tuple[str, pa.Array]]:
    for name, column in zip(table.column_names, table.columns, strict=True):
        yield name, column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _on_host(torch: Any, wanted: Wanted, name: str, column: pa.Array) -> Tensor | Ragged:
    if not is_list(column.type):
        return _shared(torch, column)
    values = column.flatten()
    if values.null_count:
        raise _null_elements(wanted, name, values.null_count)
    if pa.types.is_fixed_size_list(column.type):
        return _shared(torch, values).reshape(len(column), column.type.list_size)
    offsets = column.offsets.cast(pa.int64())
    first = offsets[0].as_py() if len(offsets) else 0
    return Ragged(_shared(torch, values), _shared(torch, offsets) - first if first else _shared(torch, offsets))


def _shared(torch: Any, values: pa.Array) -> Tensor:
    """A tensor on the values of an Arrow array; booleans are bits there, and so are copied."""
    if pa.types.is_boolean(values.type):
        return torch.from_dlpack(values.cast(pa.uint8())).view(torch.bool)
    return torch.from_dlpack(values)


def _null_elements(wanted: Wanted, name: str, nulls: int) -> DataError:
    return DataError(
        f"column {name!r} has {nulls} nulls in its lists, and tensors have no nulls",
        hint="leave it out of `columns`, or read it with scan()",
        where=wanted.where,
    )


# On the device. What follows imports RAPIDS, and runs only where a GPU is.


@contextmanager
def _gpu(otherwise: str) -> Iterator[tuple[Gpu, ...]]:
    """The GPUs that are visible, if they can be used."""
    try:
        detect.choose("gpu", pool=0.0)
    except CapabilityError as problem:
        raise CapabilityError(problem.message, hint=f"`headrace doctor` says what is missing; {otherwise}") from None
    yield detect.gpus()


def _fits(wanted: Wanted, gpu: Gpu, device: str) -> None:
    """Refuse what cannot fit, before anything is read."""
    import rmm

    if wanted.rows > MOST_ROWS:
        raise CapabilityError(
            f"{wanted.rows:,} rows, and a column of cuDF holds at most {MOST_ROWS:,}",
            hint='read it in parts: files() lists the shards; device="cpu" has no such limit',
            where=wanted.where,
        )
    # A pool holds memory that NVML no longer counts as free, and has room in it.
    pooled = not isinstance(rmm.mr.get_current_device_resource(), rmm.mr.CudaMemoryResource)
    room = gpu.memory_bytes if pooled else gpu.free_bytes
    if room is not None and gpu.memory_bytes and wanted.least_bytes > room:
        raise GpuMemoryError(
            f"needs {_gigabytes(wanted.least_bytes)} or more on {device} ({gpu.name}), "
            f"which has {_gigabytes(room)}{'' if pooled else ' free'}",
            hint=_SMALLER,
            where=wanted.where,
        )


_SMALLER: Final = 'name fewer columns (columns=[...]), end other processes on this GPU, or take device="cpu"'


@contextmanager
def _memory(wanted: Wanted) -> Iterator[None]:
    from headrace.engines.gpu.memory import device_errors

    try:
        with device_errors():
            yield
    except GpuMemoryError as problem:
        raise GpuMemoryError(problem.message, hint=_SMALLER, where=wanted.where) from problem


def _decoded(wanted: Wanted) -> plc.io.TableWithMetadata:
    """The columns of all shards, on the current device and ready there."""
    import pylibcudf as plc
    from rmm.pylibrmm.stream import DEFAULT_STREAM

    source = plc.io.SourceInfo([str(path) for path in wanted.files])
    options = plc.io.parquet.ParquetReaderOptions.builder(source).column_names(wanted.schema.names).build()
    table = plc.io.parquet.read_parquet(options, stream=DEFAULT_STREAM)
    DEFAULT_STREAM.synchronize()
    return table


def _no_rows(schema: pa.Schema) -> pa.Table:
    """An empty table of types that cuDF has, which has one of lists."""
    fields = [pa.field(f.name, pa.list_(f.type.value_type) if is_list(f.type) else f.type) for f in schema]
    return pa.schema(fields).empty_table()


def _on_device(torch: Any, wanted: Wanted, arrow: Callable[[], pa.Table]) -> dict[str, Any]:
    if not wanted.files:
        empty = {name: _on_host(torch, wanted, name, column) for name, column in _columns(arrow())}
        return {
            name: Ragged(*(part.cuda() for part in made)) if isinstance(made, Ragged) else made.cuda()
            for name, made in empty.items()
        }
    table = _decoded(wanted)
    columns = dict(zip(table.column_names(include_children=False), table.columns, strict=True))
    return {field.name: _tensor(torch, wanted, field, columns[field.name]) for field in wanted.schema}


def _tensor(torch: Any, wanted: Wanted, field: pa.Field, column: plc.Column) -> Tensor | Ragged:
    if not is_list(field.type):
        return _of_buffer(torch, column)
    values = column.list_view().child()
    if values.null_count():
        raise _null_elements(wanted, field.name, values.null_count())
    if pa.types.is_fixed_size_list(field.type):
        return _of_buffer(torch, values).reshape(column.size(), field.type.list_size)
    return Ragged(_of_buffer(torch, values), _of_buffer(torch, column.list_view().offsets()).to(torch.int64))


def _of_buffer(torch: Any, column: plc.Column) -> Tensor:
    """A tensor on the memory of a column, which lives as long as the tensor does."""
    import cupy

    name = column.type().id().name
    dtype = "uint8" if name == "BOOL8" else name.lower()  # libcudf's names of numbers are NumPy's in capitals
    if column.size() == 0:
        array = cupy.empty(0, dtype)
    else:
        array = cupy.asarray(column.data()).view(dtype)[column.offset() : column.offset() + column.size()]
    tensor = torch.from_dlpack(array)
    return tensor.view(torch.bool) if name == "BOOL8" else tensor


def _gigabytes(count: int) -> str:
    return f"{count / (1 << 30):,.2f} GiB"
