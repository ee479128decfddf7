"""A process of a cluster that is started here: what it prints, how it ended, and its end by its own process id."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_TAIL_LINES = 12


class Spawned:
    """A process that runs `headrace.engines.child` and does not import the caller's `__main__`.

    It leads a session and a process group of its own, so a Ctrl-C in the terminal reaches the caller alone. What it
    prints goes to a log in `folder`; its first line of output, where it is `asked` for, to the caller.

    Parameters
    ----------
    role
        As `headrace.engines.child` calls it.
    name
        Of the process and its log.
    folder
        For logs and the process's own files.
    threads
        Threads that Polars and other libraries use in it.
    settings
        More words for the role.
    asked
        The caller reads a line from it, with `line`.
    told
        The caller writes a line to it, with `tell`.
    """

    def __init__(
        self,
        role: str,
        name: str,
        folder: Path,
        threads: int,
        *settings: str,
        asked: bool = False,
        told: bool = False,
    ) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        environment = os.environ | {
            "PYTHONPATH": path,  # what the caller can import, a task can
            "POLARS_MAX_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
        }
        words = ["headrace.engines.child", role, str(os.getpid()), str(folder), name, *settings]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", *words],
                env=environment,
                stdin=subprocess.PIPE if told else subprocess.DEVNULL,
                stdout=subprocess.PIPE if asked else log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def line(self, deadline: float) -> str:
        """The first line of its output; empty where it ended without one, or gave none before the deadline."""
        stdout = self._process.stdout
        assert stdout is not None
        ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
        return stdout.readline().strip() if ready else ""

    def tell(self, line: str) -> None:
        """Give it a line of input, and no more."""
        stdin = self._process.stdin
        assert stdin is not None
        with suppress(BrokenPipeError):  # it has ended already: the next look at it says so
            stdin.write(f"{line}\n")
            stdin.close()

    def status(self, seconds: float = 0.0) -> str:
        """How it ended, waiting for that so long; empty while it runs."""
        deadline = time.monotonic() + seconds
        while (code := self._code()) is None:
            if time.monotonic() >= deadline:
                return ""
            time.sleep(0.01)
        if code < 0:
            with suppress(ValueError):
                return signal.Signals(-code).name
        return f"exit status {code}"

    def tail(self) -> str:
        """The last lines that it printed, each on a line below."""
        lines = self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:] if self._log.exists() else []
        return "".join(f"\n  {line}" for line in lines)

    def kill(self) -> None:
        """Kill it and the processes of its group, which it has started."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill it and wait for its end."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()

    def _code(self) -> int | None:
        # While it is not reaped no other process can get its id, so its group can be ended by that.
        if self._process.returncode is None and hasattr(os, "waitid"):
            with suppress(ChildProcessError):
                found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None:
                    return None
                return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        return self._process.poll()


def end_all(processes: Iterable[Spawned]) -> None:
    """End processes. What they work on leaves nothing behind that counts, so none is asked to finish it."""
    ending = list(processes)
    for process in ending:
        process.kill()
    for process in ending:
        process.end()
