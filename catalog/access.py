"""How the files of a dataset are reached: where they lie on disk; in an object store through the cache, or straight."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalog.arrow_schema import ArrowField, differing
from headrace.catalog.cache import Cache
from headrace.catalog.direct import Source
from headrace.catalog.files import sha256_of
from headrace.catalog.place import Place
from headrace.catalog.ranges import open_object
from headrace.catalog.records import File, FileRef
from headrace.catalog.store import open_store
from headrace.catalog.stored import object_name, safe_path
from headrace.schemas.errors import CapabilityError, DataError

UNREADABLE: Final = (OSError, pa.ArrowException, UnicodeDecodeError)
"""What Arrow raises over damaged files; the last for names of columns."""

TOGETHER: Final = 2
"""Files that are fetched at once, each by several requests."""

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Access:
    """The files of a dataset's builds.

    Parameters
    ----------
    place, version
        `<catalog>/<dataset>`, and which one is read: for messages.
    cache
        Where files of an object store are kept; nothing on disk is ever copied. None keeps none: what is wanted of a
        shard is read straight from the store.
    always
        Hash each file when it is first asked for, also one that is on disk or in the cache already.
    """

    place: Place
    version: int
    cache: Cache | None
    always: bool = False
    _seen: set[str] = field(default_factory=set, compare=False, repr=False)

    @property
    def direct(self) -> bool:
        """Whether shards are read straight from an object store."""
        return self.place.remote and self.cache is None

    def local(self, build: str, file: FileRef) -> Path:
        """Where a file lies on this machine, fetched if need be. Raises as `Cache.read`."""
        return self.read(build, file, lambda path: path)

    def read(self, build: str, file: FileRef, read: Callable[[Path], T]) -> T:
        """What `read` makes of a file on this machine. One that was removed from the cache before is fetched again."""
        name, key = object_name(build, file.path), f"{build}/{file.path}"
        check = self.always and key not in self._seen
        if self.place.folder is None:
            found = self._cache(file.path).read(open_store(self.place), name, file, read, check=check)
        else:
            path = safe_path(self.place.folder / "builds" / build, file.path)
            if check:
                with self.reading(build, file):
                    _check(path, file)
            found = read(path)
        self._seen.add(key)
        return found

    def locals(self, files: Sequence[tuple[str, FileRef]]) -> list[Path]:
        """`local` of some files, each with its build; those of an object store a few at once."""
        if self.place.remote and files:
            self._cache(files[0][1].path).check_fits(file for _, file in files)
        return self._each(files, lambda one: self.local(*one))

    def tables(
        self, files: Sequence[tuple[str, File]], fields: Sequence[ArrowField], columns: list[str]
    ) -> list[pa.Table]:
        """Some columns of shards; `fields` are all that there are. Those of an object store a few at once."""
        if self.direct:
            return self._each(files, lambda one: self.source(*one).table(fields, columns))
        return self._each(files, lambda one: self._table(*one, fields, columns))

    def _table(self, build: str, file: File, fields: Sequence[ArrowField], columns: list[str]) -> pa.Table:
        with self.reading(build, file):
            table: pa.Table = self.read(build, file, lambda path: pq.ParquetFile(path).read(columns=columns))
        if wrong := differing(fields, columns, table.schema):
            raise self._unexpected(build, file, f"has columns {', '.join(wrong)} not as its manifest says")
        if table.num_rows != file.rows:
            raise self._unexpected(build, file, f"has {table.num_rows:,} rows")
        return table

    @contextlib.contextmanager
    def reading(self, build: str, file: FileRef) -> Iterator[None]:
        """Around what reads a file: DataError names it, and what was expected."""
        try:
            yield
        except FileNotFoundError as error:
            raise self._unexpected(build, file, "is missing") from error
        except UNREADABLE as error:
            if isinstance(error, MemoryError):
                raise
            raise self._unexpected(build, file, f"cannot be read: {error}") from error

    def _unexpected(self, build: str, file: FileRef, what: str) -> DataError:
        rows = f", {file.rows:,} rows" if isinstance(file, File) else ""
        return self.damaged(f"{what}; expected {file.bytes:,} bytes{rows}", self.where(build, file))

    def where(self, build: str, file: FileRef) -> str:
        """Where a file lies, for messages."""
        return str(self.place / "builds" / build / file.path)

    def damaged(self, what: str, where: Path | str) -> DataError:
        """The error for a file that is not what its manifest says."""
        return DataError(
            what,
            hint=f"headrace datasets verify {self.place.name}@{self.version} finds all that is damaged; "
            "restore the file from a copy, or open another version",
            where=str(where),
        )

    def source(self, build: str, file: File) -> Source:
        """A shard in an object store, to be read straight from there."""
        return Source(open_store(self.place), object_name(build, file.path), file)

    def _each(self, files: Sequence[S], work: Callable[[S], T]) -> list[T]:
        if self.place.folder is not None or len(files) < 2:
            return [work(file) for file in files]
        with ThreadPoolExecutor(TOGETHER, thread_name_prefix="fetch") as pool:
            try:
                return list(pool.map(work, files))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _cache(self, path: str) -> Cache:
        if self.cache is None:
            raise CapabilityError(
                f"{path} is wanted as a file, and the dataset was opened without a cache (cache_dir=False)",
                hint="open it with one; arrow(), to_polars() and the loaders read without",
                where=str(self.place),
            )
        return self.cache

    def folder(self, build: str, path: str, files: Iterable[FileRef]) -> Path:
        """A folder of a build with these files in it, each under its name."""
        if self.place.folder is not None:
            return safe_path(self.place.folder / "builds" / build, path)
        cache, some = self._cache(path), list(files)
        cache.check_fits(some)
        self._each(some, lambda file: self.read(build, file, lambda fetched: cache.link(fetched, build, file.path)))
        return cache.folder / "builds" / build / path

    def open(self, build: str, file: FileRef) -> BinaryIO:
        """A file for reading a part of it; nothing is kept. Raises DataError if it is missing, CapabilityError."""
        if self.place.folder is None:
            return open_object(open_store(self.place), object_name(build, file.path), f"{file.bytes} bytes")
        with self.reading(build, file):
            return self.local(build, file).open("rb")


def _check(path: Path, file: FileRef) -> None:
    size, digest = sha256_of(path)
    if (size, digest) != (file.bytes, file.sha256):
        raise DataError(
            f"has {size} bytes and sha256 {digest}, was published with {file.bytes} and {file.sha256}",
            hint="restore it from a copy, or open an older version",
            where=str(path),
        )
