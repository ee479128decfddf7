"""What a task is told, and what becomes of one that needs more memory than its device has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict

from headrace.engines.executor import Done, Executor
from headrace.engines.open import CPU, EngineSpec
from headrace.schemas.errors import GpuMemoryError, RunError

MOST_PIECES: Final = 4
_LOG = logging.getLogger("headrace")


class Task(BaseModel):
    """A task over one partition, one learner or one bucket; small enough to be sent anywhere.

    Parameters
    ----------
    number
        The pass.
    item
        The partition, learner, key or split; `bucket` the part of it, where it matters one of `buckets`.
    pieces
        Into how many pieces a partition is cut, one after the other: more of them need less memory.
    label
        What it is in words, for messages.
    most_pieces
        Into how many it can be cut; 1 for what has no units to cut it at.
    again
        It runs for the second time, uncut, on fresh workers.
    note
        Why it runs on another engine than the run's, for the record.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    work: str
    engine: EngineSpec
    number: int
    item: int
    bucket: int = 0
    buckets: int = 1
    label: str = ""
    pieces: int = 1
    most_pieces: int = 1
    again: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        return self.label or f"task {self.number}.{self.item}.{self.bucket}"

    def notes(self, fallbacks: Sequence[str]) -> tuple[str, ...]:
        """What to record of how it ran: what its engine handed to the CPU, and why it was handed there whole."""
        return (*fallbacks, *([self.note] if self.note else []))

    @property
    def last_on_device(self) -> bool:
        """Whether it can be given to a device in no other way than it was."""
        return self.pieces >= min(self.most_pieces, MOST_PIECES) and (self.pieces > 1 or self.again)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Says in an error for want of device memory which task it was."""
        try:
            yield
        except GpuMemoryError as problem:
            problem.where = self.name
            raise


Given = TypeVar("Given", bound=Task)
Result = TypeVar("Result")


def map_tasks(
    executor: Executor, function: Callable[[Given], Result], tasks: Sequence[Given], done: Done | None = None
) -> list[Result]:
    """Run a function on every task; results in their order.

    A task whose device has no memory left gets fresh workers and is cut in half, twice at most, or if it cannot be cut
    is given to them once more; then, or where workers cannot be replaced, it runs on the CPU, which gives the same
    result. From the second task on that is too large, all are cut as it is: fresh workers take longer than pieces.
    Tasks that had ended and leave a record are not done again: they find what they left.

    Raises
    ------
    GpuMemoryError
        Also a quarter of the rows is too much, and the engine is strict.
    """
    wanted = list(tasks)
    too_large: set[int] = set()
    cut = 1
    while True:
        try:
            return executor.map(function, wanted, done)
        except GpuMemoryError as problem:
            place = next((i for i, task in enumerate(wanted) if task.name == problem.where), None)
            if place is None or wanted[place].engine.name == "cpu":
                raise
            if wanted[place].last_on_device and wanted[place].engine.strict:
                raise
            full = problem.with_traceback(None)  # the frames that it went through hold rows on the device
            full.__cause__ = full.__context__ = None
        fresh = _renewed(executor)
        smaller = _smaller(wanted[place], full, fresh=fresh, least=cut)
        cut = max(cut, wanted[place].pieces, smaller.pieces)
        too_large.add(place)
        if len(too_large) > 1:
            wanted = [_at_least(task, cut) for task in wanted]
        wanted[place] = smaller
        done = None  # those that had ended would be counted twice


def _renewed(executor: Executor) -> bool:
    """Whether there are fresh workers now; those of a cluster that others run stay as they are."""
    try:
        executor.renew()
    except RunError as problem:
        _LOG.warning("%s", problem.message)
        return False
    return True


def _at_least(task: Given, pieces: int) -> Given:
    pieces = min(pieces, task.most_pieces)
    larger = task.engine.name != "cpu" and task.pieces < pieces
    return task.model_copy(update={"pieces": pieces}) if larger else task


def _smaller(task: Given, problem: GpuMemoryError, *, fresh: bool, least: int) -> Given:
    pieces = min(max(2 * task.pieces, least), task.most_pieces, MOST_PIECES)
    if fresh and pieces > task.pieces:
        _LOG.warning("%s: %s; it runs again in %d pieces", task.name, problem.message, pieces)
        return task.model_copy(update={"pieces": pieces})
    if fresh and not task.last_on_device:
        _LOG.warning("%s: %s; it runs again on fresh workers", task.name, problem.message)
        return task.model_copy(update={"again": True})
    if task.engine.strict:
        raise problem
    part = {1: "its rows", 2: "half of its rows", 3: "a third of its rows"}.get(task.pieces, "a quarter of its rows")
    note = f"{task.name}: the device had no memory left for {part}"
    _LOG.warning("%s; it runs on the CPU", note)
    return task.model_copy(update={"engine": CPU, "pieces": 1, "note": note})
