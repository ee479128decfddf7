"""Shards: Parquet files laid out for training, hashed while they are written, atomic."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, cast

import pyarrow as pa

from headrace.catalog.files import durable_file
from headrace.catalog.records import File, relative_path
from headrace.engines.engine import Held, TaskEngine
from headrace.engines.kernels import parquet
from headrace.schemas.errors import DataError

ROW_GROUP_ROWS: Final = parquet.ROW_GROUP_ROWS

Profile = Literal["fast", "cold"]


def write_shard(
    root: Path,
    path: str,
    rows: Held,
    engine: TaskEngine,
    *,
    profile: Profile = "fast",
    dictionary: Collection[str] = frozenset(),
    nullable: Collection[str] = frozenset(),
) -> File:
    """Write the rows that an engine holds to `root/path` in one atomic step and describe the file.

    Row groups of 131,072 rows, column statistics, PLAIN encoding but for the columns in `dictionary`; the layout is
    the same on all engines. The CPU engine's files have a checksum on every page, and are equal byte for byte for
    equal rows; the GPU engine's have no page checksums, as libcudf writes none: the manifest's sha256 of the whole
    file is what damage is found by.

    Parameters
    ----------
    root, path
        The build's folder, and the shard's path in it: ``train/part-00000.parquet``. Folders are made.
    profile
        ``fast``: no compression. ``cold``: zstd, floats with BYTE_STREAM_SPLIT.
    dictionary
        Columns to encode with a dictionary; worth it where distinct values < rows / 8.
    nullable
        Columns that may hold nulls (OPTIONAL); all others are REQUIRED, which decodes nearly three times as fast.

    Raises
    ------
    DataError
        A column that is not in `nullable` holds nulls; the file is already there.

    Notes
    -----
    Cost: one pass, and one row group of memory above the rows. The file is not read again for its hash.
    """
    layout = _layout(parquet.stored_schema(rows.schema), profile, dictionary, nullable)
    return _write(root, path, rows.height, lambda sink: engine.write_parquet(sink, rows, layout))


def write_table(
    root: Path,
    path: str,
    table: pa.Table,
    *,
    profile: Profile = "fast",
    dictionary: Collection[str] = frozenset(),
    nullable: Collection[str] = frozenset(),
) -> File:
    """Write an Arrow table, as `write_shard` with the CPU engine would its rows.

    Categories (dictionary arrays) are written as their values, views as large strings, metadata is dropped.
    """
    layout = _layout(parquet.plain_table(table.slice(0, 0)).schema, profile, dictionary, nullable)
    return _write(root, path, table.num_rows, lambda sink: parquet.cpu(sink, table, layout))


def shard_path(split: str, number: int) -> str:
    """``train/part-00000.parquet``."""
    return f"{split}/part-{number:05d}.parquet"


def _layout(
    schema: pa.Schema, profile: Profile, dictionary: Collection[str], nullable: Collection[str]
) -> parquet.Layout:
    cold = profile == "cold"
    return parquet.Layout(
        row_group_rows=ROW_GROUP_ROWS,
        compression="zstd" if cold else "none",
        dictionary=tuple(sorted(dictionary)),
        nullable=tuple(sorted(nullable)),
        byte_stream_split=tuple(c for c in parquet.float_columns(schema) if c not in dictionary) if cold else (),
    )


def _write(root: Path, path: str, rows: int, write: Callable[[BinaryIO], tuple[int, ...]]) -> File:
    relative_path(path)
    with durable_file(root / path) as out:
        sink = _HashingSink(out)
        try:
            row_groups = write(cast(BinaryIO, sink))
        except DataError as problem:
            raise DataError(problem.message, hint=problem.hint, where=path) from None
    return File(path=path, bytes=sink.bytes, sha256=sink.hash.hexdigest(), rows=rows, row_groups=row_groups)


class _HashingSink:
    """A file to write to that counts and hashes what goes through, so that nothing is read again."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self.hash = hashlib.sha256()
        self.bytes = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._out.write(view)
        self.hash.update(view)
        self.bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        self._out.flush()

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True  # the file belongs to durable_file, which syncs and renames it
