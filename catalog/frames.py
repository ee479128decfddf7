"""Shards as a Polars frame. Polars does not say which of many files it could not read: this does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from headrace.catalog.access import Access
from headrace.catalog.arrow_schema import ArrowField
from headrace.catalog.records import File

_REFUSED = (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException)


def polars_frame(
    access: Access, files: Sequence[tuple[str, File]], fields: Sequence[ArrowField], columns: list[str]
) -> pl.DataFrame:
    """Some columns of shards, of which there is one at least; `fields` are all that there are.

    Raises DataError that names a shard which is missing, damaged or another; Polars' error if none is.
    """
    try:
        try:
            frame = _read(access.locals(files), columns)
        except FileNotFoundError:
            frame = _read(access.locals(files), columns)  # removed from the cache meanwhile
    except _REFUSED:
        _name(access, files, fields, columns)
        raise
    if columns and frame.height != sum(file.rows for _, file in files):
        _name(access, files, fields, columns)
    return frame


def _read(paths: Sequence[Path], columns: Sequence[str]) -> pl.DataFrame:
    return pl.scan_parquet(list(paths), glob=False).select(columns).collect()


def _name(access: Access, files: Sequence[tuple[str, File]], fields: Sequence[ArrowField], columns: list[str]) -> None:
    """Raise DataError for the first shard that Arrow or Polars cannot read, one at a time."""
    for build, file in files:
        access.tables([(build, file)], fields, columns)
        try:
            access.read(build, file, lambda path: _read([path], columns))
        except _REFUSED as error:
            raise access.damaged(f"cannot be read by Polars: {error}", access.where(build, file)) from error
