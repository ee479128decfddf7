"""Delta Lake tables, one for each split: Parquet files in order, and one commit that lists them.

The files are written here and committed by `deltalake`: its own writer deals batches out to several threads, and rows
lose their order. Delta has no unsigned integers and no half floats, so that these are written as the next larger type
that holds them, and only one kind of time: microseconds, in UTC or without a zone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalog.export.formats import Format, refuse
from headrace.catalog.export.rows import Part
from headrace.schemas.errors import CapabilityError, DataError, RunError

_WIDER: Final = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.float16(): pa.float32(),
}
_AS_THEY_ARE: Final = (
    pa.types.is_signed_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_decimal128,
    pa.types.is_date32,
)
_NOT_IN_NAMES: Final = frozenset(" ,;{}()\n\t=")
"""Characters that Delta has in the names of columns only with column mapping, which many readers lack."""


def _columns(schema: pa.Schema) -> dict[str, str]:
    _deltalake()
    reasons = {field.name: str(field.type) for field in schema if _stored(field.type) is None}
    reasons |= {name: "its name" for name in schema.names if _NOT_IN_NAMES & set(name)}
    if reasons:
        refuse("delta", reasons)
    return {field.name: str(field.type) for field in _schema(schema)}


def _schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_type(_stored(field.type)) for field in schema])


def _stored(kind: pa.DataType) -> pa.DataType | None:
    """The type that holds every value of another in Delta, None if there is none."""
    if kind in _WIDER:
        return _WIDER[kind]
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        item = kind.value_field
        inner = _stored(item.type)
        return None if inner is None else pa.list_(pa.field("element", inner, nullable=item.nullable))
    return kind if any(is_kind(kind) for is_kind in _AS_THEY_ARE) else None


def _write(folder: Path, parts: Iterator[Part], schema: pa.Schema) -> list[str]:
    stored = _schema(schema)
    added, deltalake = [], _deltalake()
    for part in parts:
        name = f"part-{part.number:05d}.parquet"
        with pq.ParquetWriter(folder / name, stored, compression="snappy", write_page_checksum=True) as writer:
            for table in part.tables:
                writer.write_table(_cast(table, stored))
        added.append((name, part.rows))
    actions = [
        deltalake.transaction.AddAction(
            path=name,
            size=(folder / name).stat().st_size,
            partition_values={},
            modification_time=(folder / name).stat().st_mtime_ns // 1_000_000,
            data_change=True,
            stats=json.dumps({"numRecords": rows}),
        )
        for name, rows in added
    ]
    try:
        deltalake.transaction.create_table_with_add_actions(
            str(folder), deltalake.Schema.from_arrow(stored), actions, mode="error"
        )
    except deltalake.exceptions.DeltaError as error:
        raise RunError(f"deltalake cannot commit the table: {str(error).splitlines()[0]}") from error
    return [name for name, _ in added]


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    try:
        return table.cast(schema)
    except pa.ArrowInvalid as error:  # what nanoseconds have below a microsecond would be lost
        raise DataError(
            f"values that delta cannot hold: {str(error).splitlines()[0]}",
            hint="name the other columns with --columns, or choose --format arrow, which holds every type",
        ) from error


def _deltalake() -> Any:
    try:
        import deltalake
        import deltalake.exceptions
        import deltalake.transaction
    except ModuleNotFoundError as error:
        raise CapabilityError(
            "this needs the extra export: deltalake is not installed", hint="pip install 'headrace[export]'"
        ) from error
    return deltalake


DELTA = Format(name="delta", rows_per_file=1 << 20, columns=_columns, write=_write)
