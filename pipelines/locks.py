"""Who works in a work folder: one process at a time, known by a lock that ends with the process, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from pathlib import Path
from types import TracebackType

from headrace.pipelines.runs import unwritable

_LOCK = "lock"
_GONE = ".gone-"


class WorkLock:
    """A work folder that is this process's until `release`. `resumed`: an earlier run has left work in it."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.resumed = False
        self._handle: int | None = handle

    def release(self) -> None:
        """Let others in; what is in the folder stays."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def remove(self) -> None:
        """Remove the folder; its work is published."""
        # Under another name first: whoever comes meanwhile finds either all of it, locked, or nothing.
        gone = self.path.with_name(f"{_GONE}{self.path.name}.{uuid.uuid4().hex[:8]}")
        with contextlib.suppress(OSError):
            self.path.rename(gone)
        self.release()
        shutil.rmtree(gone, ignore_errors=True)

    def __enter__(self) -> WorkLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def lock_work(catalog: Path, pipeline: str, key: str, *, fresh: bool = False) -> WorkLock:
    """Lock the work folder of this content, so that what an earlier run left there is used.

    While another process works on the same content, a folder of its own is made. Folders of the same pipeline with
    other content, left by runs that failed, are removed.

    Parameters
    ----------
    fresh
        Start with an empty folder.

    Raises
    ------
    CapabilityError, RunError
        The catalog cannot be written; its disk is full.
    """
    root = catalog / ".headrace" / "work"
    try:
        root.mkdir(parents=True, exist_ok=True)
        _remove_others(root, pipeline, key)
        for name in (f"{pipeline}-{key}", f"{pipeline}-{key}-{uuid.uuid4().hex[:8]}"):
            lock = _try(root / name)
            if lock is not None:
                if fresh:
                    _empty(lock.path)
                lock.resumed = any(entry.name != _LOCK for entry in lock.path.iterdir())
                return lock
    except OSError as problem:
        raise unwritable(problem, catalog) from problem
    raise AssertionError("a folder with a fresh name is never locked")


def _try(path: Path) -> WorkLock | None:
    path.mkdir(exist_ok=True)
    try:
        handle = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:  # its holder has just removed the folder
        return _try(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    if not _is_at(handle, path / _LOCK):  # the last holder removed the folder between open and lock
        os.close(handle)
        return _try(path)
    return WorkLock(path, handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _empty(path: Path) -> None:
    for entry in path.iterdir():
        if entry.name != _LOCK:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _remove_others(root: Path, pipeline: str, key: str) -> None:
    for path in root.glob(f"{_GONE}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in root.glob(f"{pipeline}-*"):
        name = path.name.removeprefix(f"{pipeline}-")
        # The rest of the name is a key: of 32 hex digits, perhaps with a suffix. Longer pipeline names have more.
        if (name.startswith(key) and len(name) == len(key)) or len(name.split("-")[0]) != len(key):
            continue
        lock = _try(path)
        if lock is not None:
            lock.remove()
