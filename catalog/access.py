"""How the files of a dataset are reached: where they lie on disk; in an object store through the cache, or straight."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalog.arrow_schema import ArrowField
from headrace.catalog.arrow_types import is_spelled
from headrace.catalog.cache import Cache
from headrace.catalog.direct import Source
from headrace.catalog.files import sha256_of
from headrace.catalog.place import Place
from headrace.catalog.ranges import open_object
from headrace.catalog.records import File, FileRef
from headrace.catalog.store import open_store
from headrace.catalog.stored import object_name, safe_path
from headrace.schemas.errors import CapabilityError, DataError

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
                self._check(path, file)
            found = read(path)
        self._seen.add(key)
        return found

    def locals(self, files: Sequence[tuple[str, File]]) -> list[Path]:
        """`whole` of some shards, each with its build; those of an object store a few at once."""
        if self.place.remote and files:
            self._cache(files[0][1].path).check_fits(file for _, file in files)
        return self._each(files, lambda one: self.whole(*one))

    def whole(self, build: str, file: File) -> Path:
        """`local` of a shard. Raises DataError as well if it is not there, or of another size than was published."""

        def look(path: Path) -> Path:
            self._check_size(path, file)
            return path

        return self.read(build, file, look)

    def tables(
        self, files: Sequence[tuple[str, File]], fields: Sequence[ArrowField], columns: list[str]
    ) -> list[pa.Table]:
        """Some columns of shards; `fields` are all that there are. Those of an object store a few at once."""
        if self.direct:
            return self._each(files, lambda one: self.source(*one).table(fields, columns))
        return self._each(files, lambda one: self.read(*one, lambda path: self._table(path, one[1], fields, columns)))

    def _table(self, path: Path, file: File, fields: Sequence[ArrowField], columns: list[str]) -> pa.Table:
        self._check_size(path, file)
        with self.decoding(path, file), pq.ParquetFile(path) as shard:
            self.check_schema(path, shard.schema_arrow, [field for field in fields if field.name in columns])
            table = shard.read(columns=columns)
        if table.num_rows != file.rows:
            raise self.damaged(f"has {table.num_rows:,} rows, and its manifest says {file.rows:,}", path)
        return table

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
        path = self.local(build, file)
        with self.decoding(path, file):
            return path.open("rb")

    def damaged(self, what: str, where: Path | str) -> DataError:
        """The error for a file that is not what its manifest says."""
        hint = f"headrace datasets verify {self.place.name}@{self.version} finds all that is damaged; "
        if self.place.remote and not self.direct:
            hint += 'what is damaged in the cache alone is fetched again by verify="always"'
        else:
            hint += "restore it from a copy, or open another version"
        return DataError(what, hint=hint, where=str(where))

    @contextmanager
    def decoding(self, path: Path | str, file: FileRef) -> Iterator[None]:
        """Raises DataError that names a file which Arrow cannot read. What left the cache is for `read` to fetch."""
        try:
            yield
        except FileNotFoundError as error:
            if self.place.remote:
                raise
            raise self._unread(path, file, error) from error
        except pa.ArrowMemoryError:
            raise
        except OSError as error:
            raise self._unread(path, file, error) from error
        except (pa.ArrowException, UnicodeDecodeError) as error:  # the second for names of columns
            raise self.damaged(f"cannot be decoded: {error}", path) from error

    def _unread(self, path: Path | str, file: FileRef, error: OSError) -> DataError:
        if error.errno is None:  # Arrow's own
            return self.damaged(f"cannot be decoded: {error}", path)
        rows = f", {file.rows:,} rows" if isinstance(file, File) else ""
        reason = error.strerror or str(error)
        return self.damaged(f"cannot be read: {reason}; expected {file.bytes:,} bytes{rows}", path)

    def check_schema(self, path: Path | str, schema: pa.Schema, fields: Sequence[ArrowField]) -> None:
        """Raise DataError unless a shard has these columns, each of its type."""
        for wanted in fields:
            at = schema.get_field_index(wanted.name)
            if at < 0 or not is_spelled(schema.field(at).type, wanted.type):
                got = schema.field(at).type if at >= 0 else "not there"
                raise self.damaged(f"column {wanted.name!r} is {got}, and its manifest says {wanted.type}", path)

    def _check_size(self, path: Path, file: File) -> None:
        with self.decoding(path, file):
            found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise self.damaged(f"is no file; expected {file.bytes:,} bytes, {file.rows:,} rows", path)
        if found.st_size != file.bytes:
            raise self.damaged(f"has {found.st_size:,} bytes, and its manifest says {file.bytes:,}", path)

    def _check(self, path: Path, file: FileRef) -> None:
        with self.decoding(path, file):
            size, digest = sha256_of(path)
        if (size, digest) != (file.bytes, file.sha256):
            raise self.damaged(
                f"has {size:,} bytes and sha256 {digest}, was published with {file.bytes:,} and {file.sha256}", path
            )
