"""The GPU engine on the imitation: the stand-in for pylibcudf in its modules, its queries run by Polars."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pytest
import tests.imitation as imitated_plc
from cudf_polars.containers import DataType
from tests.engines.gpu.plans import problems
from tests.imitation.arrays import Stream, arrow_type, made

from headrace.engines import gpu
from headrace.engines.gpu import query
from headrace.engines.gpu.frame import DeviceFrame

REAL: Final = {"evaluated": query.evaluated, "from_polars": query.from_polars, "to_polars": query.to_polars}


@pytest.fixture
def imitated() -> Iterator[None]:
    """For a test: the GPU engine on the imitation."""
    with imitation():
        yield


@contextmanager
def imitation() -> Iterator[None]:
    """The same for a block, in all modules of `headrace.engines.gpu`, also for names they imported from `query`."""
    stand_ins = {"evaluated": evaluated, "from_polars": from_polars, "to_polars": to_polars}
    with pytest.MonkeyPatch.context() as patch:
        for module in modules():
            if hasattr(module, "plc"):
                patch.setattr(module, "plc", imitated_plc)
            for name, real in REAL.items():
                if getattr(module, name, None) is real:
                    patch.setattr(module, name, stand_ins[name])
        yield


def modules() -> list[ModuleType]:
    """The modules of `headrace.engines.gpu`."""
    found = pkgutil.iter_modules(gpu.__path__)
    return [importlib.import_module(f"{gpu.__name__}.{module.name}") for module in found]


def evaluated(plan: Any, frame: pl.LazyFrame) -> DeviceFrame:
    """What a query gives that cudf-polars has translated, by Polars; the plan has to be one that it can evaluate."""
    assert problems(plan) == []
    return from_polars(query.run_on_host(frame))


def from_polars(frame: pl.DataFrame) -> DeviceFrame:
    """Columns of the imitation, of the types that cudf-polars would give them."""
    columns: list[Any] = [made(DataType(s.dtype).plc_type, _arrow(s)) for s in frame]
    table: Any = imitated_plc.Table(columns, num_rows=frame.height)
    stream: Any = Stream()
    return DeviceFrame(table, frame.schema, stream)


def to_polars(frame: DeviceFrame) -> pl.DataFrame:
    """The rows, if every column is of the type that the schema says."""
    if not frame.schema:
        return pl.DataFrame(height=frame.height)
    series = []
    columns: Any = frame.table.columns()
    for (name, dtype), column in zip(frame.schema.items(), columns, strict=True):
        wanted, got = DataType(dtype).plc_type, column.type()
        if got != wanted:
            raise TypeError(f"{name!r} is {got.id().name} on the device, but {dtype} in the schema: {wanted.id().name}")
        values = pl.Series(name, column._array)
        if isinstance(dtype, pl.Datetime):
            values = values.cast(pl.Int64)
        series.append(values.cast(dtype))
    return pl.DataFrame(series, schema=frame.schema)


def _arrow(series: pl.Series) -> pa.Array:
    if isinstance(series.dtype, pl.Datetime):  # the device keeps no zone
        series = series.to_physical().cast(pl.Datetime(series.dtype.time_unit))
    array = series.to_arrow()
    if pa.types.is_nested(array.type):
        return array.cast(_plain(array.type))
    return array.cast(arrow_type(DataType(series.dtype).plc_type))


def _plain(dtype: pa.DataType) -> pa.DataType:
    """Arrow's types with 32-bit offsets, which are libcudf's."""
    if pa.types.is_large_list(dtype) or pa.types.is_list(dtype):
        return pa.list_(_plain(dtype.value_type))
    if pa.types.is_struct(dtype):
        return pa.struct([field.with_type(_plain(field.type)) for field in dtype])
    return pa.string() if pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype) else dtype
