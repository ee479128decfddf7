"""WebDataset shards: `train/part-00000.tar`, in it a member `000000000.json` for each row, numbered within the split.

A row is a JSON object, its fields in the order of the columns, which `webdataset` and others decode without pickle.
Numbers are written so that they read back as they were, dates and times as ISO 8601. What kind of number or time a
column holds says `export.json`.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl
import pyarrow as pa

from headrace.catalog.export.formats import Format, refuse, refuse_values
from headrace.catalog.export.rows import Part, pieces
from headrace.schemas.errors import RunError

_BLOCK: Final = 512
_DIGITS: Final = 9


def _columns(schema: pa.Schema) -> dict[str, str]:
    written = {field.name: _spelled(field.type) for field in schema}
    if refused := {field.name: str(field.type) for field in schema if not written[field.name]}:
        refuse("webdataset", refused)
    return written


def _spelled(kind: pa.DataType) -> str:
    """How JSON has values of a type; empty if it does not."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    if pa.types.is_boolean(kind):
        return "true or false"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        return "text, ISO 8601"
    if _is_list(kind):
        inner = _spelled(kind.value_type)
        return "" if "ISO" in inner else f"list of {inner}" * bool(inner)
    return ""


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _write(folder: Path, parts: Iterator[Part], _: pa.Schema) -> list[str]:
    written, row = [], 0
    for part in parts:
        name = f"part-{part.number:05d}.tar"
        with (folder / name).open("wb") as out:
            for rows in pieces(part):
                row = _add(out, rows, row)
            out.write(bytes(2 * _BLOCK))
        written.append(name)
    return written


def _add(out: BinaryIO, rows: pa.RecordBatch, row: int) -> int:
    """Add a member for each row, numbered from `row`; the number that comes next."""
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    refuse_values("webdataset", "NaN or infinities", {name: _not_finite(frame[name]) for name in frame.columns})
    texts = [pl.col(name).dt.to_string("iso:strict") for name, kind in frame.schema.items() if kind.is_temporal()]
    for line in frame.with_columns(texts).write_ndjson().encode().split(b"\n")[:-1]:
        if row >= 10**_DIGITS:
            raise RunError(f"a split of more than {10**_DIGITS:,} rows cannot be numbered")
        out.write(_header(b"%0*d.json" % (_DIGITS, row), len(line)))
        out.write(line)
        out.write(bytes(-len(line) % _BLOCK))
        row += 1
    return row


def _not_finite(values: pl.Series) -> int:
    while isinstance(values.dtype, pl.List | pl.Array):
        values = values.explode(empty_as_null=False)
    return int((~values.is_finite()).sum()) if values.dtype.is_float() else 0


_EMPTY: Final = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)
"""The header of a member without a name and a byte."""

_SUM: Final = sum(_EMPTY) - sum(_EMPTY[148:156]) + 8 * ord(" ") - 11 * ord("0")
"""Of its bytes, the checksum as spaces, without the digits of the size."""


def _header(name: bytes, size: int) -> bytes:
    """What `tarfile` writes for a name of plain letters and a size, in a twentieth of its time.

    Source: ustar of POSIX.1-1988; name at byte 0, size at 124, checksum at 148.
    """
    digits = b"%011o" % size
    total = b"%06o\0 " % (_SUM + sum(name) + sum(digits))
    return name + _EMPTY[len(name) : 124] + digits + _EMPTY[135:148] + total + _EMPTY[156:]


WEBDATASET = Format(name="webdataset", rows_per_file=1 << 17, columns=_columns, write=_write)
