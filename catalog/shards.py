"""Shards: Parquet files laid out for training, hashed while they are written, atomic, equal bytes for equal tables."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalog.files import durable_file
from headrace.catalog.manifest import File, relative_path
from headrace.schemas.errors import DataError

ROW_GROUP_ROWS: Final = 131_072
"""Flat between 64 Ki and 256 Ki; at 1 Mi a shuffled read is 1.7x slower."""

Profile = Literal["fast", "cold"]


def write_shard(
    root: Path,
    path: str,
    table: pa.Table,
    *,
    profile: Profile = "fast",
    dictionary: Collection[str] = frozenset(),
    nullable: Collection[str] = frozenset(),
) -> File:
    """Write `table` to `root/path` in one atomic step and describe it.

    Row groups of 131,072 rows, a checksum on every page, column statistics, PLAIN encoding but for the columns in
    `dictionary`. Equal tables give equal bytes however their chunks are cut.

    Parameters
    ----------
    root, path
        The build's folder, and the shard's path in it: ``train/part-00000.parquet``. Folders are made.
    table
        Any Arrow table; categories (dictionary arrays) are written as their values, views as large strings,
        metadata is dropped.
    profile
        ``fast``: no compression. ``cold``: zstd, floats with BYTE_STREAM_SPLIT.
    dictionary
        Columns to encode with a dictionary; worth it where distinct values < rows / 8.
    nullable
        Columns that may hold nulls (OPTIONAL); all others are REQUIRED, which decodes nearly three times as fast.

    Raises
    ------
    DataError
        A column that is not in `nullable` holds nulls; the file is already there.

    Notes
    -----
    Cost: one pass, and one row group of memory above the table.
    """
    relative_path(path)
    table = plain_table(table, nullable=nullable, where=path)
    floats = [name for field in table.schema for name in _float_leaves(field) if field.name not in dictionary]
    cold = profile == "cold"
    row_groups: list[int] = []
    with durable_file(root / path) as out:
        sink = _HashingSink(out)
        with pq.ParquetWriter(
            sink,
            table.schema,
            version="2.6",
            data_page_version="1.0",
            compression="zstd" if cold else "none",
            use_dictionary=sorted(dictionary) or False,
            column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT") if cold and floats else None,
            write_statistics=True,
            write_page_checksum=True,
            store_schema=True,
        ) as writer:
            for start in range(0, table.num_rows, ROW_GROUP_ROWS):
                # One chunk a row group: the writer's page boundaries would follow the chunks otherwise.
                group = table.slice(start, ROW_GROUP_ROWS).combine_chunks()
                writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
                row_groups.append(group.num_rows)
    return File(
        path=path,
        bytes=sink.bytes,
        sha256=sink.hash.hexdigest(),
        rows=table.num_rows,
        row_groups=tuple(row_groups),
    )


def shard_path(split: str, number: int) -> str:
    """``train/part-00000.parquet``."""
    return f"{split}/part-{number:05d}.parquet"


def plain_table(table: pa.Table, *, nullable: Collection[str] = frozenset(), where: str = "") -> pa.Table:
    """The table as it will be stored: no dictionaries, views or metadata, REQUIRED unless named in `nullable`.

    Items of lists are required where their column is. Raises DataError for a null that is not allowed.
    """
    if missing := sorted(set(nullable) - set(table.column_names)):
        raise DataError(f"nullable names columns that are not there: {', '.join(missing)}", where=where)
    columns = []
    fields = []
    for field, column in zip(table.schema, table.columns, strict=True):
        required = field.name not in nullable
        if required and (nulls := column.null_count):
            raise _nulls(field.name, f"{nulls} nulls in {table.num_rows} rows", where)
        stored = _stored_type(field.type)
        if stored != field.type:
            column = column.cast(stored)
        if required and _is_list(stored):
            if items := sum(chunk.flatten().null_count for chunk in column.chunks):
                raise _nulls(field.name, f"{items} nulls in its lists", where)
            column = _required_items(column)
        columns.append(column)
        fields.append(pa.field(field.name, column.type, nullable=not required))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _nulls(name: str, what: str, where: str) -> DataError:
    return DataError(
        f"column {name!r} is published as required and has {what}",
        hint="fill it (FillNull), drop the rows (DropNull), or let it be nullable",
        where=where,
    )


def _is_list(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(dtype) or pa.types.is_list(dtype) or pa.types.is_large_list(dtype))


def _required_items(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Lists without nulls, of a type that says so. No values are copied."""
    item = pa.field("element", column.type.value_type, nullable=False)
    if pa.types.is_fixed_size_list(column.type):
        dtype = pa.list_(item, column.type.list_size)
        chunks = [pa.FixedSizeListArray.from_arrays(chunk.flatten(), type=dtype) for chunk in column.chunks]
    else:
        large = pa.types.is_large_list(column.type)
        dtype = pa.large_list(item) if large else pa.list_(item)
        kind = pa.LargeListArray if large else pa.ListArray
        chunks = [kind.from_arrays(chunk.offsets, chunk.values, type=dtype) for chunk in column.chunks]
    return pa.chunked_array(chunks, type=dtype)


def _stored_type(dtype: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(dtype):
        return _stored_type(dtype.value_type)
    if pa.types.is_string_view(dtype):
        return pa.large_string()
    if pa.types.is_binary_view(dtype):
        return pa.large_binary()
    return dtype


def _float_leaves(field: pa.Field) -> list[str]:
    """The dotted names by which the Parquet writer knows the float columns of a field."""
    if pa.types.is_float32(field.type) or pa.types.is_float64(field.type):
        return [field.name]
    if _is_list(field.type):
        inner = field.type.value_type
        if pa.types.is_float32(inner) or pa.types.is_float64(inner):
            return [f"{field.name}.list.element"]
    return []


class _HashingSink:
    """A file for Arrow to write to that counts and hashes what goes through, so that nothing is read again."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self.hash = hashlib.sha256()
        self.bytes = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._out.write(view)
        self.hash.update(view)
        self.bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        self._out.flush()

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True  # the file belongs to durable_file, which syncs and renames it
