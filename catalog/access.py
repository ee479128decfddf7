"""How the files of a dataset are reached: where they lie on disk, through the cache in an object store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from headrace.catalog.cache import Cache
from headrace.catalog.files import sha256_of
from headrace.catalog.place import Place
from headrace.catalog.ranges import open_object
from headrace.catalog.records import FileRef
from headrace.catalog.store import open_store
from headrace.catalog.stored import object_name, safe_path
from headrace.schemas.errors import DataError

TOGETHER: Final = 2
"""Files that are fetched at once, each by several requests."""


@dataclass(frozen=True)
class Access:
    """The files of a dataset's builds.

    Parameters
    ----------
    place
        `<catalog>/<dataset>`.
    cache
        Where files of an object store are kept; nothing on disk is ever copied.
    always
        Hash each file when it is first asked for, also one that is on disk or in the cache already.
    """

    place: Place
    cache: Cache
    always: bool = False
    _seen: set[str] = field(default_factory=set, compare=False, repr=False)

    def local(self, build: str, file: FileRef) -> Path:
        """Where a file lies on this machine, fetched if need be. Raises as `Cache.fetch`."""
        name, key = object_name(build, file.path), f"{build}/{file.path}"
        check = self.always and key not in self._seen
        if self.place.folder is None:
            path = self.cache.fetch(open_store(self.place), name, file, check=check)
        else:
            path = safe_path(self.place.folder / "builds" / build, file.path)
            if check:
                _check(path, file)
        self._seen.add(key)
        return path

    def locals(self, files: Sequence[tuple[str, FileRef]]) -> list[Path]:
        """`local` of some files, each with its build; those of an object store a few at once."""
        if self.place.folder is not None or len(files) < 2:
            return [self.local(build, file) for build, file in files]
        with ThreadPoolExecutor(TOGETHER, thread_name_prefix="fetch") as pool:
            try:
                return list(pool.map(lambda one: self.local(*one), files))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def folder(self, build: str, path: str, files: Iterable[FileRef]) -> Path:
        """A folder of a build with these files in it, each under its name."""
        if self.place.folder is not None:
            return safe_path(self.place.folder / "builds" / build, path)
        some = list(files)
        for file, fetched in zip(some, self.locals([(build, file) for file in some]), strict=True):
            self.cache.link(fetched, build, file.path)
        return self.cache.folder / "builds" / build / path

    def open(self, build: str, file: FileRef) -> BinaryIO:
        """A file for reading a part of it; nothing is kept. Raises DataError if it is missing, CapabilityError."""
        if self.place.folder is None:
            return open_object(open_store(self.place), object_name(build, file.path), f"{file.bytes} bytes")
        path = self.local(build, file)
        try:
            return path.open("rb")
        except OSError as error:
            reason = error.strerror or str(error)
            raise DataError(f"cannot be read, expected {file.bytes} bytes: {reason}", where=str(path)) from error


def _check(path: Path, file: FileRef) -> None:
    try:
        size, digest = sha256_of(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot be read, expected {file.bytes} bytes: {reason}", where=str(path)) from error
    if (size, digest) != (file.bytes, file.sha256):
        raise DataError(
            f"has {size} bytes and sha256 {digest}, was published with {file.bytes} and {file.sha256}",
            hint="restore it from a copy, or open an older version",
            where=str(path),
        )
