"""Room in a cache that has a limit: what was used longest ago is removed for what comes. And the locks on its files.

Any number of threads and processes may do this at once. A file that is open or mapped stays readable where it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.schemas.errors import RunError, UsageError

LOOK: Final = 0.05
"""Seconds after which one who waits for room looks again."""

PATIENCE: Final = 90.0
"""Seconds that one waits for others' files that do not grow; requests to a store end sooner than that."""

_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kMGTP]?)(i?)B?\s*", re.IGNORECASE)


def size_of(text: str | int) -> int:
    """``"200GB"``, ``"1.5 TiB"`` or a number, in bytes. Raises UsageError for what is none, or less than one."""
    found = _SIZE.fullmatch(str(text))
    power = "kmgtp".find(found[2].lower()) + 1 if found and found[2] else 0
    size = int(float(found[1]) * (1024 if found[3] else 1000) ** power) if found else 0
    if size < 1:
        raise UsageError(
            f"{text!r} is no limit of a cache", hint='"200GB", "1.5TiB" or bytes; cache_dir=False reads without a cache'
        )
    return size


@dataclass(frozen=True)
class _Kept:
    """What is on disk once, under one name or several."""

    paths: tuple[Path, ...]
    bytes: int
    used: float

    @property
    def coming(self) -> bool:
        return any(path.name.endswith(".part") for path in self.paths)

    def removed(self) -> bool:
        """Whether it is gone now: one that is being fetched, or opened for the first time, stays."""
        if any(_busy(_target(path)) for path in self.paths):
            return False
        for path in self.paths:
            path.unlink(missing_ok=True)
        return True


def reserve(folder: Path, part: Path, size: int, limit: int) -> None:
    """Create `part`, a file of so many bytes that are yet to be written, as soon as the cache has room for it.

    Raises RunError if what others fetch takes the room and does not come on, OSError.
    """
    before, since = None, time.monotonic()
    while True:
        with _locked(folder / "files"):
            kept = list(_kept(folder))
            over = sum(one.bytes for one in kept) + size - limit
            for one in sorted(kept, key=lambda one: one.used):
                if over > 0 and one.removed():
                    over -= one.bytes
            if over <= 0:
                with part.open("wb") as out:
                    out.truncate(size)
                return
        if (now := {one.paths: one.used for one in kept if one.coming}) != before:
            before, since = now, time.monotonic()
        if time.monotonic() - since > PATIENCE:
            raise RunError(
                f"no room for {size:,} bytes: the limit of {limit:,} is taken by files that others fetch",
                hint="a larger HEADRACE_CACHE_LIMIT, or fewer readers of one cache at once",
                where=str(folder),
            )
        time.sleep(LOOK)


def settle(folder: Path, part: Path, target: Path) -> None:
    """Give a file that has come its name; not while another counts, who would miss it under both."""
    with _locked(folder / "files"):
        part.replace(target)


@contextlib.contextmanager
def alone(target: Path) -> Iterator[None]:
    """One thread of one process at a time; what a killed one had begun is removed."""
    handle, locked = _lock(lock := _lock_of(target))
    try:
        if locked:
            for left in target.parent.glob(f".{target.name}.*.part"):
                left.unlink(missing_ok=True)
        yield
    finally:
        if locked:
            with contextlib.suppress(OSError):
                lock.unlink(missing_ok=True)
        os.close(handle)


def used(path: Path) -> None:
    """Note that a file is used now."""
    with contextlib.suppress(OSError):  # of another user, or removed meanwhile
        os.utime(path)


def _kept(folder: Path) -> Iterator[_Kept]:
    found: dict[tuple[int, int], list[tuple[Path, os.stat_result]]] = defaultdict(list)
    for root, _, names in (entry for part in ("files", "builds") for entry in os.walk(folder / part)):
        for path in (Path(root) / name for name in names if not name.endswith(".lock")):
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                found[status.st_dev, status.st_ino].append((path, status))
    for same in found.values():
        yield _Kept(tuple(path for path, _ in same), same[0][1].st_size, same[0][1].st_mtime)


def _target(path: Path) -> Path:
    """The file that `path` is, or becomes: `.<name>.<process>.<thread>.part`."""
    return path.with_name(path.name[1:].rsplit(".", 3)[0]) if path.name.endswith(".part") else path


def _lock_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.lock")


def _lock(path: Path) -> tuple[int, bool]:
    """A handle, and whether it is the lock; False on a file system without locks, where each is for itself."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            return handle, False
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle, True
        os.close(handle)  # who had it removed it


def _busy(target: Path) -> bool:
    try:
        handle = os.open(_lock_of(target), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
