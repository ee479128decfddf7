"""The processes of a local cluster: started, watched, replaced and ended by the process ids that were started here."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.engines.spawned import Spawned, end_all
from headrace.schemas.errors import CapabilityError, RunError


class LocalProcesses:
    """One scheduler and `count` single-threaded workers on 127.0.0.1.

    Parameters
    ----------
    count
        Workers.
    cores
        Cores that the workers share: each gets `max(1, cores // count)` Polars threads.
    folder
        An empty folder for logs and the workers' own files.
    """

    def __init__(self, count: int, cores: int, folder: Path) -> None:
        self.count = count
        self.threads = max(1, cores // count)
        self.address = ""
        self._folder = folder
        self._scheduler: Spawned | None = None
        self._workers: dict[str, Spawned] = {}
        self._started = 0
        self._ended: list[str] = []

    @property
    def pids(self) -> tuple[int, ...]:
        """The scheduler's process id, then those of the workers."""
        return tuple(process.pid for process in self._processes())

    def start(self, deadline: float) -> str:
        """Start everything at once; the scheduler's address.

        Raises
        ------
        CapabilityError
            The scheduler ended, or gave no address before the deadline (of `time.monotonic`).
        """
        self._scheduler = Spawned("scheduler", "scheduler", self._folder, self.threads, asked=True)
        for _ in range(self.count):
            self._start_worker()
        self.address = self._scheduler.line(deadline)
        if not self.address:
            raise self.cannot_start("the scheduler gave no address")
        for worker in self._workers.values():
            worker.tell(self.address)
        return self.address

    def wait_for_workers(self, registered: Callable[[], int], deadline: float) -> None:
        """Return when all workers are registered with the scheduler.

        Raises
        ------
        CapabilityError
            A process ended, or the deadline passed.
        """
        while (found := registered()) < self.count:
            for worker in self._workers.values():
                if status := worker.status():
                    raise self.cannot_start(f"{worker.name} ended with {status}", worker)
            if time.monotonic() > deadline:
                raise self.cannot_start(f"{found} of {self.count} workers registered in time")
            time.sleep(0.02)

    def replace_ended(self) -> None:
        """Start a worker for each that has ended.

        Raises
        ------
        RunError
            The scheduler has ended, or so many workers have that the next would as well.
        """
        if self._scheduler is not None and self._scheduler.status():
            raise self.lost_scheduler()
        for name, worker in list(self._workers.items()):
            status = worker.status()
            if not status:
                continue
            self._ended.append(f"{name}, process {worker.pid}: {status}{worker.tail()}")
            del self._workers[name]
            worker.end()
            if len(self._ended) > 3 * self.count + 3:
                raise RunError(
                    f"{len(self._ended)} worker processes ended, the last of them {self._ended[-1]}",
                    hint=LOST_WORKER_HINT,
                    where=f"local:{self.count}",
                )
            self._start_worker().tell(self.address)

    def ended(self, name: str) -> str:
        """How the worker of that name ended; empty while it runs or if it is none of ours."""
        if name in self._workers:
            self._workers[name].status(seconds=1)  # its connections close a moment before it has ended
            self.replace_ended()
        return next((text for text in self._ended if text.startswith(f"{name},")), "")

    def lost_scheduler(self) -> RunError:
        """The error for a scheduler that no longer answers."""
        said = ""
        if self._scheduler is not None:
            status = self._scheduler.status(seconds=1)  # as above
            said = f" (process {self._scheduler.pid}: {status})" if status else ""
            said += self._scheduler.tail()
        return RunError(
            f"the scheduler {self.address} is gone{said}",
            hint="run again: finished partitions are not repeated",
            where=f"local:{self.count}",
        )

    def cannot_start(self, problem: str, process: Spawned | None = None) -> CapabilityError:
        """The error for a cluster that does not start, with the end of a log: the scheduler's, if no other is named."""
        process = process or self._scheduler
        return CapabilityError(
            f"the local cluster did not start: {problem}{process.tail() if process else ''}",
            hint="run with --cluster inline, or with fewer workers",
            where=f"local:{self.count}",
        )

    def close(self) -> None:
        """End every process that was started here."""
        end_all(self._processes())

    def _processes(self) -> list[Spawned]:
        return [*([self._scheduler] if self._scheduler else []), *self._workers.values()]

    def _start_worker(self) -> Spawned:
        name = f"worker-{self._started}"
        self._started += 1
        self._workers[name] = Spawned("worker", name, self._folder, self.threads, told=True)
        return self._workers[name]


LOST_WORKER_HINT = (
    "a worker that is killed has usually run out of memory: use fewer workers (--cluster local:N), or smaller "
    "partitions, and run again: finished partitions are not repeated"
)


@contextmanager
def local_processes(count: int, cores: int) -> Iterator[LocalProcesses]:
    """Processes that are not yet started; on leaving they are ended and their temporary folder is removed."""
    with own_folder() as folder:
        processes = LocalProcesses(count, cores, folder)
        try:
            yield processes
        finally:
            processes.close()


@contextmanager
def own_folder() -> Iterator[Path]:
    """A temporary folder for the logs and files of a cluster's processes, removed on leaving."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-cluster-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
