"""Parquet by Arrow's writer and reader, told what libcudf would do.

Source of what libcudf does: its headers and cpp/src/io/parquet/writer_impl.cu of https://github.com/rapidsai/cudf.
"""

from __future__ import annotations

import base64
import inspect
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pylibcudf.types import DataType, TypeId
from tests.imitation.arrays import Stream, made, ready
from tests.imitation.column import Column
from tests.imitation.io.types import (
    ColumnEncoding,
    ColumnInMetadata,
    CompressionType,
    DictionaryPolicy,
    SinkInfo,
    SourceInfo,
    StatisticsFreq,
    TableInputMetadata,
    TableWithMetadata,
)
from tests.imitation.table import Table

_FRAGMENT: Final = 5_000
_SECOND: Final = b"ARROW:schemb"
"""Stands for a second schema under the same key, which Arrow's writer would not write."""

_NAMES: Final = {CompressionType.NONE: "none", CompressionType.SNAPPY: "snappy", CompressionType.ZSTD: "zstd"}
_LIMITS_ROWS: Final = "max_rows_per_page" in inspect.signature(pq.ParquetWriter).parameters


class ChunkedParquetWriterOptions:
    """How to write."""

    def __init__(self) -> None:
        self._sink: SinkInfo
        self._said: dict[str, Any] = {"dictionary_policy": DictionaryPolicy.ADAPTIVE}

    @staticmethod
    def builder(sink: SinkInfo) -> ChunkedParquetWriterOptionsBuilder:
        if not isinstance(sink, SinkInfo):
            raise TypeError(f"sink must be a SinkInfo, got {type(sink).__name__}")
        made = ChunkedParquetWriterOptionsBuilder()
        made._options._sink = sink
        return made

    def set_dictionary_policy(self, policy: DictionaryPolicy) -> None:
        self._said["dictionary_policy"] = DictionaryPolicy(policy)


class ChunkedParquetWriterOptionsBuilder:
    """Collects how to write."""

    def __init__(self) -> None:
        self._options = ChunkedParquetWriterOptions()

    def metadata(self, metadata: TableInputMetadata) -> ChunkedParquetWriterOptionsBuilder:
        return self._say(metadata=metadata)

    def key_value_metadata(self, metadata: Sequence[Mapping[str, str]]) -> ChunkedParquetWriterOptionsBuilder:
        [pairs] = metadata  # one for each sink
        return self._say(key_value_metadata=dict(pairs))

    def compression(self, compression: CompressionType) -> ChunkedParquetWriterOptionsBuilder:
        return self._say(compression=CompressionType(compression))

    def stats_level(self, sf: StatisticsFreq) -> ChunkedParquetWriterOptionsBuilder:
        return self._say(stats_level=StatisticsFreq(sf))

    def row_group_size_rows(self, val: int) -> ChunkedParquetWriterOptionsBuilder:
        if val < _FRAGMENT:
            raise RuntimeError("The maximum row group size cannot be smaller than the fragment size")
        return self._say(row_group_size_rows=val)

    def max_page_size_bytes(self, val: int) -> ChunkedParquetWriterOptionsBuilder:
        return self._say(max_page_size_bytes=val)

    def max_page_size_rows(self, val: int) -> ChunkedParquetWriterOptionsBuilder:
        return self._say(max_page_size_rows=val)

    def write_arrow_schema(self, enabled: bool) -> ChunkedParquetWriterOptionsBuilder:
        return self._say(write_arrow_schema=enabled)

    def build(self) -> ChunkedParquetWriterOptions:
        return self._options

    def _say(self, **what: Any) -> ChunkedParquetWriterOptionsBuilder:
        self._options._said |= what
        return self


