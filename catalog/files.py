"""Files that are there whole or not at all, and survive a power cut once they are there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from headrace.schemas.errors import CapabilityError, DataError, RunError


@contextlib.contextmanager
def durable_file(path: Path) -> Iterator[BinaryIO]:
    """Open `path` for writing under a temporary name; sync, make it read-only and rename it when the block ends.

    After an error nothing is left but the folders. Raises DataError if `path` is there already, CapabilityError where
    writing is not allowed, RunError when the disk is full or fails.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise DataError("is there already; files of a build are written once", where=str(path))
        with temporary.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
            os.fchmod(out.fileno(), 0o444)
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise disk_error(error, path) from error
        raise


def disk_error(error: OSError, path: Path) -> CapabilityError | RunError:
    """The operating system's refusal as one of our errors, with what to do."""
    if isinstance(error, PermissionError) or error.errno in (errno.EROFS, errno.ENOTDIR):
        return CapabilityError(
            f"cannot write: {error.strerror or error}",
            hint="choose another catalog, or have write permission given",
            where=str(path),
        )
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "free space on that disk, or choose another catalog; nothing was published" if full else ""
    return RunError(f"cannot write: {error.strerror or error}", hint=hint, where=str(path))


def sync_folder(folder: Path) -> None:
    """Make a rename or a new name in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the bytes of a file that is already written durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sha256_of(path: Path) -> tuple[int, str]:
    """Bytes and sha256 of a file, read once."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()
