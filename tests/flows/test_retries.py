from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest

from headrace.flows.retries import may_pass, retry_condition
from headrace.schemas.errors import (
    CapabilityError,
    ConflictError,
    ContractError,
    DataError,
    PipelineError,
    RunError,
    UsageError,
)


@pytest.mark.parametrize(
    "problem",
    [
        RunError("a worker was lost"),
        ConnectionResetError("gone"),
        TimeoutError("late"),
        OSError(errno.ESTALE, "stale file handle"),
        OSError(errno.EIO, "input/output error"),
    ],
    ids=repr,
)
def test_what_may_pass_is_tried_again(problem: BaseException) -> None:
    assert may_pass(problem)


@pytest.mark.parametrize(
    "problem",
    [
        UsageError("no"),
        PipelineError("no"),
        ContractError("no"),
        DataError("no"),
        CapabilityError("no"),
        ConflictError("no"),
        FileNotFoundError(errno.ENOENT, "no such file"),
        PermissionError(errno.EACCES, "permission denied"),
        OSError(errno.ENOSPC, "no space left"),
        MemoryError(),
        KeyError("a mistake of ours"),
        KeyboardInterrupt(),
        None,
    ],
    ids=repr,
)
def test_what_someone_must_mend_is_not(problem: object) -> None:
    assert not may_pass(problem)


def test_prefect_asks_about_what_is_in_the_state() -> None:
    assert retry_condition(None, None, SimpleNamespace(data=RunError("a worker was lost"))) is True
    assert retry_condition(None, None, SimpleNamespace(data=DataError("truncated"))) is False
