"""Files of object stores on this machine: fetched once, by the hash of their content, and checked as they come.

    <cache>/files/3f/3fa9...c1.parquet      a file under its SHA-256; versions and processes share it
    <cache>/builds/<build>/state/...        links to such files, for readers of a whole folder

The cache is $HEADRACE_CACHE, else the user's cache folder. It may be removed at any time; nothing is in it alone. With
a limit, which is $HEADRACE_CACHE_LIMIT, what was used longest ago is removed for what comes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from headrace.catalog.files import sha256_of
from headrace.catalog.records import FileRef
from headrace.catalog.refusal import no_bucket, store_error
from headrace.catalog.room import alone, reserve, settle, size_of, used
from headrace.catalog.store import place
from headrace.schemas.errors import CapabilityError, DataError, RunError

CHUNK: Final = 8 << 20
"""Bytes of one request."""

AHEAD: Final = 4
"""Requests at once for one file."""

_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,12}")

T = TypeVar("T")


def cache_folder(chosen: str | Path | None = None) -> Path:
    """`chosen`, else $HEADRACE_CACHE, else `headrace` in $XDG_CACHE_HOME or in `~/.cache`."""
    if named := str(chosen or os.environ.get("HEADRACE_CACHE", "")):
        return Path(named).expanduser().absolute()
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (root if root.is_absolute() else Path.home() / ".cache") / "headrace"


def cache_limit(chosen: str | int | None = None) -> int | None:
    """`chosen`, else $HEADRACE_CACHE_LIMIT, in bytes; None without a limit. Raises UsageError if it is no size."""
    wanted = os.environ.get("HEADRACE_CACHE_LIMIT", "") if chosen is None else chosen
    return None if wanted == "" else size_of(wanted)


@dataclass(frozen=True)
class Cache:
    """A folder of fetched files. Threads and processes may use one at once: each file is fetched by one of them.

    Parameters
    ----------
    limit
        Bytes that it may have; a fetch that would exceed them removes first what was used longest ago.
    """

    folder: Path
    limit: int | None = None

    def fetch(self, store: ObjectStore, name: str, file: FileRef, *, check: bool = False) -> Path:
        """Where the file `name` of a store lies on this machine. In a cache with a limit it may not do so for long.

        Parameters and errors as of `read`.
        """
        return self.read(store, name, file, lambda path: path, check=check)

    def read(
        self, store: ObjectStore, name: str, file: FileRef, read: Callable[[Path], T], *, check: bool = False
    ) -> T:
        """What `read` makes of the file `name` of a store, as a file on this machine.

        Parameters
        ----------
        file
            What it must be: its size and SHA-256.
        read
            Opens it. If it is removed before that, it is fetched again.
        check
            Hash it also if it is in the cache already; if it is damaged there, fetch it again.

        Raises
        ------
        DataError
            It is not in the store, or has other bytes than it was published with.
        CapabilityError
            The store refuses or cannot be reached; the cache cannot be written, or its limit is too small.
        RunError
            The disk of the cache is full.

        Notes
        -----
        Cost: the file once over the network and once to disk, a few MiB of memory; nothing but a look at its size if it
        is there.
        """
        suffix = Path(name).suffix
        target = self.folder / "files" / file.sha256[:2] / f"{file.sha256}{suffix if _SUFFIX.fullmatch(suffix) else ''}"
        with contextlib.suppress(FileNotFoundError), self._fetched(store, name, file, target, check) as path:
            return read(path)
        with self._fetched(store, name, file, target, check, hold=True) as path:
            try:
                return read(path)
            except FileNotFoundError as error:
                raise RunError(
                    "was removed from the cache twice, before it was opened",
                    hint="let nothing delete files of a cache that is read from",
                    where=str(path),
                ) from error

    def check_fits(self, files: Iterable[FileRef]) -> None:
        """Raise CapabilityError if these files cannot be in the cache at once."""
        size = sum({file.sha256: file.bytes for file in files}.values())
        if self.limit is not None and size > self.limit:
            raise CapabilityError(
                f"{size:,} bytes are wanted at once, and the limit of the cache is {self.limit:,}",
                hint="a larger HEADRACE_CACHE_LIMIT or cache_limit, or cache_dir=False, which reads without a cache",
                where=str(self.folder),
            )

    @contextlib.contextmanager
    def _fetched(
        self, store: ObjectStore, name: str, file: FileRef, target: Path, check: bool, *, hold: bool = False
    ) -> Iterator[Path]:
        """The file. What had to be fetched, or is to be held, is removed for no other as long as this lasts."""
        with contextlib.ExitStack() as held:
            try:
                if hold or not _holds(target, file, check):
                    self.check_fits([file])
                    try:
                        held.enter_context(self._got(store, name, file, target, check))
                    except FileNotFoundError:  # the folder was removed meanwhile
                        held.enter_context(self._got(store, name, file, target, check))
            except OSError as error:
                raise cache_error(error, self.folder, file.bytes) from error
            used(target)
            yield target

    @contextlib.contextmanager
    def _got(self, store: ObjectStore, name: str, file: FileRef, target: Path, check: bool) -> Iterator[None]:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target):
            if not _holds(target, file, check):
                self._download(store, name, file, target)
            yield

    def _download(self, store: ObjectStore, name: str, file: FileRef, target: Path) -> None:
        where = f"{place(store)}/{name}"
        with reading(store, name, f"{file.bytes} bytes, sha256 {file.sha256}"):
            size = size_of_object(store, name)
        if size != file.bytes:
            raise DataError(f"has {size} bytes, was published with {file.bytes}", hint=DAMAGED, where=where)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.part")
        digest = hashlib.sha256()
        try:
            self._begin(temporary, size, target)
            with temporary.open("r+b") as out:
                for data in pieces(store, name, size):
                    digest.update(data)
                    out.write(data)
                out.flush()
                os.fsync(out.fileno())
                os.fchmod(out.fileno(), 0o444)
            if (got := digest.hexdigest()) != file.sha256:
                raise DataError(f"has sha256 {got}, was published with {file.sha256}", hint=DAMAGED, where=where)
            settle(self.folder, temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def _begin(self, part: Path, size: int, target: Path) -> None:
        """Create `part`, which is to become `target`."""
        if self.limit is None:
            part.touch()
        else:
            target.unlink(missing_ok=True)  # it is damaged
            reserve(self.folder, part, size, self.limit)

    def link(self, fetched: Path, build: str, path: str) -> Path:
        """`fetched` under the name that it has in its build, beside the others of that build that were linked."""
        target = self.folder / "builds" / build / path
        try:
            if not (target.exists() and target.samefile(fetched)):
                target.parent.mkdir(parents=True, exist_ok=True)
                made = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
                made.unlink(missing_ok=True)
                try:
                    made.hardlink_to(fetched)  # a symbolic link would lead out of the folder, which its readers refuse
                except OSError:
                    shutil.copyfile(fetched, made)
                made.replace(target)
            used(target)
        except FileNotFoundError:  # `fetched` was removed, which `read` can mend
            raise
        except OSError as error:
            raise cache_error(error, self.folder, 0) from error
        return target


def pieces(store: ObjectStore, name: str, size: int) -> Iterator[bytes]:
    """The first `size` bytes of an object in order, a few MiB at a time, some of them fetched ahead.

    Raises DataError if it is missing, CapabilityError if the store refuses.
    """
    starts = iter(range(0, size, CHUNK))

    def ask(start: int) -> bytes:
        return bytes(obstore.get_range(store, name, start=start, end=min(start + CHUNK, size)))

    with ThreadPoolExecutor(AHEAD, thread_name_prefix="fetch") as pool, reading(store, name):
        waiting = deque(pool.submit(ask, start) for _, start in zip(range(AHEAD), starts, strict=False))
        try:
            while waiting:
                data = waiting.popleft().result()
                if (start := next(starts, None)) is not None:
                    waiting.append(pool.submit(ask, start))
                yield data
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def size_of_object(store: ObjectStore, name: str) -> int:
    """Bytes of an object. To be called inside of `reading`."""
    try:
        return int(obstore.head(store, name)["size"])
    except BaseError as error:
        if "non-2xx status code: 40" in str(error):
            obstore.get_range(store, name, start=0, end=1)  # says why; an answer without a body does not
        raise


@contextlib.contextmanager
def reading(store: ObjectStore, name: str, expected: str = "") -> Iterator[None]:
    """Turns what a store answers for an object into our errors: DataError if it is missing, CapabilityError."""
    try:
        yield
    except FileNotFoundError as error:
        if no_bucket(error):
            raise store_error(error, f"read {name}", place(store)) from error
        what = f"is missing; expected {expected}" if expected else "is missing"
        raise DataError(what, hint=DAMAGED, where=f"{place(store)}/{name}") from None
    except BaseError as error:
        raise store_error(error, f"read {name}", place(store)) from error


DAMAGED: Final = "restore it from a copy, or open an older version; `headrace datasets verify` finds all such files"


def cache_error(error: OSError, folder: Path, wanted: int) -> CapabilityError | RunError:
    """Why nothing can be written to the cache, as one of our errors."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunError(
            f"the disk of the cache is full, for a file of {wanted:,} bytes: {error.strerror}",
            hint="free space there (all of the cache may be removed), or choose another folder with HEADRACE_CACHE or "
            "cache_dir",
            where=str(folder),
        )
    return CapabilityError(
        f"the cache cannot be written: {error.strerror or error}",
        hint="choose another folder with HEADRACE_CACHE or cache_dir",
        where=str(folder),
    )


def _holds(target: Path, file: FileRef, check: bool) -> bool:
    try:
        return target.stat().st_size == file.bytes and (not check or sha256_of(target)[1] == file.sha256)
    except FileNotFoundError:
        return False
