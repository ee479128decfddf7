"""Shards as the loader reads them: checked against the manifest before the first read, kept open by each thread.

A shard is a file on this machine, or of a dataset that was opened without a cache an object that is read in parts.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalog.access import UNREADABLE
from headrace.catalog.direct import DirectShard, Source
from headrace.catalog.loader.columns import Column
from headrace.catalog.loader.plain import Pages, Target, fill, pages_of
from headrace.catalog.reader import Dataset
from headrace.catalog.records import File

OPEN: Final = 128
"""Shards that a thread keeps open."""

KNOWN: Final = 20_000
"""Columns of row groups whose pages are kept for the epochs that follow: some 10 MB."""

IN_PLACE: Final = hasattr(os, "preadv") and sys.byteorder == "little"
"""Whether this machine can read numbers as they lie in files."""

Known = dict[tuple[str, int, str], Pages | None]
"""By the hash of a shard, row group and column."""


@dataclass(frozen=True)
class Group:
    """A row group: which one of which shard."""

    file: File
    number: int

    @property
    def rows(self) -> int:
        return self.file.row_groups[self.number]


def groups_of(files: Sequence[File]) -> tuple[Group, ...]:
    """The row groups of shards, file after file. No file is opened."""
    return tuple(Group(file, number) for file in files for number in range(len(file.row_groups)))


class Opened(Protocol):
    """A shard that one thread has open: a `LocalShard` or a `DirectShard`."""

    num_row_groups: int
    schema_arrow: pa.Schema

    def read_row_group(self, number: int, columns: Sequence[str], use_threads: bool = ...) -> pa.Table: ...
    def close(self) -> None: ...


class LocalShard:
    """A shard on this machine, open for one thread.

    Parameters
    ----------
    page_checksums
        Compare those of all pages, which Arrow does: no column is read without decoding it.
    """

    def __init__(self, path: Path, page_checksums: bool) -> None:
        self._group: tuple[int, Any] = (-1, None)
        self._plain = None if page_checksums or not IN_PLACE else path.open("rb", buffering=0)
        try:
            self._file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=page_checksums)
        except BaseException:
            if self._plain is not None:
                self._plain.close()
            raise
        self.num_row_groups: int = self._file.num_row_groups
        self.schema_arrow: pa.Schema = self._file.schema_arrow

    def read_row_group(self, number: int, columns: Sequence[str], use_threads: bool = False) -> pa.Table:
        return self._file.read_row_group(number, columns=list(columns), use_threads=use_threads)

    def pages(self, number: int, column: Column) -> Pages | None:
        """Where a column's values lie in a row group, if they lie there as they do in memory."""
        if self._plain is None or column.name not in self._leaves:
            return None
        if self._group[0] != number:
            self._group = number, self._file.metadata.row_group(number)
        return pages_of(self._group[1].column(self._leaves[column.name]), column.dtype, self._mapped)

    def fill(self, columns: Iterable[tuple[Pages, int]], targets: Sequence[Target]) -> None:
        assert self._plain is not None
        if not fill(self._plain.fileno(), columns, targets):
            raise OSError("it ends too early")

    def close(self) -> None:
        self._file.close()
        if self._plain is not None:
            self._plain.close()

    @cached_property
    def _mapped(self) -> mmap.mmap:
        assert self._plain is not None
        return mmap.mmap(self._plain.fileno(), 0, access=mmap.ACCESS_READ)

    @cached_property
    def _leaves(self) -> dict[str, int]:
        """Where in a row group each column is that is neither a list nor has nulls.

        A column `a.b` and a field `b` of a column `a` have one path: neither is found.
        """
        schema = self._file.schema
        columns = [schema.column(n) for n in range(len(schema))]
        alone = Counter(column.path for column in columns)
        return {
            column.path: n
            for n, column in enumerate(columns)
            if not column.max_definition_level and not column.max_repetition_level and alone[column.path] == 1
        }