class ChunkedParquetWriter:
    """Writes tables, each into row groups of its own. It does not keep its sink alive, and closes when it dies."""

    def __init__(self) -> None:
        raise ValueError("made by from_options")

    _said: dict[str, Any]
    _target: weakref.ref[SinkInfo]
    _writer: pq.ParquetWriter | None
    _closed: bool
    _out: _Out

    @staticmethod
    def from_options(options: ChunkedParquetWriterOptions, stream: Stream | None = None) -> ChunkedParquetWriter:
        ready(stream, None, options=(options, ChunkedParquetWriterOptions))
        writer = ChunkedParquetWriter.__new__(ChunkedParquetWriter)
        writer._said, writer._target = options._said, weakref.ref(options._sink)
        writer._writer, writer._closed, writer._out = None, False, _Out(writer._target)
        writer._out.send(b"PAR1")
        return writer

    def write(self, table: Table, partitions_info: object = None) -> None:
        if self._closed:
            raise RuntimeError("Data has already been flushed to out and closed")
        metadata = self._said.get("metadata") or TableInputMetadata(table)
        said = list(zip(metadata.column_metadata, table.columns(), strict=True))
        for i, (column, _) in enumerate(said):
            if not column.get_name():
                column.set_name(f"_col{i}")
        fields = [self._field(column, column.get_name(), held._array) for column, held in said]
        schema = pa.schema(fields)
        if self._writer is None:
            self._writer = self._opened(schema, [column for column, _ in said])
        elif self._writer.schema != schema:
            raise RuntimeError("Mismatch in schema between multiple calls to write_chunk")
        arrays = [_stored(held._array, field.type) for (_, held), field in zip(said, fields, strict=True)]
        whole = pa.Table.from_arrays(arrays, schema=schema)
        for first, rows in self._row_groups(whole.num_rows):
            self._writer.write_table(whole.slice(first, rows), row_group_size=rows)

    def close(self, metadata_file_path: list[str]) -> memoryview:
        if not self._closed and self._writer is not None:  # nothing at all is written where nothing was
            self._writer.close()
        self._closed = True
        target = self._target()
        if target is not None:
            target._close()
        return memoryview(b"")

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close([])

    def _opened(self, schema: pa.Schema, columns: list[ColumnInMetadata]) -> pq.ParquetWriter:
        leaves = [leaf for column in columns for leaf in _leaves(column, column.get_name())]
        never = self._said["dictionary_policy"] == DictionaryPolicy.NEVER
        default = ColumnEncoding.USE_DEFAULT, ColumnEncoding.DICTIONARY
        split = [path for path, encoding in leaves if encoding == ColumnEncoding.BYTE_STREAM_SPLIT]
        rows = {"max_rows_per_page": self._said.get("max_page_size_rows", 20_000)} if _LIMITS_ROWS else {}
        writer = pq.ParquetWriter(
            self._out,
            schema,
            version="2.6",
            compression=_NAMES[self._said.get("compression", CompressionType.SNAPPY)],
            use_dictionary=[path for path, encoding in leaves if encoding in default and not never] or False,
            column_encoding=dict.fromkeys(split, "BYTE_STREAM_SPLIT") or None,
            write_statistics=self._said.get("stats_level") != StatisticsFreq.STATISTICS_NONE,
            data_page_size=self._said.get("max_page_size_bytes", 512 * 1024),
            store_schema=False,
            **rows,
        )
        own = {_SECOND.decode(): _encoded(columns)} if self._said.get("write_arrow_schema") else {}
        writer.add_key_value_metadata(self._said.get("key_value_metadata", {}) | own)
        return writer

    def _row_groups(self, rows: int) -> Iterator[tuple[int, int]]:
        """Fragments of 5,000 rows, as many as fit into the limit."""
        limit = self._said.get("row_group_size_rows", 1_000_000)
        first = 0
        for start in range(0, rows, _FRAGMENT):
            if start > first and min(start + _FRAGMENT, rows) - first > limit:
                yield first, start - first
                first = start
        if rows:
            yield first, rows - first

    def _field(self, column: ColumnInMetadata, name: str, array: pa.Array) -> pa.Field:
        nullable = column._nullable is not False
        if not nullable and array.null_count:
            raise RuntimeError("Mismatch in metadata prescribed nullability and input column.")
        if column._type == TypeId.LIST:
            return pa.field(name, pa.list_(self._field(column.child(1), "element", array.values)), nullable)
        if column._type == TypeId.STRUCT:
            fields = [
                self._field(child, child.get_name() or f"{name}_{i}", array.field(i))
                for i, child in enumerate(column._children)
            ]
            return pa.field(name, pa.struct(fields), nullable)
        return pa.field(name, _parquet_type(column, bool(self._said.get("write_arrow_schema"))), nullable)


class ParquetReaderOptions:
    """What to read."""

    def __init__(self) -> None:
        self._source: SourceInfo
        self._row_groups: list[list[int]] | None = None

    @staticmethod
    def builder(source: SourceInfo) -> ParquetReaderOptionsBuilder:
        made = ParquetReaderOptionsBuilder()
        made._options._source = source
        return made

    def set_row_groups(self, row_groups: list[list[int]]) -> None:
        if len(row_groups) != len(self._source._paths):
            raise RuntimeError("Must specify row groups for each source")
        self._row_groups = row_groups


