"""Shards as a Polars frame. Polars does not say which of many files it could not read: this does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from headrace.catalog.access import Access
from headrace.catalog.arrow_schema import ArrowField
from headrace.catalog.records import File
from headrace.schemas.errors import DataError


def polars_frame(
    access: Access, files: Sequence[tuple[str, File]], fields: Sequence[ArrowField], columns: Sequence[str]
) -> pl.DataFrame:
    """Some columns of shards, of which there is one at least; `fields` are all that there are.

    Raises DataError that names a shard which is missing, damaged or another.
    """
    wanted = [field for field in fields if field.name in columns]
    failed: BaseException | None = None
    try:
        try:
            found = _read(access.locals(files), columns)
        except FileNotFoundError:
            found = _read(access.locals(files), columns)  # removed from the cache meanwhile
        if not columns or found.height == sum(file.rows for _, file in files):
            return found
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        failed = error
    for build, file in files:
        access.read(build, file, partial(_check, access, file, wanted))
    raise failed or DataError("has other rows than its manifest says", where=f"{access.place}@{access.version}")


def _read(paths: Sequence[Path], columns: Sequence[str]) -> pl.DataFrame:
    return pl.scan_parquet(list(paths), glob=False).select(columns).collect()


def _check(access: Access, file: File, wanted: Sequence[ArrowField], path: Path) -> None:
    """Raise DataError if a shard is not what its manifest says, or Polars cannot read it."""
    with access.decoding(path, file):
        schema = pq.read_schema(path)
    access.check_schema(path, schema, wanted)
    try:
        rows = pl.scan_parquet(path, glob=False).select([field.name for field in wanted]).collect().height
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise access.damaged(f"cannot be decoded: {error}", path) from error
    if rows != file.rows:
        raise access.damaged(f"has {rows:,} rows, and its manifest says {file.rows:,}", path)
