"""Runs a LazyFrame on the device and leaves the rows there.

This is the only module that uses what is private in cudf-polars: its translator, its plan nodes and its container of
columns. It was written against 26.10; `headrace.engines.translation.require` refuses other versions by name, and
tests bind what is used here against the installed package.
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
from cudf_polars.dsl.translate import Translator
from polars.io.plugins import register_io_source

from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.gpu.memory import device_errors
from headrace.schemas.errors import HeadraceError

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
    node = translated(frame)
    with device_errors(), _on_device(True):
        return evaluated(node, frame)


def translated(frame: pl.LazyFrame) -> Any:
    """The query as cudf-polars' plan; needs no device.

    Raises
    ------
    Untranslatable
        With every reason.
    """
    translator = Translator(frame._ldf.visit(), _engine())
    node = translator.translate_ir()
    if translator.errors:
        raise Untranslatable([str(error) for error in translator.errors])
    return node


def evaluated(node: Any, frame: pl.LazyFrame) -> DeviceFrame:  # noqa: ARG001  for imitations in tests
    """What the plan of a query gives."""
    return unpacked(node.evaluate(cache={}, timer=None, context=IRExecutionContext()))


def run_on_host(frame: pl.LazyFrame) -> pl.DataFrame:
    """Run a query with Polars; the rows of its sources are copied from the device as it asks for them."""
    failures.clear()
    with _on_device(False):
        try:
            return frame.collect()
        except pl.exceptions.ComputeError:
            if failures:  # Polars tells of an error in a source by its text alone
                raise failures[0] from None
            raise


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
        try:
            made = compute(wanted).select(wanted)
        except (HeadraceError, Untranslatable) as problem:
            failures.append(problem)
            raise
        if getattr(_place, "device", False):  # cudf-polars filters for itself
            yield packed(made)
            return
        host = to_polars(made)
        if predicate is not None:
            host = host.filter(predicate)
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


failures: list[Exception] = []
"""What went wrong in the sources of the last query that Polars ran, the first of them the cause."""

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
