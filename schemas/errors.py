"""Every error that headrace raises on purpose: what happened, where, and what to do next."""

from __future__ import annotations

from typing import ClassVar


class HeadraceError(Exception):
    """An error with a code for programs, a message for people and an exit status for shells.

    Parameters
    ----------
    message
        What is wrong, how many, got and expected. One line, or a first line and a line per finding.
    hint
        What to do next. Empty where there is nothing useful to say.
    where
        File, column or step, as precise as it is known.
    """

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __reduce__(self) -> tuple[object, ...]:
        # Workers send errors to the client; the default would lose the keyword arguments.
        return _rebuild, (type(self), self.message, self.hint, self.where)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.message}"


def _rebuild(kind: type[HeadraceError], message: str, hint: str, where: str) -> HeadraceError:
    return kind(message, hint=hint, where=where)


class UsageError(HeadraceError):
    """The call is wrong: an unknown name, an option that does not fit."""

    code = "usage"
    exit_code = 2


class PipelineError(HeadraceError):
    """A pipeline's definition is wrong; known before any row is read."""

    code = "pipeline"
    exit_code = 2


class ContractError(HeadraceError):
    """A contract's definition is wrong; known before any row is read."""

    code = "contract"
    exit_code = 2


class DataError(HeadraceError):
    """Data that cannot be used: a damaged file, too many bad rows, an empty split."""

    code = "data"
    exit_code = 1


class RunError(HeadraceError):
    """A run that failed for a reason other than its input: a lost worker, a full disk."""

    code = "run"
    exit_code = 1


class GpuMemoryError(HeadraceError):
    """A task needed more memory than the device had left; its worker is not to be used again."""

    code = "gpu-memory"
    exit_code = 1


class CapabilityError(HeadraceError):
    """What this machine or installation cannot do: no GPU, a missing extra, a store that refuses."""

    code = "environment"
    exit_code = 3


class ConflictError(HeadraceError):
    """Someone else got there first."""

    code = "conflict"
    exit_code = 4
