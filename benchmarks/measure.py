"""Measure whole processes, several sides in turn: A B C, A B C, ...

A measured command is run as a user would run it; nothing is measured from inside. Linux only: it reads /proc.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_INTERVAL = 0.02
_GRACE = 5.0


@dataclass(frozen=True)
class Measurement:
    """One run of one command.

    Attributes
    ----------
    wall_s, user_s, system_s
        Seconds; CPU seconds over all processes that the command waited for.
    peak_process_mb
        The largest resident set of any one process, as the kernel kept it (exact), in units of 1e6 bytes.
    peak_tree_mb
        The largest sum of resident sets over the command and its descendants, sampled every 20 ms: shorter peaks are
        missed, and pages that processes share count for each.
    read_mb
        Bytes asked for by read calls, from the page cache or from disk. What a process maps into memory is not in it.
    load
        The machine's one-minute load average before the start: what others were doing.
    """

    wall_s: float
    user_s: float
    system_s: float
    peak_process_mb: float
    peak_tree_mb: float
    read_mb: float
    load: float


class CommandFailed(Exception):
    """A measured command ended with a status other than 0; a side that fails is not compared."""


class CommandTooSlow(CommandFailed):
    """A measured command was stopped because its time was over."""


def measure(
    command: Sequence[str],
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    limit: float = math.inf,
    sample: Callable[[Sequence[int]], object] = lambda _: None,
) -> Measurement:
    """Run a command to its end and measure it. Its output goes to `log`, which a failure quotes from.

    Parameters
    ----------
    limit
        Seconds after which the command and its descendants are stopped.
    sample
        Called every 20 ms with the process ids of the command and its descendants, to see what only it can.

    Raises
    ------
    CommandFailed
        The command ended with another status than 0.
    CommandTooSlow
        It was stopped at its limit.
    """
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="measure-") as folder:
        usage_file = Path(folder) / "usage.json"
        output = log if log is not None else Path(folder) / "log"
        with output.open("wb") as stream:
            launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")), str(usage_file)]
            process = subprocess.Popen(
                [*launcher, *command], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=env
            )
            peak = _watch(process, limit, sample)
        if not usage_file.exists():
            raise CommandFailed(f"{' '.join(command)}: it could not be started\n{_tail(output)}")
        usage = json.loads(usage_file.read_text())
        if usage["status"] != 0:
            raise CommandFailed(f"{' '.join(command)}: status {usage['status']}\n{_tail(output)}")
    return Measurement(
        wall_s=round(usage["wall_s"], 3),
        user_s=round(usage["user_s"], 3),
        system_s=round(usage["system_s"], 3),
        peak_process_mb=round(usage["peak_bytes"] / 1e6, 1),
        peak_tree_mb=round(max(peak, usage["peak_bytes"]) / 1e6, 1),
        read_mb=round(usage["read_bytes"] / 1e6, 1),
        load=round(load, 2),
    )


def in_turn(
    sides: Mapping[str, Callable[[], Measurement]],
    rounds: int,
    report: Callable[[str, int, Measurement], None] = lambda *_: None,
) -> tuple[dict[str, list[Measurement]], dict[str, str]]:
    """Measure every side once a round, in their order, so that a change in the machine's load meets all of them.

    Gives the measurements by side, and why sides failed; a side that fails once is dropped, measurements and all.
    """
    results: dict[str, list[Measurement]] = {name: [] for name in sides}
    failures: dict[str, str] = {}
    for number in range(rounds):
        for name, run in sides.items():
            if name in failures:
                continue
            try:
                results[name].append(run())
            except CommandFailed as error:
                failures[name] = str(error)
                continue
            report(name, number, results[name][-1])
    return {name: runs for name, runs in results.items() if name not in failures}, failures


def _watch(process: subprocess.Popen[bytes], limit: float, sample: Callable[[Sequence[int]], object]) -> int:
    """Wait for the launcher to end; the largest sum of resident bytes that its descendants were seen with."""
    page = os.sysconf("SC_PAGE_SIZE")
    peak = 0
    end = time.monotonic() + limit
    try:
        while process.poll() is None:
            members = tree(process.pid)[1:]
            peak = max(peak, sum(map(_resident_pages, members)) * page)
            sample(members)
            if time.monotonic() > end:
                raise CommandTooSlow(f"stopped after {limit:.0f} s")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_INTERVAL)
    except BaseException:
        _stop(process)
        raise
    return peak


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the launcher and its descendants: asked first, killed if they are still there five seconds later."""
    members = {member: _started(member) for member in reversed(tree(process.pid))}
    for number in (signal.SIGTERM, signal.SIGKILL):
        for member, started in members.items():
            if started and _started(member) == started:  # else it has ended, and its number may be another's
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, number)
        end = time.monotonic() + _GRACE
        while time.monotonic() < end and any(started and _started(m) == started for m, started in members.items()):
            process.poll()
            time.sleep(_INTERVAL)
    process.wait()


def _started(pid: int) -> str:
    """When a process started, in the kernel's words; empty where it has ended."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else fields[18]


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    members = [pid]
    for member in members:  # grows while it is walked: children follow their parents
        try:
            for task in Path(f"/proc/{member}/task").iterdir():
                members += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue  # it ended meanwhile
    return members


def cpu_seconds(pids: Iterable[int]) -> float:
    """Of processes that run, user and system; one that has ended meanwhile counts nothing."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def _resident_pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
