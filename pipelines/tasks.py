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
        The partition, learner, key or split; `bucket` the part of it.
    pieces
        Into how many pieces a partition is cut, one after the other: more of them need less memory.
    note
        Why it runs on another engine than the run's, for the record.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    work: str
    engine: EngineSpec
    number: int
    item: int
    bucket: int = 0
    pieces: int = 1
    note: str = ""

    @property
    def name(self) -> str:
        return f"task {self.number}.{self.item}.{self.bucket}"

    def notes(self, fallbacks: Sequence[str]) -> tuple[str, ...]:
        """What to record of how it ran: what its engine handed to the CPU, and why it was handed there whole."""
        return (*fallbacks, *([self.note] if self.note else []))

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

    A task whose device has no memory left gets fresh workers and is cut in half, twice at most; then, or where workers
    cannot be replaced, it runs on the CPU, which gives the same result. Tasks that had ended are not done again: they
    find what they left.

    Raises
    ------
    GpuMemoryError
        Also a quarter of the rows is too much, and the engine is strict.
    """
    wanted = list(tasks)
    while True:
        try:
            return executor.map(function, wanted, done)
        except GpuMemoryError as problem:
            places = [i for i, task in enumerate(wanted) if task.name == problem.where]
            if not places or wanted[places[0]].engine.name == "cpu":
                raise
            wanted[places[0]] = _smaller(wanted[places[0]], problem, fresh=_renewed(executor))
            done = None  # those that had ended would be counted twice


def _renewed(executor: Executor) -> bool:
    """Whether there are fresh workers now; those of a cluster that others run stay as they are."""
    try:
        executor.renew()
    except RunError as problem:
        _LOG.warning("%s", problem.message)
        return False
    return True


def _smaller(task: Given, problem: GpuMemoryError, *, fresh: bool) -> Given:
    if task.pieces < MOST_PIECES and fresh:
        _LOG.warning("%s: %s; it runs again in %d pieces", task.name, problem.message, 2 * task.pieces)
        return task.model_copy(update={"pieces": 2 * task.pieces})
    if task.engine.strict:
        raise problem
    part = {1: "its rows", 2: "half of its rows"}.get(task.pieces, "a quarter of its rows")
    note = f"{task.name}: the device had no memory left for {part}"
    _LOG.warning("%s; it runs on the CPU", note)
    return task.model_copy(update={"engine": CPU, "pieces": 1, "note": note})
