"""A table that belongs to a fitted step: a vocabulary, encodings per category, a joined dimension."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import GetCoreSchemaHandler, SerializationInfo, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from headrace.schemas.errors import DataError


class Table:
    """A DataFrame as the value of a field: held in memory or read from Parquet at first use, saved beside the JSON.

    Saving a model that holds tables takes `context=TableFolder(folder)`; each table becomes a Parquet file there, and
    the JSON holds its name and SHA-256. Loading takes the same context and checks the sum at first use.
    """

    __slots__ = ("_frame", "path", "sha256")

    def __init__(self, frame: pl.DataFrame | None = None, *, path: Path | None = None, sha256: str = "") -> None:
        if frame is None and path is None:
            raise ValueError("a Table needs a frame or the path of one")
        self._frame = frame
        self.path = path
        self.sha256 = sha256

    @property
    def frame(self) -> pl.DataFrame:
        """The rows. The first call reads the file and raises DataError where its sum is not the recorded one."""
        with _READING:  # by one of the threads that want it: it may be most of the memory there is
            if self._frame is None:
                self._frame = self._read()
            return self._frame

    @property
    def height(self) -> int:
        """How many rows there are; a file that has not been read is not read for it."""
        if self._frame is None and self.path is not None:
            try:
                return int(pq.read_metadata(self.path).num_rows)
            except (OSError, pa.ArrowException):
                pass  # reading it says what is wrong
        return self.frame.height

    @property
    def schema(self) -> pl.Schema:
        """The columns and their types; a file that has not been read is not read for them."""
        if self._frame is None and self.path is not None:
            try:
                return pl.read_parquet_schema(self.path)  # type: ignore[return-value]  # which is a Schema
            except (OSError, pl.exceptions.PolarsError):
                pass  # reading it says what is wrong
        return self.frame.schema

    def save(self, target: Path) -> str:
        """Write the rows as a Parquet file, or copy the one that there is. Returns its SHA-256.

        Equal rows give equal bytes, however they lie in memory. Cost: memory for a row group.
        """
        if self.path is None:
            self.frame.write_parquet(target, compression="zstd", statistics=False, row_group_size=_ROW_GROUP)
            with target.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as source, target.open("wb") as copy:
                while data := source.read(_COPIED_AT_ONCE):
                    digest.update(data)
                    copy.write(data)
        except OSError as problem:
            raise self._unreadable(problem) from None
        self._check(digest.hexdigest())
        return self.sha256

    def _read(self) -> pl.DataFrame:
        assert self.path is not None
        try:
            with self.path.open("rb") as file:
                self._check(hashlib.file_digest(file, "sha256").hexdigest())
            return pl.read_parquet(self.path, glob=False)
        except OSError as problem:
            raise self._unreadable(problem) from None

    def _check(self, sha256: str) -> None:
        if sha256 != self.sha256:
            raise DataError("SHA-256 differs from the one recorded when it was written", where=str(self.path))

    def _unreadable(self, problem: OSError) -> DataError:
        return DataError(f"a table of the fitted pipeline cannot be read: {problem}", where=str(self.path))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self.frame.equals(other.frame)

    def __hash__(self) -> int:
        return hash(tuple(self.frame.schema.items()))

    def __repr__(self) -> str:
        return f"Table({self.path})" if self._frame is None else f"Table({self._frame.height} rows)"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _read,
            serialization=core_schema.plain_serializer_function_ser_schema(_write, info_arg=True),
        )


class TableFolder:
    """Where the tables of a saved model lie: `folder`, and the names in JSON relative to `root`."""

    def __init__(self, root: Path, name: str = "") -> None:
        self.root = root
        self.name = name
        self.written: list[Path] = []

    def write(self, table: Table) -> dict[str, str]:
        relative = Path(self.name) / f"table-{len(self.written)}.parquet"
        target = self.root / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        sha256 = table.save(target)
        self.written.append(target)
        return {"table": relative.as_posix(), "sha256": sha256}

    def read(self, relative: str, sha256: str) -> Table:
        path = (self.root / relative).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise DataError(f"a table's path leaves the folder of the saved pipeline: {relative}", where=str(self.root))
        return Table(path=path, sha256=sha256)


def _read(value: Any, info: ValidationInfo) -> Table:
    match value:
        case Table():
            return value
        case pl.DataFrame():
            return Table(value)
        case {"table": str(relative), "sha256": str(sha256)} if isinstance(info.context, TableFolder):
            return info.context.read(relative, sha256)
        case _:
            raise ValueError(f"expected a table, got {type(value).__name__}")


def _write(value: Table, info: SerializationInfo) -> dict[str, str]:
    if not isinstance(info.context, TableFolder):
        raise TypeError("a fitted step holds tables; save it with context=TableFolder(...)")
    return info.context.write(value)


_READING: Final = threading.Lock()
_ROW_GROUP: Final = 1 << 17
_COPIED_AT_ONCE: Final = 1 << 20
