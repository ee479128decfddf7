"""Shards as the loader reads them: checked against the manifest before the first read, kept open by each thread."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalog.loader.columns import Column
from headrace.catalog.reader import Dataset
from headrace.catalog.records import File
from headrace.schemas.errors import DataError

OPEN: Final = 128
"""Shards that a thread keeps open."""


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


class Checked:
    """Where shards lie on this machine, each looked at once for all threads."""

    def __init__(self, dataset: Dataset, schema: pa.Schema, page_checksums: bool) -> None:
        self.schema = schema
        self.page_checksums = page_checksums
        self._dataset = dataset
        self._paths: dict[str, Path] = {}
        self._locks: dict[str, Lock] = {}
        self._lock = Lock()

    def path(self, file: File) -> Path:
        """Raises DataError if the shard is not there, or not what the manifest says, by its size."""
        with self._lock:
            lock = self._locks.setdefault(file.sha256 + file.path, Lock())
        with lock:
            key = file.sha256 + file.path
            if key not in self._paths:
                self._paths[key] = self._look(file)
            return self._paths[key]

    def _look(self, file: File) -> Path:
        path = self._dataset.local(file)
        try:
            size = os.stat(path).st_size
        except OSError as error:
            raise self.damaged(
                f"cannot be read: {error.strerror or error}; expected {file.bytes:,} bytes, {file.rows:,} rows", path
            ) from error
        if size != file.bytes:
            raise self.damaged(f"has {size:,} bytes, and its manifest says {file.bytes:,}", path)
        return path

    def damaged(self, what: str, path: Path) -> DataError:
        return DataError(
            what,
            hint=f"headrace datasets verify {self._dataset.name}@{self._dataset.version} finds all that is damaged; "
            "restore the shard, or open another version",
            where=str(path),
        )


class Shards:
    """The shards that one thread has open, the most recently read ones."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        self._open: OrderedDict[Path, pq.ParquetFile] = OrderedDict()

    def read(self, group: Group, columns: Sequence[Column]) -> pa.Table:
        """Some columns of a row group. Raises DataError that names the shard if it cannot be decoded."""
        path = self._checked.path(group.file)
        with self._named(path):
            file = self._open.get(path) or self._opened(path, group.file)
            self._open[path] = file
            self._open.move_to_end(path)
            while len(self._open) > OPEN:
                self._open.popitem(last=False)[1].close()
            table = file.read_row_group(group.number, columns=[column.name for column in columns], use_threads=False)
        if table.num_rows != group.rows:
            raise self._checked.damaged(
                f"has {table.num_rows:,} rows in row group {group.number}, and its manifest says {group.rows:,}", path
            )
        return table

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _opened(self, path: Path, file: File) -> pq.ParquetFile:
        pages = self._checked.page_checksums
        opened = pq.ParquetFile(path, memory_map=True, page_checksum_verification=pages)
        if (got := opened.num_row_groups) != len(file.row_groups):
            raise self._checked.damaged(f"has {got} row groups, and its manifest says {len(file.row_groups)}", path)
        schema = opened.schema_arrow
        for field in self._checked.schema:
            at = schema.get_field_index(field.name)
            got = _spelled(schema.field(at)) if at >= 0 else "not there"
            if at < 0 or schema.field(at).type != field.type or schema.field(at).nullable != field.nullable:
                raise self._checked.damaged(
                    f"column {field.name!r} is {got}, and its manifest says {_spelled(field)}", path
                )
        return opened

    @contextlib.contextmanager
    def _named(self, path: Path) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise self._checked.damaged(f"cannot be decoded: {error}", path) from error


def _spelled(field: pa.Field) -> str:
    return f"{field.type}{'' if field.nullable else ' without nulls'}"
