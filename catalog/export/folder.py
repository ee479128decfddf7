"""A folder that is there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from headrace.schemas.errors import CapabilityError, RunError, UsageError


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that becomes `out` when the block ends, and is gone after any error.

    Raises
    ------
    UsageError
        `out` is there already, or the folder it would lie in is not.
    CapabilityError
        Writing is not allowed.
    RunError
        The disk is full or fails.

    Notes
    -----
    A process that is killed outright leaves the temporary folder, `.<name>.<process>.partial`, which can be deleted.
    """
    if out.exists() or out.is_symlink():
        raise _there_already(out)
    if not out.parent.is_dir():
        raise UsageError(
            f"there is no folder {out.parent} to make {out.name} in", hint="make that folder first, or name another"
        )
    temporary = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        temporary.mkdir()
        yield temporary
        temporary.rename(out)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise _cannot_write(error, out) from error
        raise


def _there_already(out: Path) -> UsageError:
    """Only of an empty folder it is safe to say that it can be removed."""
    words, hint = f"{out} is there already", "name a folder that does not exist"
    if not out.is_dir():
        return UsageError(f"{words}, and is no folder", hint=hint)
    try:
        empty = not any(out.iterdir())
    except OSError:
        return UsageError(words, hint=hint)
    if empty and not out.is_symlink():
        return UsageError(f"{words}, though it is empty", hint=f"remove it, or {hint}")
    return UsageError(f"{words}, and is not empty" if not empty else words, hint=hint)


def _cannot_write(error: OSError, out: Path) -> CapabilityError | RunError:
    words = f"cannot write: {error.strerror or error}; nothing was left behind"
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return CapabilityError(words, hint="choose another folder, or have write permission given", where=str(out))
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "free space on that disk, choose another, or export fewer --columns or one --split" if full else ""
    return RunError(words, hint=hint, where=str(out))
