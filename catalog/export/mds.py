"""MDS, the format of mosaicml-streaming: `train/index.json`, and shards `train/shard.00000.mds`.

A shard is the number of its samples, where each begins and where the last ends (all uint32), a JSON object of the
columns, and the samples; a sample is the sizes of its columns without a fixed size (uint32), and the columns' bytes in
the order of their names. Encodings are those of NumPy's numbers and arrays, and text: never pickle.

Source: https://docs.mosaicml.com/projects/streaming, "Dataset Format", and `MDSWriter` of streaming 0.13, version 2.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa

from headrace.catalog.export.formats import Format, refuse, refuse_values
from headrace.catalog.export.rows import Part, pieces
from headrace.schemas.errors import UsageError

_MOST_BYTES: Final = (1 << 32) - 1
_NUMBERS: Final = {
    **{
        getattr(pa, name)(): name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    },
    pa.float16(): "float16",
    pa.float32(): "float32",
    pa.float64(): "float64",
}


class _Encoding(NamedTuple):
    """`name` as `streaming` spells it, the bytes of a value (None where they differ), and the type to cast to."""

    name: str
    size: int | None
    cast: pa.DataType


def _columns(schema: pa.Schema) -> dict[str, str]:
    encodings = {field.name: _encoding(field.type) for field in schema}
    if refused := {field.name: str(field.type) for field in schema if encodings[field.name] is None}:
        refuse("mds", refused)
    return {name: encoding.name for name, encoding in encodings.items() if encoding is not None}


def _encoding(kind: pa.DataType) -> _Encoding | None:
    if kind in _NUMBERS:
        return _Encoding(_NUMBERS[kind], kind.bit_width // 8, kind)
    if pa.types.is_boolean(kind):
        return _Encoding("uint8", 1, pa.uint8())
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        width = kind.bit_width
        return _Encoding(f"int{width}", width // 8, pa.int32() if width == 32 else pa.int64())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _Encoding("str", None, pa.large_binary())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _Encoding("bytes", None, pa.large_binary())
    if pa.types.is_fixed_size_list(kind) and kind.value_type in _NUMBERS and kind.list_size:
        size = kind.list_size * kind.value_type.bit_width // 8
        return _Encoding(f"ndarray:{_NUMBERS[kind.value_type]}:{kind.list_size}", size, kind)
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and kind.value_type in _NUMBERS:
        return _Encoding(f"ndarray:{_NUMBERS[kind.value_type]}", None, pa.large_list(kind.value_field))
    return None


def _write(folder: Path, parts: Iterator[Part], schema: pa.Schema) -> list[str]:
    names = sorted(schema.names)  # as MDSWriter orders them
    encodings = [encoding for name in names if (encoding := _encoding(schema.field(name).type)) is not None]
    config = {
        "column_encodings": [encoding.name for encoding in encodings],
        "column_names": names,
        "column_sizes": [encoding.size for encoding in encodings],
        "compression": None,
        "format": "mds",
        "hashes": [],
        "size_limit": None,
        "version": 2,
    }
    shards = [_shard(folder, part, names, encodings, config) for part in parts]
    (folder / "index.json").write_text(json.dumps({"shards": shards, "version": 2}, sort_keys=True))
    return [shard["raw_data"]["basename"] for shard in shards]


def _shard(
    folder: Path, part: Part, names: Sequence[str], encodings: Sequence[_Encoding], config: dict[str, Any]
) -> dict[str, Any]:
    path = folder / f"shard.{part.number:05d}.mds"
    words = json.dumps(config, sort_keys=True).encode()
    end = 4 + 4 * (part.rows + 1) + len(words)
    ends = [end]
    with path.open("wb") as out:
        out.seek(end)
        for rows in pieces(part):
            samples = _samples(rows, names, encodings)
            ends += list(accumulate(map(len, samples), initial=end))[1:]
            end = ends[-1]
            if end > _MOST_BYTES:
                raise UsageError(
                    f"{part.rows:,} rows take more than the 4 GiB of an MDS shard", hint="choose fewer --rows-per-file"
                )
            out.writelines(samples)
        out.seek(0)
        out.write(part.rows.to_bytes(4, "little") + _little(array("I", ends)) + words)
    raw = {"basename": path.name, "bytes": end, "hashes": {}}
    return config | {"raw_data": raw, "samples": part.rows, "zip_data": None}


def _samples(rows: pa.RecordBatch, names: Sequence[str], encodings: Sequence[_Encoding]) -> list[bytes]:
    columns = [rows.column(name) for name in names]
    refuse_values("mds", "nulls", {name: _nulls(column) for name, column in zip(names, columns, strict=True)})
    values = [_values(column, encoding) for column, encoding in zip(columns, encodings, strict=True)]
    varying = [column for column, encoding in zip(values, encodings, strict=True) if encoding.size is None]
    sizes = [[len(value).to_bytes(4, "little") for value in column] for column in varying]
    return [b"".join(row) for row in zip(*sizes, *values, strict=True)]


def _values(column: pa.Array, encoding: _Encoding) -> list[bytes]:
    """The bytes of each value."""
    column = column.cast(encoding.cast)
    if pa.types.is_large_binary(column.type):
        _, offsets, data = column.buffers()
        bounds = memoryview(offsets).cast("q")[column.offset : column.offset + len(column) + 1].tolist()
        return _cut(data, bounds)
    if pa.types.is_large_list(column.type):
        width = column.type.value_type.bit_width // 8
        inner = column.values
        bounds = [(bound + inner.offset) * width for bound in column.offsets.to_pylist()]
        return [_shape(len(value) // width) + value for value in _cut(inner.buffers()[1], bounds)]
    assert encoding.size is not None
    inner, per_row = column, 1
    if pa.types.is_fixed_size_list(column.type):
        inner, per_row = column.flatten(), column.type.list_size
    first = inner.offset * encoding.size // per_row
    return _cut(inner.buffers()[1], range(first, first + (len(column) + 1) * encoding.size, encoding.size))


def _cut(data: pa.Buffer | None, bounds: Sequence[int]) -> list[bytes]:
    first = bounds[0]
    whole = b"" if data is None else data.slice(first, bounds[-1] - first).to_pybytes()
    return [whole[start - first : end - first] for start, end in pairwise(bounds)]


def _shape(length: int) -> bytes:
    """Of an array of one dimension: its number, two bits for the width of the length, and the length."""
    width = next(i for i in range(4) if length < 1 << (8 << i))
    return bytes([1 << 2 | width]) + length.to_bytes(1 << width, "little")


def _nulls(column: pa.Array) -> int:
    nested = isinstance(column, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray)
    return int(column.null_count + (column.flatten().null_count if nested else 0))


def _little(numbers: array[int]) -> bytes:
    assert numbers.itemsize == 4
    return numbers.tobytes()


MDS = Format(name="mds", rows_per_file=1 << 17, columns=_columns, write=_write)
