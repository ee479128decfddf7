"""The rows of a split, a row group at a time, cut into the files of an export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalog.reader import Dataset
from headrace.catalog.records import File
from headrace.schemas.errors import DataError

PIECE: Final = 8192
"""Rows that are made objects at once."""


@dataclass(frozen=True)
class Part:
    """The rows of one file of an export. `tables` can be gone through once, before those of the next part."""

    number: int
    rows: int
    tables: Iterator[pa.Table]


def schema_of(dataset: Dataset, columns: Sequence[str]) -> pa.Schema:
    """The Arrow schema of columns, in this order, from the first shard. Raises DataError if there is none."""
    shards = [file for split in dataset.manifest.splits.values() for file in split.files]
    if not shards:
        raise DataError("has no shards, so there is nothing to export", where=f"{dataset.name}@{dataset.version}")
    with _opened(dataset, shards[0]) as shard:
        return pa.schema([shard.schema_arrow.field(name) for name in columns])


def row_groups(dataset: Dataset, split: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of a split in the published order, a table for each row group, the checksums of its pages checked.

    Raises DataError for a shard that is missing or damaged.
    """
    for file in dataset.manifest.splits[split].files:
        with _opened(dataset, file) as shard:
            for index in range(shard.num_row_groups):
                try:
                    table = shard.read_row_group(index, columns=list(columns))
                except (OSError, pa.ArrowException) as error:
                    raise _damaged(dataset, file, error) from error
                yield table.select(columns).combine_chunks()


def pieces(part: Part) -> Iterator[pa.RecordBatch]:
    """The rows of a part, few at a time: for formats that make an object of each row."""
    for table in part.tables:
        yield from table.to_batches(max_chunksize=PIECE)


def parts(tables: Iterator[pa.Table], rows: int, most: int) -> Iterator[Part]:
    """Cut `rows` rows into parts of `most` rows, the last with what is left.

    Raises DataError if the tables have fewer or more rows.
    """
    rest = _Rest(tables)
    for number, start in enumerate(range(0, rows, most)):
        wanted = min(most, rows - start)
        yield Part(number, wanted, rest.take(wanted))
    if more := sum(table.num_rows for table in rest.take(None)):
        raise DataError(f"the shards have {more} more rows than the {rows} of the manifest")


class _Rest:
    """Tables that are taken from the front."""

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self._tables = tables
        self._held: pa.Table | None = None

    def take(self, rows: int | None) -> Iterator[pa.Table]:
        while rows is None or rows:
            table = next(self._tables, None) if self._held is None else self._held
            self._held = None
            if table is None:
                if rows:
                    raise DataError(f"the shards have {rows} fewer rows than the manifest says")
                return
            if rows is not None:
                self._held = table.slice(rows) if table.num_rows > rows else None
                table = table.slice(0, rows)
                rows -= table.num_rows
            if table.num_rows:
                yield table


def _opened(dataset: Dataset, file: File) -> pq.ParquetFile:
    path = dataset.local(file)
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(dataset, file, error) from error


def _damaged(dataset: Dataset, file: File, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(
        f"this shard cannot be read: {reason}",
        hint=f"headrace datasets verify {dataset.name}@{dataset.version}",
        where=file.path,
    )