class Checked:
    """Where shards lie, each looked at once for all threads.

    Parameters
    ----------
    known
        Pages that were found in an epoch before; more are added.
    """

    def __init__(self, dataset: Dataset, schema: pa.Schema, page_checksums: bool, known: Known) -> None:
        self.schema = schema
        self.page_checksums = page_checksums
        self.fetches = dataset.place.remote and not dataset.access.direct
        self.known = known
        self.access = dataset.access
        self._dataset = dataset
        self._paths: dict[str, Path | str] = {}
        self._footers: OrderedDict[str, pq.FileMetaData] = OrderedDict()
        self._locks: dict[str, Lock] = {}
        self._lock = Lock()

    def path(self, file: File) -> Path | str:
        """Where a shard lies on this machine, or its object in a store.

        Raises DataError if it is not there, or not what the manifest says, by its size.
        """
        with self._only(key := file.sha256 + file.path):
            if key not in self._paths:
                self._paths[key] = self._look(file, key)
            return self._paths[key]

    def open(self, file: File) -> Opened:
        """For one thread. A file that was removed from the cache since `path` named it is fetched again."""
        access, build = self.access, self._dataset.build_of(file)
        if not access.direct:
            opened: Opened = access.read(build, file, self._local)
            return opened
        source = access.source(build, file)
        with self._only(key := file.sha256 + file.path):
            return DirectShard(source, self._footer(source, key), self.schema.names)

    def _local(self, path: Path) -> LocalShard:
        return LocalShard(path, self.page_checksums)

    @contextlib.contextmanager
    def _only(self, key: str) -> Iterator[None]:
        """One thread at a time for each shard."""
        with self._lock:
            lock = self._locks.setdefault(key, Lock())
        with lock:
            yield

    def _look(self, file: File, key: str) -> Path | str:
        access, build = self.access, self._dataset.build_of(file)
        if access.direct:
            self._footer(source := access.source(build, file), key)
            return source.where
        path, size = self._dataset.local(file), -1
        try:
            path, size = access.read(build, file, lambda path: (path, os.stat(path).st_size))
        except OSError as error:
            raise self.access.damaged(
                f"cannot be read: {error.strerror or error}; expected {file.bytes:,} bytes, {file.rows:,} rows", path
            ) from error
        if size != file.bytes:
            raise self.access.damaged(f"has {size:,} bytes, and its manifest says {file.bytes:,}", path)
        return path

    def _footer(self, source: Source, key: str) -> pq.FileMetaData:
        footer = self._footers.get(key) or source.footer(len(self._dataset.columns))
        with self._lock:
            self._footers[key] = footer
            while len(self._footers) > OPEN:
                self._footers.popitem(last=False)
        return footer


class Shards:
    """The shards that one thread has open, the most recently read ones."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        self._open: OrderedDict[Path | str, Opened] = OrderedDict()

    def pages(self, group: Group, column: Column) -> Pages | None:
        """Where the values of a column lie as they are in memory; None where they do not, and `read` has to decode.

        Raises as `read` does.
        """
        key = (group.file.sha256, group.number, column.name)  # builds have shards of the same path
        if key not in self._checked.known:
            path = self._checked.path(group.file)
            with self._named(path):
                file = self._file(path, group.file)
                found = file.pages(group.number, column) if isinstance(file, LocalShard) else None
            found = found if found and found.rows[-1] == group.rows else None
            if len(self._checked.known) >= KNOWN:
                return found
            self._checked.known[key] = found
        return self._checked.known[key]

    def fill(self, group: Group, columns: Iterable[tuple[Pages, int]], targets: Sequence[Target]) -> None:
        """Read rows of columns to where they go. Raises DataError if the shard ends too early."""
        path = self._checked.path(group.file)
        with self._named(path):
            file = self._file(path, group.file)
            assert isinstance(file, LocalShard)
            file.fill(columns, targets)

    def read(self, group: Group, columns: Sequence[Column]) -> pa.Table:
        """Some columns of a row group. Raises DataError that names the shard if it cannot be decoded."""
        path = self._checked.path(group.file)
        with self._named(path):
            file = self._file(path, group.file)
            table = file.read_row_group(group.number, columns=[column.name for column in columns], use_threads=False)
        if table.num_rows != group.rows:
            raise self._checked.access.damaged(
                f"has {table.num_rows:,} rows in row group {group.number}, and its manifest says {group.rows:,}", path
            )
        return table

    def close(self) -> None:
        with contextlib.ExitStack() as each:  # also those after one that fails
            while self._open:
                each.callback(self._open.popitem()[1].close)

    def _file(self, path: Path | str, file: File) -> Opened:
        opened = self._open.get(path) or self._opened(path, file)
        self._open[path] = opened
        self._open.move_to_end(path)
        while len(self._open) > OPEN:
            self._open.popitem(last=False)[1].close()
        return opened

    def _opened(self, path: Path | str, file: File) -> Opened:
        opened = self._checked.open(file)
        try:
            self._check(opened, path, file)
        except BaseException:
            opened.close()
            raise
        return opened

    def _check(self, opened: Opened, path: Path | str, file: File) -> None:
        if (groups := opened.num_row_groups) != len(file.row_groups):
            raise self._checked.access.damaged(
                f"has {groups} row groups, and its manifest says {len(file.row_groups)}", path
            )
        schema = opened.schema_arrow
        for field in self._checked.schema:
            at = schema.get_field_index(field.name)
            got = _spelled(schema.field(at)) if at >= 0 else "not there"
            if at < 0 or schema.field(at).type != field.type or schema.field(at).nullable != field.nullable:
                raise self._checked.access.damaged(
                    f"column {field.name!r} is {got}, and its manifest says {_spelled(field)}", path
                )

    @contextlib.contextmanager
    def _named(self, path: Path | str) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            if isinstance(error, MemoryError):
                raise
            raise self._checked.access.damaged(f"cannot be decoded: {error}", path) from error


def _spelled(field: pa.Field) -> str:
    return f"{field.type}{'' if field.nullable else ' without nulls'}"