class ParquetReaderOptionsBuilder:
    """Collects what to read."""

    def __init__(self) -> None:
        self._options = ParquetReaderOptions()

    def build(self) -> ParquetReaderOptions:
        return self._options


def read_parquet(
    options: ParquetReaderOptions,
    stream: Stream | None = None,
    mr: None = None,
    parquet_metadatas: None = None,
) -> TableWithMetadata:
    """The rows of the row groups, in the order of the files, under libcudf's types: without zones and precisions."""
    ready(stream, mr, options=(options, ParquetReaderOptions), parquet_metadatas=(parquet_metadatas, type(None)))
    tables = []
    for i, path in enumerate(options._source._paths):
        with pq.ParquetFile(path) as file:
            groups = range(file.num_row_groups) if options._row_groups is None else options._row_groups[i]
            tables.append(file.read_row_groups(list(groups)))
    whole = pa.concat_tables(tables)
    columns = [column_of(pa.concat_arrays(c.chunks) if c.num_chunks else pa.array([], c.type)) for c in whole.columns]
    return TableWithMetadata(Table(columns, whole.num_rows), [(name, []) for name in whole.column_names])


def column_of(array: pa.Array) -> Column:
    """An Arrow array as a column of libcudf's types."""
    plain = array.cast(_plain(array.type))
    if pa.types.is_list(plain.type):
        return made(DataType(TypeId.LIST), plain)
    if pa.types.is_struct(plain.type):
        return made(DataType(TypeId.STRUCT), plain)
    return made(DataType.from_arrow(plain.type), plain)


class _Out:
    """What Arrow's writer writes to: it passes on all but the first letters, which were written already."""

    def __init__(self, target: weakref.ref[SinkInfo]) -> None:
        self._target = target
        self._size = 0
        self.closed = False

    def send(self, data: bytes) -> None:
        target = self._target()
        if target is None:
            raise AssertionError("the sink is gone: libcudf would write to memory that is not its own")
        target._write(data)

    def write(self, data: Any) -> int:
        data = bytes(data).replace(_SECOND, b"ARROW:schema")
        self.send(data[max(0, 4 - self._size) :])
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def _plain(dtype: pa.DataType) -> pa.DataType:
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype):
        return pa.list_(_plain(dtype.value_type))
    if pa.types.is_struct(dtype):
        return pa.struct([(field.name, _plain(field.type)) for field in dtype])
    if pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype):
        return pa.string()
    if pa.types.is_timestamp(dtype):
        return pa.timestamp(dtype.unit)
    if pa.types.is_decimal(dtype):
        return pa.decimal128(38, dtype.scale)
    return dtype


def _parquet_type(column: ColumnInMetadata, arrow_schema: bool) -> pa.DataType:
    """All times are UTC; durations are times of day, unless the types are written beside them."""
    dtype = column._array
    if pa.types.is_timestamp(dtype):
        return pa.timestamp(dtype.unit, "UTC")
    if pa.types.is_decimal(dtype):
        return pa.decimal128(column._precision or 38, dtype.scale)
    if pa.types.is_duration(dtype) and not arrow_schema:
        return pa.time64(dtype.unit) if dtype.unit in ("us", "ns") else pa.time32("ms")
    return pa.int64() if pa.types.is_duration(dtype) else dtype


def _stored(array: pa.Array, dtype: pa.DataType) -> pa.Array:
    if pa.types.is_duration(array.type):
        return array.cast(pa.int64()).cast(dtype)
    return array.cast(dtype)


def _leaves(column: ColumnInMetadata, path: str) -> Iterator[tuple[str, ColumnEncoding]]:
    if column._type == TypeId.LIST:
        yield from _leaves(column.child(1), f"{path}.list.element")
    elif column._type == TypeId.STRUCT:
        for child in column._children:
            yield from _leaves(child, f"{path}.{child.get_name()}")
    else:
        yield path, column._encoding


def _encoded(columns: list[ColumnInMetadata]) -> str:
    """The schema that libcudf writes: views for strings, UTC for all times."""
    schema = pa.schema([(column.get_name(), _libcudf_type(column._array)) for column in columns])
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def _libcudf_type(dtype: pa.DataType) -> pa.DataType:
    if pa.types.is_string(dtype):
        return pa.string_view()
    return pa.timestamp(dtype.unit, "UTC") if pa.types.is_timestamp(dtype) else dtype
