"""Kernel `pieces`: bringing rows together that belong together, through files.

No row passes the scheduler or the client. Each partition writes one file with its rows bucket by bucket, so that a
reader takes exactly the bucket it needs out of every file; what is worked out for a bucket comes back the same way, as
files of rows in the order of their numbers.

Contract of pieces: `bucket` is a column of integers below `buckets` without nulls; it is not written. Rows of a bucket
are read in the order of the paths, and within a file in the order they had: in source order, whatever the partitions
were. Contract of rows: files are each sorted by `row`, an Int64 column; those with `first <= row < last` are read in
its order. A file appears whole or not at all, and no rows is a number of rows like any other. All types that the
engine's queries have come back as they were.

A path has no suffix, and each engine adds its own: ``.arrow`` for the CPU's, ``.parquet`` for the GPU's. Every engine
reads both, for a partition may have been done by the other one. Equal rows need not be equal bytes.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import Final, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.engines.kernels.parquet import ARROW_SCHEMA, encoded_schema

Suffix = Literal[".arrow", ".parquet"]

BUCKET_ROWS: Final = "headrace:bucket_rows"
"""The key of a Parquet file's footer under which stand the rows of each bucket, as a JSON list."""


def cpu_write(path: Path, rows: pl.DataFrame, bucket: str, buckets: int) -> None:
    """Write one Arrow IPC file with one record batch per bucket, so that a reader maps exactly the batch it needs.

    Cost: one sort of row numbers, one copy of the rows.
    """
    own = rows.drop(bucket)
    if buckets == 1:
        parts = [own]
    else:
        sizes = _sizes(rows[bucket], buckets)
        own = rows.sort(bucket, maintain_order=True).drop(bucket)
        parts = [own.slice(end - size, size) for size, end in zip(sizes, accumulate(sizes), strict=True)]
    schema = own.head(0).to_arrow().schema
    path = with_suffix(path, ".arrow")
    temporary = temporary_file(path)
    with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for part in parts:
            batches = part.rechunk().to_arrow().cast(schema).combine_chunks().to_batches()
            writer.write_batch(batches[0] if batches else pa.RecordBatch.from_pylist([], schema=schema))
    os.replace(temporary, path)


def cpu_read(paths: Sequence[Path], bucket: int) -> pl.DataFrame:
    """One bucket's rows from every partition's file; those of ``.arrow`` files are mapped, not copied."""
    kinds = groupby(map(stored, paths), key=lambda path: path.suffix)
    parts = [_mapped(list(f), bucket) if kind == ".arrow" else _decoded(list(f), bucket) for kind, f in kinds]
    return parts[0] if len(parts) == 1 else pl.concat(parts)


def cpu_write_rows(path: Path, rows: pl.DataFrame) -> None:
    """Write rows that are sorted by their number as one Arrow IPC file."""
    path = with_suffix(path, ".arrow")
    temporary = temporary_file(path)
    rows.write_ipc(temporary)
    os.replace(temporary, path)


def cpu_read_rows(paths: Sequence[Path], row: str, first: int, last: int) -> pl.LazyFrame:
    """The rows whose number is in [first, last): a plain query, for any engine.

    ``.arrow`` files are mapped now, ``.parquet`` files are read when the query runs, those row groups alone whose
    statistics say that they can hold such rows.
    """
    files = [stored(path) for path in paths]
    parts = []
    for path in files:
        if path.suffix == ".arrow":
            frame = pl.read_ipc(path, memory_map=True)
            low, high = frame[row].search_sorted([first, last], side="left")
            parts.append(frame.slice(low, high - low).lazy())
    if scanned := [path for path in files if path.suffix == ".parquet"]:
        parts.append(pl.scan_parquet(scanned, glob=False).filter(pl.col(row) >= first, pl.col(row) < last))
    return pl.concat(parts).sort(row) if len(files) > 1 else parts[0]


def with_suffix(path: Path, suffix: Suffix) -> Path:
    """The file that an engine writes for a path."""
    return path.with_name(f"{path.name}{suffix}")


def stored(path: Path) -> Path:
    """The file that an engine has written for a path, or the path itself where it names a file already.

    Raises
    ------
    FileNotFoundError
        No engine has written one.
    """
    if path.suffix in (".arrow", ".parquet"):
        return path
    arrow, parquet = with_suffix(path, ".arrow"), with_suffix(path, ".parquet")
    if not arrow.exists() and not parquet.exists():
        raise FileNotFoundError(2, "no engine has written these rows", str(path))
    return arrow if arrow.exists() else parquet


def temporary_file(path: Path) -> Path:
    """Where to write what is to appear whole; patterns for the files themselves do not match it."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def footer(schema: pa.Schema, rows: Sequence[int]) -> dict[str, str]:
    """What the footer of a Parquet file of pieces says: the exact types, and how many rows each bucket has."""
    return {ARROW_SCHEMA: encoded_schema(schema), BUCKET_ROWS: json.dumps(list(rows), separators=(",", ":"))}


def row_groups(metadata: pq.FileMetaData, bucket: int) -> list[int]:
    """The row groups that hold a bucket: none, one, or more of a large one; a row group never holds two buckets."""
    sizes = json.loads(metadata.metadata[BUCKET_ROWS.encode()])
    first = sum(sizes[:bucket])
    ends = accumulate(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
    return [i for i, end in enumerate(ends) if first < end <= first + sizes[bucket]]


def file_schema(metadata: pq.FileMetaData) -> pa.Schema:
    """The exact types of a Parquet file of pieces."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(metadata.metadata[ARROW_SCHEMA.encode()])))


def _mapped(paths: Sequence[Path], bucket: int) -> pl.DataFrame:
    batches: list[pa.RecordBatch] = []
    schema: pa.Schema | None = None
    for path in paths:
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            schema = reader.schema
            batches.append(reader.get_batch(bucket))
    frame = pl.from_arrow(pa.Table.from_batches(batches, schema=schema))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _decoded(paths: Sequence[Path], bucket: int) -> pl.DataFrame:
    tables = []
    for path in paths:
        with pq.ParquetFile(path) as file:
            groups = row_groups(file.metadata, bucket)
            tables.append(file.read_row_groups(groups).cast(file_schema(file.metadata)))
    frame = pl.from_arrow(pa.concat_tables(tables))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _sizes(bucket: pl.Series, buckets: int) -> list[int]:
    counts = dict(bucket.alias("bucket").value_counts().iter_rows())
    return [counts.get(i, 0) for i in range(buckets)]
