"""The ctr workload made on the GPU: the distribution of the gallery's ctr data at 4 M, 40 M and 400 M rows.

    python -m benchmarks.gpu_ctr --rows 400000000 --out DIR
    python -m benchmarks.gpu_ctr --rows 100000 --out DIR --host      # the same rows from NumPy and pyarrow

Same columns, same distributions and the same hex string for each rank as `pipelines/gallery/ctr/generator.py`, but
other rows: NumPy's normal numbers take a number of random words that depends on their values, which a GPU cannot
follow. A row depends on the seed and its number alone. NumPy and CuPy give the same rows but where a logarithm or a
power, rounded otherwise in its last bit, falls on the other side of a whole number.

Size on disk per row, from pyarrow's writer at these row groups and dictionaries: about 72 bytes with snappy, 52 with
zstd. So 400 M rows are about 29 GB with snappy, 21 GB with zstd; features are about as large once more.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from benchmarks.gpu.uniforms import normal, uniform
from headrace.pipelines.gallery.ctr.generator import (
    CARDINALITIES,
    CATEGORIES,
    INTEGERS,
    LABEL,
    NULLS,
    mix,
    schema,
    zipf,
)

ROW_GROUP: Final = 1 << 20
FILE_ROWS: Final = 4 * ROW_GROUP
DICTIONARY_BYTES: Final = 1 << 20
_STREAMS: Final = 4
"""Streams of random numbers set apart for each column; the label has those of column 0."""

Compression = Literal["snappy", "zstd"]


class Values(NamedTuple):
    """A column: int64, or uint32 words that stand for eight hex digits each; and which rows are null, if any may be."""

    values: Any
    null: Any


def batch(xp: Any, first: int, rows: int, seed: int = 0) -> Mapping[str, Values]:
    """Rows `first` to `first + rows - 1` of every column, in the order of the schema, as arrays of module `xp`.

    The formulas are those of `headrace.pipelines.gallery.ctr.generator`. Memory: about 400 bytes a row.
    """
    columns: dict[str, Values] = {}
    score = xp.full(rows, -1.2)
    for position, name in enumerate(INTEGERS):
        stream = _STREAMS * (1 + position)
        deviate = normal(xp, seed, stream, first, rows)
        values = xp.floor(xp.exp(position % 5 + (1 + position % 3) * deviate)).astype(np.int64)
        if position == 1:
            values = values - 2
        if position % 4 == 0:
            score = score + 0.1 * (xp.log1p(values.astype(np.float64)) - position % 5)
        columns[name] = Values(values, uniform(xp, seed, stream + 2, first, rows) < NULLS)
    for position, (name, cardinality) in enumerate(zip(CATEGORIES, CARDINALITIES, strict=True)):
        stream = _STREAMS * (1 + len(INTEGERS) + position)
        rank = zipf(uniform(xp, seed, stream, first, rows), cardinality)
        words = mix(rank + np.uint32((1 + 0x9E3779B9 * position) % 2**32))
        if position % 3 == 0:
            score = score + 0.8 * (words.astype(np.float64) / 2.0**32 - 0.5)
        columns[name] = Values(words, uniform(xp, seed, stream + 2, first, rows) < NULLS)
    label = uniform(xp, seed, 0, first, rows) < 1 / (1 + xp.exp(-score))
    return {LABEL: Values(label.astype(np.int64), None), **columns}


def hex_digits(xp: Any, words: Any, null: Any) -> tuple[Any, Any]:
    """The strings' bytes one after the other, and int32 offsets; a null takes no bytes."""
    shifts = xp.asarray(np.array([28, 24, 20, 16, 12, 8, 4, 0], dtype=np.uint32))
    nibbles = (words[~null][:, None] >> shifts[None, :]) & np.uint32(15)
    digits = xp.asarray(np.frombuffer(b"0123456789abcdef", dtype=np.uint8))[nibbles.astype(np.int64)]
    offsets = xp.zeros(len(words) + 1, dtype=np.int32)
    offsets[1:] = xp.cumsum(~null, dtype=np.int32) * np.int32(8)
    return xp.ascontiguousarray(digits).reshape(-1), offsets


def write_ctr(
    folder: Path,
    rows: int,
    *,
    seed: int = 0,
    compression: Compression = "snappy",
    host: bool = False,
    file_rows: int = FILE_ROWS,
) -> list[Path]:
    """Write `rows` rows to `folder` as part-00000.parquet, ..., `file_rows` rows each in row groups of 1,048,576.

    With `host` NumPy makes them and pyarrow writes them, else CuPy and libcudf. Device memory: about 4 GB. Files of the
    same name are replaced.
    """
    write = _write_host if host else _device_writer()
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for first in range(0, max(rows, 1), file_rows):
        path = folder / f"part-{len(paths):05}.parquet"
        write(path, first, min(file_rows, rows - first), seed, compression)
        paths.append(path)
    return paths


def _write_host(path: Path, first: int, rows: int, seed: int, compression: Compression) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = []
    for name, (values, null) in batch(np, first, rows, seed).items():
        if name in CATEGORIES:
            digits, offsets = hex_digits(np, values, null)
            valid = pa.py_buffer(np.packbits(~null, bitorder="little"))
            arrays.append(
                pa.Array.from_buffers(pa.string(), rows, [valid, pa.py_buffer(offsets), pa.py_buffer(digits)])
            )
        else:
            arrays.append(pa.array(values, mask=null))
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=schema()),
        path,
        compression=compression,
        row_group_size=ROW_GROUP,
        dictionary_pagesize_limit=DICTIONARY_BYTES,
    )


def _device_writer() -> Any:
    import cupy
    import rmm
    from rmm.allocators.cupy import rmm_cupy_allocator

    from benchmarks.gpu.device_table import write_table

    rmm.mr.set_current_device_resource(
        rmm.mr.PoolMemoryResource(rmm.mr.CudaMemoryResource(), initial_pool_size=8 << 30)
    )
    cupy.cuda.set_allocator(rmm_cupy_allocator)

    def write(path: Path, first: int, rows: int, seed: int, compression: Compression) -> None:
        columns = batch(cupy, first, rows, seed)
        texts = {name: hex_digits(cupy, *columns[name]) for name in CATEGORIES}
        cupy.cuda.Device().synchronize()  # libcudf works on streams of its own
        write_table(path, columns, texts, compression, ROW_GROUP, DICTIONARY_BYTES)

    return write


def main() -> None:
    """Entry point of `python -m benchmarks.gpu_ctr`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_ctr", description="Write ctr data made on the GPU.")
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compression", choices=("snappy", "zstd"), default="snappy")
    parser.add_argument("--host", action="store_true", help="with NumPy and pyarrow: no GPU needed, slower")
    options = parser.parse_args()
    paths = write_ctr(options.out, options.rows, seed=options.seed, compression=options.compression, host=options.host)
    print(f"{len(paths)} files, {sum(path.stat().st_size for path in paths):,} bytes in {options.out}")


if __name__ == "__main__":
    main()
