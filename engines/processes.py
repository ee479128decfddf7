"""The processes of a local cluster: started, watched, replaced and ended by the process ids that were started here."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headrace.schemas.errors import CapabilityError, RunError

_TAIL_LINES = 12


class LocalProcesses:
    """One scheduler and `count` single-threaded workers on 127.0.0.1, none of which imports the caller's `__main__`.

    Each leads a session of its own, so a Ctrl-C in the terminal reaches the caller alone. What they print goes to a
    log in `folder`; its end is quoted where one of them fails.

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
        self._scheduler: subprocess.Popen[str] | None = None
        self._workers: dict[str, subprocess.Popen[str]] = {}
        self._started = 0
        self._ended: list[str] = []

    @property
    def pids(self) -> tuple[int, ...]:
        """The scheduler's process id, then those of the workers."""
        found = [self._scheduler] if self._scheduler else []
        return tuple(process.pid for process in [*found, *self._workers.values()])

    def start(self, deadline: float) -> str:
        """Start everything at once; the scheduler's address.

        Raises
        ------
        CapabilityError
            The scheduler ended, or gave no address before the deadline (of `time.monotonic`).
        """
        self._scheduler = self._spawn("scheduler", "scheduler")
        for _ in range(self.count):
            self._start_worker()
        stdout = self._scheduler.stdout
        assert stdout is not None
        ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
        self.address = stdout.readline().strip() if ready else ""
        if not self.address:
            raise self.cannot_start("the scheduler gave no address")
        for worker in self._workers.values():
            self._send_address(worker)
        return self.address

    def wait_for_workers(self, registered: Callable[[], int], deadline: float) -> None:
        """Return when all workers are registered with the scheduler.

        Raises
        ------
        CapabilityError
            A process ended, or the deadline passed.
        """
        while (found := registered()) < self.count:
            for name, process in self._workers.items():
                if process.poll() is not None:
                    raise self.cannot_start(f"{name} ended with {_status(process)}", name)
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
        if self._scheduler is not None and self._scheduler.poll() is not None:
            raise self.lost_scheduler()
        for name, process in list(self._workers.items()):
            if process.poll() is None:
                continue
            self._ended.append(f"{name}, process {process.pid}: {_status(process)}{self.tail(name)}")
            del self._workers[name]
            if len(self._ended) > 3 * self.count + 3:
                raise RunError(
                    f"{len(self._ended)} worker processes ended, the last of them {self._ended[-1]}",
                    hint=LOST_WORKER_HINT,
                    where=f"local:{self.count}",
                )
            self._send_address(self._start_worker())

    def ended(self, name: str) -> str:
        """How the worker of that name ended; empty while it runs or if it is none of ours."""
        if name in self._workers:
            with suppress(subprocess.TimeoutExpired):  # its connections close a moment before it has ended
                self._workers[name].wait(timeout=1)
            self.replace_ended()
        return next((text for text in self._ended if text.startswith(f"{name},")), "")

    def lost_scheduler(self) -> RunError:
        """The error for a scheduler that no longer answers."""
        status = ""
        if self._scheduler is not None:
            with suppress(subprocess.TimeoutExpired):  # as above
                self._scheduler.wait(timeout=1)
                status = f" (process {self._scheduler.pid}: {_status(self._scheduler)})"
        return RunError(
            f"the scheduler {self.address} is gone{status}{self.tail('scheduler')}",
            hint="run again: finished partitions are not repeated",
            where=f"local:{self.count}",
        )

    def tail(self, name: str) -> str:
        """The last lines that a process printed, each on a line below."""
        log = self._folder / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:] if log.exists() else []
        return "".join(f"\n  {line}" for line in lines)

    def cannot_start(self, problem: str, name: str = "scheduler") -> CapabilityError:
        return CapabilityError(
            f"the local cluster did not start: {problem}{self.tail(name)}",
            hint="run with --cluster inline, or with fewer workers",
            where=f"local:{self.count}",
        )

    def close(self) -> None:
        """End every process that was started here. Tasks leave nothing behind that counts, so none is waited for."""
        started = [self._scheduler, *self._workers.values()]
        processes = [process for process in started if process is not None]
        for process in processes:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        for process in processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    with suppress(OSError):
                        pipe.close()

    def _start_worker(self) -> subprocess.Popen[str]:
        name = f"worker-{self._started}"
        self._started += 1
        self._workers[name] = self._spawn("worker", name)
        return self._workers[name]

    def _send_address(self, worker: subprocess.Popen[str]) -> None:
        assert worker.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already: the next look at the processes says so
            worker.stdin.write(f"{self.address}\n")
            worker.stdin.close()

    def _spawn(self, role: str, name: str) -> subprocess.Popen[str]:
        threads = str(self.threads)
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        environment = os.environ | {
            "PYTHONPATH": path,  # what the caller can import, a task can
            "POLARS_MAX_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }
        command = [
            sys.executable,
            "-P",
            "-m",
            "headrace.engines.child",
            role,
            str(os.getpid()),
            str(self._folder),
            name,
        ]
        scheduler = role == "scheduler"
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL if scheduler else subprocess.PIPE,
                stdout=subprocess.PIPE if scheduler else log,
                stderr=log,
                text=True,
                start_new_session=True,
            )


LOST_WORKER_HINT = (
    "a worker that is killed has usually run out of memory: use fewer workers (--cluster local:N), or smaller "
    "partitions, and run again: finished partitions are not repeated"
)


@contextmanager
def local_processes(count: int, cores: int) -> Iterator[LocalProcesses]:
    """Processes that are not yet started; on leaving they are ended and their temporary folder is removed."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-cluster-"))
    processes = LocalProcesses(count, cores, folder)
    try:
        yield processes
    finally:
        try:
            processes.close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _status(process: subprocess.Popen[str]) -> str:
    code = process.returncode
    if code is not None and code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit status {code}"
