"""Processes that do their job when they are asked to, so that the sides of a comparison take turns epoch by epoch."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from benchmarks.measure import CommandFailed
from benchmarks.sides import ROOT

COMMAND: Final = (sys.executable, "-m", "benchmarks.loader.alone")

_INTERVAL: Final = 0.02


class Asked:
    """A process of `benchmarks.loader.alone`, which has imported what it uses, and waits.

    Parameters
    ----------
    job
        What it does.
    more
        Variables that are put to its environment.
    """

    def __init__(self, job: Mapping[str, Any], more: Mapping[str, str] | None = None) -> None:
        self.job = job
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__, with the process
        self._process = subprocess.Popen(
            [*COMMAND, json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment(more or {}),
        )
        try:
            self.before = self._answer()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def ask(self) -> dict[str, Any]:
        """What it found this time, with the machine's load before it, and the most memory without that of mapped files
        that was seen meanwhile, every 20 ms.

        Raises CommandFailed if it ended instead.
        """
        load = os.getloadavg()[0]
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: there will be no answer
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        return self._answer() | {"load": round(load, 2)}

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        most = 0
        while not select.select([self._process.stdout], [], [], _INTERVAL)[0]:
            most = max(most, _anonymous(self._process.pid))
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            words = self._log.read().decode(errors="replace")[-2000:]
            raise CommandFailed(f"{json.dumps(self.job)}: status {self._process.wait()}\n{words}")
        found: dict[str, Any] = json.loads(line)
        return found | {"most_anonymous_mb": max(most / 1e6, found.get("anonymous_mb", 0.0))}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()  # the end of what it is asked
        self._log.close()


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's, with `benchmarks` to be found, and more."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(paths)}


def _anonymous(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) << 10
    return 0
