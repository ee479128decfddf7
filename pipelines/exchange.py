"""Bringing rows together that belong together, through files: no row passes the scheduler or the client.

Each partition writes one Arrow IPC file with one record batch per bucket, so that a reader maps exactly the batch it
needs. A bucket is the same batch of every partition's file, in the order of the partitions: rows of a bucket are in
source order, whatever the partitions were.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import polars as pl
import pyarrow as pa

_BUCKET = "__bucket"


def write_pieces(path: Path, rows: pl.DataFrame, bucket: pl.Series, buckets: int) -> None:
    """Write the rows of one partition, one record batch per bucket, in the order they have in `rows`.

    Parameters
    ----------
    path
        The file; it appears whole or not at all.
    bucket
        The bucket of each row, below `buckets`.
    """
    if buckets == 1:
        parts = [rows]
    else:
        sizes = _sizes(bucket, buckets)
        sorted_rows = rows.with_columns(bucket.alias(_BUCKET)).sort(_BUCKET, maintain_order=True).drop(_BUCKET)
        parts = [sorted_rows.slice(end - size, size) for size, end in zip(sizes, accumulate(sizes), strict=True)]
    schema = rows.head(0).to_arrow().schema
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for part in parts:
            batches = part.rechunk().to_arrow().cast(schema).combine_chunks().to_batches()
            writer.write_batch(batches[0] if batches else pa.RecordBatch.from_pylist([], schema=schema))
    os.replace(temporary, path)


def read_bucket(paths: Sequence[Path], bucket: int) -> pl.DataFrame:
    """One bucket's rows from every partition's file, in the order of the paths."""
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


def read_rows(paths: Sequence[Path], row: str, first: int, last: int) -> pl.DataFrame:
    """The rows whose number is in [first, last) out of files that are each sorted by it, sorted by it."""
    parts = []
    for path in paths:
        frame = pl.read_ipc(path, memory_map=True)
        low, high = frame[row].search_sorted([first, last], side="left")
        parts.append(frame.slice(low, high - low))
    return pl.concat(parts).sort(row) if len(parts) > 1 else parts[0]


def _sizes(bucket: pl.Series, buckets: int) -> list[int]:
    counts = dict(bucket.alias(_BUCKET).value_counts().iter_rows())
    return [counts.get(i, 0) for i in range(buckets)]
