"""Data of Criteo's shape, from a seed: the gallery's sample, and what the benchmarks run on.

    python -m headrace.pipelines.gallery.ctr.generator --rows 4000000 --out DIR

A label, 13 integers with nulls (I1 to I13) and 26 categories of eight hex digits (C1 to C26) with the cardinalities of
Criteo's Kaggle data, Zipf-distributed, 3 % null. A row depends on the seed and its number alone, so the data for 4 M
rows begin with those for 1 M. Memory is that of one row group, however many rows are asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

CARDINALITIES: Final = (
    *(1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194),
    *(27, 14992, 5461306, 10, 5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572),
)
INTEGERS: Final = tuple(f"I{number}" for number in range(1, 14))
CATEGORIES: Final = tuple(f"C{number}" for number in range(1, len(CARDINALITIES) + 1))
LABEL: Final = "label"

ROW_GROUP: Final = 262_144
FILE_ROWS: Final = 4 * ROW_GROUP
NULLS: Final = 0.03
EXPONENT: Final = 1.1
"""Of the Zipf law: the value of rank r comes with a frequency near r ** -1.1."""

_MODULE: Final = "headrace.pipelines.gallery.ctr.generator"
_HEX: Final = np.frombuffer(bytes.fromhex("".join(f"{byte:02x}".encode().hex() for byte in range(256))), dtype="<u2")


def write_ctr(folder: Path, rows: int, *, seed: int = 0) -> list[Path]:
    """Write `rows` rows to `folder` as part-00000.parquet, ... (snappy; row groups of 262,144 rows, four a file).

    About 6 us and 68 bytes on disk per row; 0.4 GB of memory. Files of the same name are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for first in range(0, max(rows, 1), FILE_ROWS):
        path = folder / f"part-{len(paths):05}.parquet"
        with pq.ParquetWriter(path, schema(), compression="snappy") as writer:
            for group in row_groups(first, min(rows, first + FILE_ROWS), seed):
                writer.write_table(group, row_group_size=ROW_GROUP)
        paths.append(path)
    return paths


def schema() -> pa.Schema:
    """Label and integers as int64, categories as strings; the label alone has no nulls."""
    fields = [pa.field(LABEL, pa.int64(), nullable=False)]
    fields += [pa.field(name, pa.int64()) for name in INTEGERS]
    fields += [pa.field(name, pa.string()) for name in CATEGORIES]
    return pa.schema(fields)


def row_groups(first: int, end: int, seed: int) -> Iterator[pa.Table]:
    """The rows from `first` (a multiple of the row group's size) up to `end`, a row group at a time."""
    for start in range(first, end, ROW_GROUP):
        yield _row_group(start // ROW_GROUP, seed).slice(0, end - start)


def _row_group(number: int, seed: int) -> pa.Table:
    random = np.random.Generator(np.random.Philox(key=[seed, number]))
    score = np.full(ROW_GROUP, -1.2)
    columns: list[pa.Array] = []
    for position in range(len(INTEGERS)):
        # Counts: many small, few large; the second one goes below zero, as in Criteo's data.
        values = np.floor(np.exp(random.normal(position % 5, 1 + position % 3, ROW_GROUP))).astype(np.int64)
        if position == 1:
            values -= 2
        if position % 4 == 0:
            score += 0.1 * (np.log1p(values) - position % 5)
        columns.append(pa.array(values, mask=random.random(ROW_GROUP) < NULLS))
    for position, cardinality in enumerate(CARDINALITIES):
        rank = zipf(random.random(ROW_GROUP), cardinality)
        words = mix(rank + np.uint32(1 + 0x9E3779B9 * position % 2**32))
        if position % 3 == 0:
            score += 0.8 * (words / 2**32 - 0.5)
        columns.append(hex_strings(words, random.random(ROW_GROUP) < NULLS))
    label = random.random(ROW_GROUP) < 1 / (1 + np.exp(-score))
    return pa.Table.from_arrays([pa.array(label.astype(np.int64)), *columns], schema=schema())


def zipf(uniform: NDArray[np.float64], cardinality: int) -> NDArray[np.uint32]:
    """Ranks 0 to cardinality - 1 by a bounded power law: the inverse of its distribution function at `uniform`."""
    power = 1 - EXPONENT
    top = (cardinality + 1.0) ** power
    rank = np.floor((1 + uniform * (top - 1)) ** (1 / power)) - 1
    ranks: NDArray[np.uint32] = np.minimum(rank, cardinality - 1).astype(np.uint32)
    return ranks


def mix(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """MurmurHash3's finalizer: a bijection, so different ranks stay different values."""
    words = words ^ (words >> np.uint32(16))
    words = words * np.uint32(0x85EBCA6B)
    words = words ^ (words >> np.uint32(13))
    words = words * np.uint32(0xC2B2AE35)
    return words ^ (words >> np.uint32(16))


def hex_strings(words: NDArray[np.uint32], null: NDArray[np.bool_]) -> pa.Array:
    """Each word as eight hex digits, null where asked; no Python object per value."""
    digits = _HEX[words.astype(">u4").view(np.uint8)]
    offsets = np.arange(len(words) + 1, dtype=np.int32) * np.int32(8)
    valid = np.packbits(~null, bitorder="little")
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(digits))]
    return pa.Array.from_buffers(pa.string(), len(words), buffers)


def main() -> None:
    """Entry point of `python -m headrace.pipelines.gallery.ctr.generator`."""
    parser = argparse.ArgumentParser(prog=f"python -m {_MODULE}", description="Write data of Criteo's shape.")
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for path in write_ctr(options.out, options.rows, seed=options.seed):
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
