"""What the machine refuses, told as one clear error."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from headrace.pipelines.locks import WorkLock
from headrace.pipelines.runs import RunFailure
from headrace.schemas.errors import CapabilityError, DataError, HeadraceError, RunError


def failure(problem: BaseException) -> RunFailure:
    """An error as the run's record keeps it."""
    if isinstance(problem, HeadraceError):
        return RunFailure(code=problem.code, message=problem.message, hint=problem.hint, where=problem.where)
    code = "interrupted" if isinstance(problem, KeyboardInterrupt) else "internal"
    return RunFailure(code=code, message=f"{type(problem).__name__}: {problem}")


@contextmanager
def told(lock: WorkLock | None = None) -> Iterator[None]:
    """Turn what the machine refuses into one clear error; with a lock, what a folder gives that was damaged since."""
    try:
        yield
    except HeadraceError:
        raise
    except pl.exceptions.PanicException as problem:
        # It is no Exception: without this it would pass for an interruption.
        raise RunError(f"Polars panicked: {_first_line(problem)}", hint="this is a bug; please report it") from problem
    except pl.exceptions.InvalidOperationError as problem:
        text = _first_line(problem)
        if "conversion from" not in text:
            raise
        hint = "Cast(..., invalid: null) makes such values null; a contract's rules can refuse their rows"
        raise DataError(f"a value does not fit its type: {text}", hint=hint) from problem
    except MemoryError as problem:
        raise RunError("out of memory", hint="run with smaller partitions: --partition-bytes") from problem
    except Exception as problem:
        code = problem.errno if isinstance(problem, OSError) else None
        text = _first_line(problem)
        if code in (errno.ENOSPC, errno.EDQUOT) or "No space left" in text:
            hint = "free space and run again; it goes on from here"
            raise RunError(f"the disk is full: {text}", hint=hint) from problem
        if code in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise CapabilityError(f"not allowed: {text}", hint="check the permissions of the catalog") from problem
        if lock is not None and lock.resumed:
            raise RunError(
                f"failed while going on from what an earlier run left: {type(problem).__name__}: {text}",
                where=str(lock.path),
                hint="run again with --force, which does all the work anew",
            ) from problem
        raise


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]
