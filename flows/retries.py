"""Which failures may pass by themselves: only those are tried again."""

from __future__ import annotations

import errno
from typing import Any, Final

from headrace.schemas.errors import HeadraceError, RunError

DELAYS: Final = (10, 60)
"""Seconds before the second and the third try."""

STAGES: Final = frozenset({"prepare", "fit", "apply", "write", "publish"})
"""The stages that touch sources, workers or the catalog, and can be repeated; what they had done is used."""

_PASSING: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)


def may_pass(problem: object) -> bool:
    """Whether the same call may succeed later: a lost worker or connection, a busy disk; not what someone must mend."""
    if isinstance(problem, HeadraceError):
        return isinstance(problem, RunError)
    if isinstance(problem, ConnectionError | TimeoutError):
        return True
    return isinstance(problem, OSError) and problem.errno in _PASSING


def retry_condition(task: Any, run: Any, state: Any) -> bool:  # noqa: ARG001 - Prefect calls it with all three
    """`may_pass` as Prefect's `retry_condition_fn`."""
    return may_pass(state.data)
