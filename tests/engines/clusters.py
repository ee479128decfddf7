"""What tests of clusters have in common: tasks that meet their test, and the processes of a client."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from headrace.engines.processes import LocalProcesses, local_processes


class Meeting(NamedTuple):
    """A task that says where it runs and goes on when it is told to."""

    folder: Path
    number: int


def square(x: int) -> int:
    return x * x


def meet(spec: Meeting) -> int:
    (spec.folder / f"{spec.number}-{os.getpid()}").touch()
    until(lambda: (spec.folder / "go").exists())
    return os.getpid()


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def until(true: Callable[[], object], seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def children(client: int) -> list[int]:
    """The process ids that a client with this process id has started, found by their command lines."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "headrace.engines.child" in words and str(client) in words and process.status() != "zombie":
                found.append(process.pid)
    return sorted(found)


@contextmanager
def running_cluster(workers: int) -> Iterator[LocalProcesses]:
    """A cluster that the code under test did not start."""
    with local_processes(workers, 2) as processes:
        processes.start(time.monotonic() + 180)
        yield processes


@contextmanager
def answering(meanwhile: Path, action: Callable[[list[int]], object], tasks: int) -> Iterator[None]:
    """When so many tasks of `meet` run, act on the process ids they run in, and let them go on."""

    def act() -> None:
        until(lambda: len(list(meanwhile.glob("*-*"))) >= tasks)
        action(sorted({int(path.name.split("-")[1]) for path in meanwhile.glob("*-*")}))
        (meanwhile / "go").touch()

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join()
