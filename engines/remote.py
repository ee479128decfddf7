"""Tasks on the workers of a Dask cluster, a bounded number of them at a time."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from headrace.engines.executor import Done
from headrace.schemas.errors import CapabilityError, HeadraceError, RunError

Spec = TypeVar("Spec")
Result = TypeVar("Result")

RETRIES = 2
IN_FLIGHT_PER_WORKER = 2  # one runs, one waits; more would only be lost together when a worker dies
_TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Refused:
    """An error that a task raised on purpose, as a result: Dask would try it again, with the same end."""

    error: HeadraceError
    trace: str


class Watch(Protocol):
    """Looks after the cluster while tasks run."""

    def __call__(self) -> int:
        """Tasks that can run at once by now; a RunError where they never will."""
        ...


@dataclass(frozen=True)
class Connection:
    """A cluster that is open.

    Parameters
    ----------
    client
        A connected `distributed.Client`.
    watch
        Called about twice a second while `map` waits.
    explain
        What is known about the end of the worker of that name, for messages; may be empty.
    lost
        The error for a scheduler that no longer answers.
    lost_worker
        What to do where a task's workers die.
    """

    client: Any
    watch: Watch
    explain: Callable[[str], str]
    lost: Callable[[], RunError]
    lost_worker: str


class RemoteExecutor:
    """The workers that a Dask client reaches. Made by `open_cluster`.

    Parameters
    ----------
    address
        What messages and the manifest say.
    connection
        The cluster.
    renewed
        Ends that cluster and opens another in its place.
    """

    def __init__(self, address: str, connection: Connection, renewed: Callable[[], Connection]) -> None:
        self.address = address
        self._connection = connection
        self._renewed = renewed
        self._looked = 0.0
        self._look(first=True)

    def renew(self) -> None:
        """Put a fresh cluster in the place of this one.

        Raises
        ------
        RunError
            It is not ours to end.
        CapabilityError
            It does not start again.
        """
        self._connection = self._renewed()
        self._look(first=True)

    def map(self, function: Callable[[Spec], Result], specs: Sequence[Spec], done: Done | None = None) -> list[Result]:
        """Run the function on every spec; results in the order of the specs.

        A task whose worker dies, or that raises an error which is not headrace's own, runs again, twice at most.
        The scheduler never knows of more than a few tasks per worker, however many specs there are.

        Raises
        ------
        HeadraceError
            What a task raised, with its own type; so is any other error.
        RunError
            The scheduler is gone, no worker is left, or a task's workers died three times.
        """
        results: list[Any] = [None] * len(specs)
        running: dict[str, tuple[int, Any]] = {}
        arrived: SimpleQueue[Any] = SimpleQueue()
        waiting = enumerate(specs)
        run = uuid4().hex
        try:
            while True:
                self._look()
                free = max(0, self.workers * IN_FLIGHT_PER_WORKER - len(running))
                for index, future in self._submit(function, islice(waiting, free), run):
                    running[future.key] = index, future
                    future.add_done_callback(arrived.put)
                if not running:
                    return results
                for future in self._next(arrived):
                    index, _ = running[future.key]
                    results[index] = self._result(future)
                    del running[future.key]
                    if done:
                        done(results[index])
        except BaseException:
            # Also on Ctrl-C. The scheduler may be the one that is gone; the error on its way says so.
            with suppress(Exception):
                self._connection.client.cancel([future for _, future in running.values()], asynchronous=False)
            raise

    def _look(self, *, first: bool = False) -> None:
        now = time.monotonic()
        if first or now - self._looked > _TICK_SECONDS:
            self._looked = now
            self.workers = max(1, self._connection.watch())

    def _submit(self, function: Callable[[Spec], Any], specs: Any, run: str) -> Iterator[tuple[int, Any]]:
        name = getattr(function, "__name__", "task")
        for index, spec in specs:
            try:
                future = self._connection.client.submit(
                    attempt, function, spec, _version(), key=f"{name}-{run}-{index}", pure=False, retries=RETRIES
                )
            except (OSError, RuntimeError) as error:
                raise self._connection.lost() from error
            yield index, future

    def _next(self, arrived: SimpleQueue[Any]) -> Iterator[Any]:
        try:
            first = arrived.get(timeout=_TICK_SECONDS)
        except Empty:
            return
        yield first
        with suppress(Empty):
            while True:
                yield arrived.get_nowait()

    def _result(self, future: Any) -> Any:
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        while True:
            try:
                result = future.result(timeout=10 * _TICK_SECONDS)
                break
            except TimeoutError:
                if future.status == "error":
                    raise
                self._connection.watch()  # the worker died with the result, and the task runs again
            except KilledWorker as error:
                raise self._killed(error) from None
            except (CancelledError, CommClosedError) as error:
                raise self._connection.lost() from error
        if isinstance(result, Refused):
            result.error.add_note(f"in a worker of {self.address}:\n{result.trace}")
            raise result.error
        return result

    def _killed(self, error: Any) -> RunError:
        worker = error.last_worker
        how = self._connection.explain(str(worker.name))
        return RunError(
            f"task {str(error.task).split('-')[0]} lost its worker {error.allowed_failures + 1} times, "
            f"the last was {how or f'{worker.name} at {worker.address}'}",
            hint=self._connection.lost_worker,
            where=self.address,
        )


def attempt(function: Callable[[Spec], Result], spec: Spec, version: str) -> Result | Refused:
    """In the worker: one try of a task. Errors that another try cannot mend come back as results."""
    if version != _version():  # a worker that joined after the others had been asked
        problem = f"this worker runs headrace {_version()}, the client {version}"
        return Refused(CapabilityError(problem, hint="install the same version on every worker"), "")
    # The frames of a traceback hold what the task held, rows on a device too, and this worker keeps what comes of a
    # task until the client has it.
    try:
        return function(spec)
    except HeadraceError as error:
        if isinstance(error, RunError):
            _empty(error)
            raise
        trace = traceback.format_exc()
        error.__cause__ = error.__context__ = None
        return Refused(error.with_traceback(None), trace)
    except Exception as error:
        _empty(error)
        raise


def _empty(error: BaseException | None) -> None:
    """Let go of what the frames of an error hold, and of the errors behind it; their lines stay."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


@cache
def _version() -> str:
    return metadata.version("headrace")
