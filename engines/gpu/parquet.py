"""Kernel `parquet` on the device: rows encoded by libcudf, a row group at a time."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, Final

import polars as pl
import pyarrow as pa
import pylibcudf as plc

from headrace.engines.gpu.footer import mended, zoneless_leaves
from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.gpu.memory import device_errors
from headrace.engines.kernels.parquet import (
    ARROW_SCHEMA,
    PAGE_BYTES,
    PAGE_ROWS,
    Layout,
    encoded_schema,
    has_nulls,
    stored_schema,
)

_LEAST_ROWS: Final = 5_000
"""libcudf counts the rows of a row group in fragments of this many."""

_ENDER: Final = 8
"""Bytes behind the footer: its length, and the letters PAR1."""


def gpu(sink: BinaryIO, rows: DeviceFrame, layout: Layout) -> tuple[int, ...]:
    """Write rows with libcudf's writer. It has no checksums of pages.

    Parameters
    ----------
    sink
        Needs `write` alone. It is given each column chunk once, in the order of the file.

    Raises
    ------
    DataError
        As the CPU's body, with the same words; the nulls are counted on the device.
    GpuMemoryError
        No memory for one encoded row group.
    OSError
        What the sink raised.

    Notes
    -----
    Cost: device memory for one encoded row group; every byte crosses the bus once. Where a dictionary is allowed,
    libcudf takes one as long as it is no larger than 1 MiB and makes the chunk smaller.

    A write ends a row group. One write of all rows would cut them at whole fragments of 5,000 rows instead, and give
    row groups of 130,000 rows for 131,072.
    """
    schema = stored_schema(rows.schema, layout.nullable)
    with device_errors():
        rows = _without_nulls(rows, layout)
        out = _Sink(sink)
        target = plc.io.SinkInfo([out])  # must outlive the writer, which uses it and keeps no reference
        options = _options(target, rows, layout, schema)
        writer = plc.io.parquet.ChunkedParquetWriter.from_options(options, stream=rows.stream)
        written = []
        try:
            for first in range(0, rows.height, layout.row_group_rows):
                group = rows.slice(first, min(layout.row_group_rows, rows.height - first))
                writer.write(group.table)
                out.check()
                written.append(group.height)
            if not written:
                writer.write(rows.table)  # the columns are known from the first write
            out.hold()
            writer.close([])
            out.release(zoneless_leaves(rows.schema))
        finally:
            out.shut()
            del writer  # writes a footer, if it was not closed; `out` must still be there
    return tuple(written)


def has_durations(dtype: pl.DataType) -> bool:
    """Whether there are durations in a column, which libcudf stores as times of day unless it writes its own schema."""
    inner = [dtype.inner] if isinstance(dtype, pl.List) else []
    inner += [field.dtype for field in dtype.fields] if isinstance(dtype, pl.Struct) else []
    return dtype == pl.Duration or any(isinstance(d, pl.DataType) and has_durations(d) for d in inner)


def _options(
    target: plc.io.SinkInfo, rows: DeviceFrame, layout: Layout, schema: pa.Schema
) -> plc.io.parquet.ChunkedParquetWriterOptions:
    none, zstd = plc.io.types.CompressionType.NONE, plc.io.types.CompressionType.ZSTD
    never, adaptive = plc.io.types.DictionaryPolicy.NEVER, plc.io.types.DictionaryPolicy.ADAPTIVE
    options = (
        plc.io.parquet.ChunkedParquetWriterOptions.builder(target)
        .metadata(table_metadata(rows, layout))
        # The schema that Arrow would have written: libcudf's own has neither zones nor large strings.
        .key_value_metadata([{ARROW_SCHEMA: encoded_schema(schema)}])
        .write_arrow_schema(any(map(has_durations, rows.schema.dtypes())))
        .compression(zstd if layout.compression == "zstd" else none)
        .stats_level(plc.io.types.StatisticsFreq.STATISTICS_ROWGROUP)
        .row_group_size_rows(max(layout.row_group_rows, _LEAST_ROWS))
        .max_page_size_bytes(PAGE_BYTES)
        .max_page_size_rows(PAGE_ROWS)
        .build()
    )
    options.set_dictionary_policy(adaptive if layout.dictionary else never)
    return options


def table_metadata(rows: DeviceFrame, layout: Layout) -> plc.io.types.TableInputMetadata:
    """Names, nulls, encodings and precisions of all columns."""
    metadata = plc.io.types.TableInputMetadata(rows.table)
    for column, (name, dtype) in zip(metadata.column_metadata, rows.schema.items(), strict=True):
        encoding = plc.io.types.ColumnEncoding.PLAIN
        if name in layout.byte_stream_split:
            encoding = plc.io.types.ColumnEncoding.BYTE_STREAM_SPLIT
        elif name in layout.dictionary:
            # With DICTIONARY libcudf would warn of every chunk that is better without one.
            encoding = plc.io.types.ColumnEncoding.USE_DEFAULT
        column.set_name(name)
        _describe(column, dtype, 0 if name in layout.nullable else 2, encoding)
    return metadata


def _describe(
    column: plc.io.types.ColumnInMetadata, dtype: Any, required: int, encoding: plc.io.types.ColumnEncoding
) -> None:
    """What Polars' types say and libcudf's do not; the first `required` levels of a column are REQUIRED."""
    plain = plc.io.types.ColumnEncoding.PLAIN
    column.set_nullability(required <= 0)
    if isinstance(dtype, pl.List):
        split = encoding == plc.io.types.ColumnEncoding.BYTE_STREAM_SPLIT
        _describe(column.child(1), dtype.inner, required - 1, encoding if split else plain)
    elif isinstance(dtype, pl.Struct):
        for i, field in enumerate(dtype.fields):
            column.child(i).set_name(field.name)
            _describe(column.child(i), field.dtype, 0, plain)
    else:
        column.set_encoding(encoding)
        if isinstance(dtype, pl.Decimal):
            column.set_decimal_precision(dtype.precision)


def _without_nulls(rows: DeviceFrame, layout: Layout) -> DeviceFrame:
    """The rows, if they hold nulls only where they may."""
    for name, dtype in rows.schema.items():
        if name in layout.nullable:
            continue
        column = rows.column(name)
        if nulls := column.null_count():
            raise has_nulls(name, f"{nulls} nulls in {rows.height} rows")
        if isinstance(dtype, pl.List) and rows.height:
            if items := column.list_view().get_sliced_child(stream=rows.stream).null_count():
                raise has_nulls(name, f"{items} nulls in its lists")
            if column.list_view().child().null_count():  # in rows of others: libcudf looks at all items behind a slice
                rows = rows.with_column(name, column.copy(stream=rows.stream), dtype)
    return rows


class _Sink(io.BytesIO):
    """What libcudf writes to; it passes on and keeps nothing.

    libcudf drops what `write` raises, so that is kept for `check` to raise.
    """

    def __init__(self, sink: BinaryIO) -> None:
        super().__init__()
        self._sink: BinaryIO | None = sink
        self._failure: BaseException | None = None
        self._held: bytearray | None = None
        self._bytes = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._bytes += size
        if self._held is not None:
            self._held += data
        elif self._sink is not None and self._failure is None:
            try:
                self._sink.write(data)
            except BaseException as problem:
                self._failure = problem.with_traceback(None)  # whose frames would keep rows alive
        return size

    def tell(self) -> int:
        return self._bytes

    def flush(self) -> None:
        """The sink belongs to the caller."""

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def hold(self) -> None:
        """Keep what comes from now on: the footer."""
        self._held = bytearray()

    def release(self, zoneless: list[bool]) -> None:
        """Write the footer that was held."""
        footer, self._held = bytes(self._held or b""), None
        self.write(mended(footer[:-_ENDER], zoneless) + footer[-_ENDER:])
        self.check()

    def shut(self) -> None:
        """Let nothing through any more."""
        self._sink = None
