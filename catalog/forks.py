"""Stores and fork: the threads that serve stores do not live through one, and who waits for them waits for ever."""

from __future__ import annotations

import os

from headrace.schemas.errors import CapabilityError


class _Process:
    used = False
    """Whether a store was opened in this process."""
    lost = False
    """Whether this process was forked from one that had opened a store."""


def _after_fork() -> None:
    _Process.lost = _Process.lost or _Process.used


def refuse_forked() -> None:
    """Called before a store is opened. Raises CapabilityError in a process that could not use it."""
    if _Process.lost:
        raise CapabilityError(
            "a process that was forked from one that used a store cannot use stores: it would wait for ever",
            hint="start processes by spawn or forkserver (of a DataLoader: multiprocessing_context='spawn'), or fork "
            "before a dataset is opened",
        )
    _Process.used = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
