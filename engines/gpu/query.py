"""Runs a LazyFrame on the device and leaves the rows there.

This module and `dialect` are the only ones that use what is private in cudf-polars: its translator, its nodes and its
container of columns. They were written against 26.10; `headrace.engines.translation.require` refuses other versions by
name, and tests bind what is used here against the installed package.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import polars as pl
import pylibcudf as plc
from cudf_polars.containers import DataFrame as Container
from cudf_polars.containers import DataType
from cudf_polars.dsl.ir import IRExecutionContext
from polars.io.plugins import register_io_source

from headrace.engines.gpu.dialect.translator import Dialect
from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.gpu.memory import device_errors

PASS_BYTES: Final = 8 << 30
"""Device memory that decoding a Parquet file may take beside its result: a column chunk can inflate a hundredfold."""


class Untranslatable(Exception):
    """A query that cudf-polars cannot run; `reasons` says why, a line each."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(dict.fromkeys(reasons))


def run(frame: pl.LazyFrame) -> DeviceFrame:
    """Run a query on this process's device, with its current memory resource. The rows stay on the device.

    Raises
    ------
    Untranslatable
        Before anything runs.
    GpuMemoryError
        The device has no memory left.
    RunError
        The device failed otherwise.
    """
    return prepared(frame)()


def prepared(frame: pl.LazyFrame) -> Callable[[], DeviceFrame]:
    """What runs a query, as often as it is called: its sources are asked anew each time.

    Raises
    ------
    Untranslatable
        Before anything runs.
    """
    node = translated(frame)

    def evaluate() -> DeviceFrame:
        with device_errors(), _on_device(True):
            return evaluated(node, frame)

    return evaluate


def translated(frame: pl.LazyFrame) -> Any:
    """The query as cudf-polars' plan; needs no device.

    Raises
    ------
    Untranslatable
        With every reason.
    """
    translator = Dialect(frame._ldf.visit(), _engine())
    node = translator.translate_ir()
    if translator.errors:
        raise Untranslatable([str(error) for error in translator.errors])
    return node


def evaluated(node: Any, frame: pl.LazyFrame) -> DeviceFrame:  # noqa: ARG001  for imitations in tests
    """What the plan of a query gives."""
    return unpacked(node.evaluate(cache={}, timer=None, context=IRExecutionContext()))


def run_on_host(frame: pl.LazyFrame) -> pl.DataFrame:
    """Run a query with Polars; the rows of its sources are copied from the device as it asks for them.

    Raises
    ------
    BaseException
        What a source raised, as it was: Polars tells of it by its text alone, also of a Ctrl-C.
    """
    mine: list[BaseException] = []
    _failures[id(mine)] = mine
    try:
        with _on_device(False):
            return frame.collect()
    except pl.exceptions.ComputeError:
        if mine:
            raise mine[0] from None
        raise
    finally:
        del _failures[id(mine)]
        mine.clear()  # their tracebacks hold rows


def as_source(schema: pl.Schema, compute: Callable[[list[str]], DeviceFrame]) -> pl.LazyFrame:
    """A query whose rows `compute` makes when it is run, asked for no more columns than the rest of the query needs.

    Parameters
    ----------
    schema
        All columns there can be.
    compute
        From names of columns to these columns, in this order. It must give equal rows whenever it is asked.
    """

    def rows(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch: int | None
    ) -> Iterator[Any]:
        wanted = schema.names() if with_columns is None else list(with_columns)
        asked = wanted or schema.names()[:1]  # rows can be counted without any column, but not computed
        if getattr(_place, "device", False):  # cudf-polars filters for itself, and hands errors on
            yield packed(compute(asked).select(wanted))
            return
        try:
            with device_errors():
                host = to_polars(compute(asked).select(asked))
        except BaseException as problem:
            for failures in list(_failures.values()):
                failures.append(problem)
            raise
        if predicate is not None:
            host = host.filter(predicate)
        if not wanted:
            host = pl.DataFrame(height=host.height)
        yield host if n_rows is None else host.head(n_rows)

    return register_io_source(rows, schema=schema, is_pure=True)


def from_polars(frame: pl.DataFrame) -> DeviceFrame:
    """A copy of a frame on the device."""
    with device_errors():
        return unpacked(Container.from_polars(frame, stream=plc.utils._get_stream()))


def to_polars(frame: DeviceFrame) -> pl.DataFrame:
    """A copy of the rows in this process's memory."""
    with device_errors():
        host: pl.DataFrame = packed(frame).to_polars()
        return host


def packed(frame: DeviceFrame) -> Any:
    """The same columns in cudf-polars' container."""
    dtypes = [DataType(dtype) for dtype in frame.schema.dtypes()]
    return Container.from_table(frame.table, frame.schema.names(), dtypes, frame.stream)


def unpacked(container: Any) -> DeviceFrame:
    """The columns of cudf-polars' container."""
    schema = pl.Schema({column.name: column.dtype.polars_type for column in container.columns})
    return DeviceFrame(container.table, schema, container.stream)


_failures: dict[int, list[BaseException]] = {}
"""What goes wrong in sources while Polars runs a query, by query; Polars calls them on threads of its own."""

_place = threading.local()


@contextmanager
def _on_device(device: bool) -> Iterator[None]:
    """What the sources of a query that this thread runs are to yield."""
    before = getattr(_place, "device", False)
    _place.device = device
    try:
        yield
    finally:
        _place.device = before


def _engine() -> pl.GPUEngine:
    return pl.GPUEngine(executor="in-memory", raise_on_fail=True, parquet_options={"pass_read_limit": PASS_BYTES})
