"""Kernel `parquet`: rows as a Parquet file laid out for training.

Contract: the rows in their order, in row groups of `Layout.row_group_rows` (the last may hold fewer), in pages of at
most 20,000 rows and about 1 MiB. A column is REQUIRED, and so are the items of its lists, unless it is named in
`nullable`; a null where none may be is an error and says how many there are. The file's Arrow schema is that of
`plain_table` whatever the engine, so that zones, lists and decimals read back as the types they were. Every column
chunk has statistics. Columns are PLAIN but for those in `dictionary`, where a dictionary is used as long as it is
small, and floats in `byte_stream_split`. The answer is the number of rows of each row group; the sink is left open.

Equal rows need not give equal bytes on two engines. Checksums of pages are written by the CPU's body only: libcudf has
no setting for them.
"""

from __future__ import annotations

import base64
from collections.abc import Collection
from typing import BinaryIO, Final, Literal, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.schemas.errors import DataError

ROW_GROUP_ROWS: Final = 131_072
"""Flat between 64 Ki and 256 Ki; at 1 Mi a shuffled read is 1.7x slower."""

PAGE_BYTES: Final = 1 << 20
"""Arrow's own limit, which other bodies are told."""

PAGE_ROWS: Final = 20_000
"""Arrow's own limit, which other bodies are told."""

ARROW_SCHEMA: Final = "ARROW:schema"
"""The footer's key under which readers look for the Arrow types that Parquet's own do not tell apart."""

Compression = Literal["none", "zstd"]


class Layout(NamedTuple):
    """How a file is laid out.

    Parameters
    ----------
    dictionary
        Columns that may be encoded with a dictionary; lists never are.
    nullable
        Columns that may hold nulls (OPTIONAL); all others are REQUIRED.
    byte_stream_split
        Columns of floats, or of lists of floats, to encode with BYTE_STREAM_SPLIT.
    """

    row_group_rows: int = ROW_GROUP_ROWS
    compression: Compression = "none"
    dictionary: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    byte_stream_split: tuple[str, ...] = ()


def cpu(sink: BinaryIO, rows: pa.Table | pl.DataFrame, layout: Layout) -> tuple[int, ...]:
    """Write rows with Arrow's writer, a checksum on every page. Equal rows give equal bytes however they are cut.

    Parameters
    ----------
    sink
        Needs `write` alone.
    rows
        Of an Arrow table, categories (dictionary arrays) are written as their values, views as large strings, and
        metadata is dropped.

    Raises
    ------
    DataError
        A column that is not in `layout.nullable` holds nulls; `layout.nullable` names a column that is not there.

    Notes
    -----
    Cost: one pass, and one row group of memory above the rows.
    """
    table = plain_table(rows if isinstance(rows, pa.Table) else rows.to_arrow(), nullable=layout.nullable)
    split = [leaf for field in table.schema if field.name in layout.byte_stream_split for leaf in _float_leaves(field)]
    written: list[int] = []
    with pq.ParquetWriter(
        sink,
        table.schema,
        version="2.6",
        data_page_version="1.0",
        compression=layout.compression,
        use_dictionary=sorted(layout.dictionary) or False,
        column_encoding=dict.fromkeys(split, "BYTE_STREAM_SPLIT") or None,
        write_statistics=True,
        write_page_checksum=True,
        store_schema=True,
    ) as writer:
        for start in range(0, table.num_rows, layout.row_group_rows):
            # One chunk a row group: the writer's page boundaries would follow the chunks otherwise.
            group = table.slice(start, layout.row_group_rows).combine_chunks()
            writer.write_table(group, row_group_size=layout.row_group_rows)
            written.append(group.num_rows)
    return tuple(written)


def stored_schema(schema: pl.Schema, nullable: Collection[str] = ()) -> pa.Schema:
    """The Arrow schema of a file of such rows.

    Raises
    ------
    DataError
        `nullable` names a column that is not there.
    """
    return plain_table(pl.DataFrame(schema=schema).to_arrow(), nullable=nullable).schema


def encoded_schema(schema: pa.Schema) -> str:
    """An Arrow schema as it stands in a footer."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def float_columns(schema: pa.Schema) -> list[str]:
    """The columns of floats and of lists of floats."""
    return [field.name for field in schema if _float_leaves(field)]


def plain_table(table: pa.Table, *, nullable: Collection[str] = ()) -> pa.Table:
    """The table as it will be stored: no dictionaries, views or metadata, REQUIRED unless named in `nullable`.

    Items of lists are required where their column is. Raises DataError for a null that is not allowed.
    """
    if missing := sorted(set(nullable) - set(table.column_names)):
        raise DataError(f"nullable names columns that are not there: {', '.join(missing)}")
    columns = []
    fields = []
    for field, column in zip(table.schema, table.columns, strict=True):
        required = field.name not in nullable
        if required and (nulls := column.null_count):
            raise has_nulls(field.name, f"{nulls} nulls in {table.num_rows} rows")
        stored = _stored_type(field.type)
        if stored != field.type:
            column = column.cast(stored)
        if required and _is_list(stored):
            if items := sum(chunk.flatten().null_count for chunk in column.chunks):
                raise has_nulls(field.name, f"{items} nulls in its lists")
            column = _required_items(column)
        columns.append(column)
        fields.append(pa.field(field.name, column.type, nullable=not required))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def has_nulls(name: str, what: str) -> DataError:
    """The refusal of a column that is to be REQUIRED and holds nulls."""
    inside = what.endswith("in its lists")
    return DataError(
        f"column {name!r} is published as required and has {what}",
        hint="no step fills elements of lists: fill what a Sequence is made of before it (FillNull), fill lists of the "
        "source where the data is made, or leave such rows out with a Filter"
        if inside
        else "fill it (FillNull), drop the rows (DropNull), or let it be nullable",
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
