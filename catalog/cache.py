"""Files of object stores on this machine: fetched once, by the hash of their content, and checked as they come.

    <cache>/files/3f/3fa9...c1.parquet      a file under its SHA-256; versions and processes share it
    <cache>/builds/<build>/state/...        links to such files, for readers of a whole folder

The cache is $HEADRACE_CACHE, else the user's cache folder. It may be removed at any time; nothing is in it alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from headrace.catalog.files import sha256_of
from headrace.catalog.records import FileRef
from headrace.catalog.refusal import no_bucket, store_error
from headrace.catalog.store import place
from headrace.schemas.errors import CapabilityError, DataError, RunError

CHUNK: Final = 8 << 20
"""Bytes of one request."""

AHEAD: Final = 4
"""Requests at once for one file."""

_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,12}")


def cache_folder(chosen: str | Path | None = None) -> Path:
    """`chosen`, else $HEADRACE_CACHE, else `headrace` in $XDG_CACHE_HOME or in `~/.cache`."""
    if named := str(chosen or os.environ.get("HEADRACE_CACHE", "")):
        return Path(named).expanduser().absolute()
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (root if root.is_absolute() else Path.home() / ".cache") / "headrace"


@dataclass(frozen=True)
class Cache:
    """A folder of fetched files. Threads and processes may use one at once: each file is fetched by one of them."""

    folder: Path

    def fetch(self, store: ObjectStore, name: str, file: FileRef, *, check: bool = False) -> Path:
        """The file `name` of a store as a file on this machine.

        Parameters
        ----------
        file
            What it must be: its size and SHA-256.
        check
            Hash it also if it is in the cache already; if it is damaged there, fetch it again.

        Raises
        ------
        DataError
            It is not in the store, or has other bytes than it was published with.
        CapabilityError
            The store refuses or cannot be reached; the cache cannot be written.
        RunError
            The disk of the cache is full.

        Notes
        -----
        Cost: the file once over the network and once to disk, a few MiB of memory; nothing but a look at its size if it
        is there.
        """
        suffix = Path(name).suffix
        target = self.folder / "files" / file.sha256[:2] / f"{file.sha256}{suffix if _SUFFIX.fullmatch(suffix) else ''}"
        try:
            if _holds(target, file, check):
                return target
            target.parent.mkdir(parents=True, exist_ok=True)
            with _alone(target):
                if not _holds(target, file, check):
                    _download(store, name, file, target)
        except OSError as error:
            raise cache_error(error, self.folder, file.bytes) from error
        return target

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


@contextlib.contextmanager
def reading(store: ObjectStore, name: str, expected: str = "") -> Iterator[None]:
    """Turns what a store answers for an object into our errors: DataError if it is missing, CapabilityError."""
    try:
        yield
    except FileNotFoundError as error:
        if no_bucket(error):
            raise store_error(error, f"read {name}", place(store)) from error
        what = f"is missing; expected {expected}" if expected else "is missing"
        raise DataError(what, hint=_DAMAGED, where=f"{place(store)}/{name}") from None
    except BaseError as error:
        raise store_error(error, f"read {name}", place(store)) from error


_DAMAGED: Final = "restore it from a copy, or open an older version; `headrace datasets verify` finds all such files"


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
        if target.stat().st_size != file.bytes:
            return False
    except FileNotFoundError:
        return False
    return not check or sha256_of(target)[1] == file.sha256


def _download(store: ObjectStore, name: str, file: FileRef, target: Path) -> None:
    where = f"{place(store)}/{name}"
    with reading(store, name, f"{file.bytes} bytes, sha256 {file.sha256}"):
        size = int(obstore.head(store, name)["size"])
    if size != file.bytes:
        raise DataError(f"has {size} bytes, was published with {file.bytes}", hint=_DAMAGED, where=where)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.part")
    digest = hashlib.sha256()
    try:
        with temporary.open("wb") as out:
            for data in pieces(store, name, size):
                digest.update(data)
                out.write(data)
            out.flush()
            os.fsync(out.fileno())
            os.fchmod(out.fileno(), 0o444)
        if (got := digest.hexdigest()) != file.sha256:
            raise DataError(f"has sha256 {got}, was published with {file.sha256}", hint=_DAMAGED, where=where)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """One thread of one process at a time; what a killed one had begun is removed."""
    lock = target.with_name(f".{target.name}.lock")
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        locked = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # a file system without locks: each fetches for itself
            locked = False
        if locked:
            for left in target.parent.glob(f".{target.name}.*.part"):
                left.unlink(missing_ok=True)
        yield
        if locked:
            lock.unlink(missing_ok=True)
    finally:
        os.close(handle)
