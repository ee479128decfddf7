"""Processes that die and stores that fail: at the n-th operation, before or after it took effect.

    with dying(monkeypatch, at=3, after=True, operations=STORE) as death:
        publish(...)
    assert death.happened

`dying` is a SIGKILL: from the n-th operation on nothing happens any more, no clean-up either. `failing` is a store that
answers 503 once. Both patch the functions of obstore, which is how `catalog.store` and `catalog.objects` call it, and
for DISK those that write files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError

Operations = Sequence[tuple[Any, str]]

WRITES: Operations = [(obstore, "put"), (obstore, "delete")]
"""What changes a store."""

STORE: Operations = [*WRITES, (obstore, "get"), (obstore, "list"), (obstore, "list_with_delimiter")]
"""All that is asked of a store."""

DISK: Operations = [
    *WRITES,
    (os, "fsync"),
    (os, "fchmod"),
    (Path, "mkdir"),
    (Path, "replace"),
    (Path, "unlink"),
    (Path, "chmod"),
    (shutil, "rmtree"),
]
"""What changes a catalog on disk."""


class Killed(BaseException):
    """SIGKILL: from here on the process does nothing, not even clean up."""


@dataclass
class Fault:
    """What happens at the n-th operation."""

    left: int
    after: bool
    dies: bool
    happened: bool = False

    def wrap(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            if self.happened and self.dies:
                raise Killed
            self.left -= 1
            if self.left != 0:
                return operation(*args, **options)
            self.happened = True
            try:
                if self.after:
                    operation(*args, **options)
            finally:
                raise Killed if self.dies else GenericError("503 Service Unavailable")

        return run


@contextmanager
def _fault(patching: pytest.MonkeyPatch, fault: Fault, operations: Operations) -> Iterator[Fault]:
    with patching.context() as patch:
        for owner, name in operations:
            patch.setattr(owner, name, fault.wrap(getattr(owner, name)))
        try:
            yield fault
        except Killed:
            assert fault.dies


@contextmanager
def dying(
    patching: pytest.MonkeyPatch, *, at: int, after: bool = False, operations: Operations = STORE
) -> Iterator[Fault]:
    """A process that dies at operation `at`, counted from 1, of the block. `happened` says whether it got there."""
    with _fault(patching, Fault(at, after, dies=True), operations) as fault:
        yield fault


@contextmanager
def failing(
    patching: pytest.MonkeyPatch, *, at: int, after: bool = False, operations: Operations = STORE
) -> Iterator[Fault]:
    """A store whose operation `at` of the block fails once; with `after`, though it took effect."""
    with _fault(patching, Fault(at, after, dies=False), operations) as fault:
        yield fault


def every_death(
    patching: pytest.MonkeyPatch, *, after: bool = False, operations: Operations = STORE
) -> Iterator[Callable[[Callable[[], Any]], bool]]:
    """For n = 1, 2, ... a function that calls what it is given, dies at the n-th operation, and says whether it died.

    Ends after the first call that lives.
    """
    at, lived = 0, False
    while not lived:
        at += 1

        def run(work: Callable[[], Any], at: int = at) -> bool:
            nonlocal lived
            with dying(patching, at=at, after=after, operations=operations) as death:
                work()
            lived = not death.happened
            return death.happened

        yield run
