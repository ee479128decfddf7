"""How far a run is: bars on a terminal, one line per stage elsewhere. Written to stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headrace.commands.layout import seconds_in_words
from headrace.commands.terminal import is_interactive, say

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from headrace.pipelines.staging import Progress


@contextmanager
def stage_progress(*, quiet: bool) -> Iterator[Progress | None]:
    """The progress display that fits where stderr goes; None if it is to be quiet."""
    if quiet:
        yield None
    elif is_interactive():
        with _bars() as bars:
            yield StageBars(bars)
    else:
        yield StageLines()


class StageLines:
    """One line when a stage is over: its name, what it took, its rows and rows per second."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._rows: dict[str, int] = {}

    def start(self, stage: str, total: int) -> None:
        self._started[stage], self._rows[stage] = time.monotonic(), 0

    def advance(self, stage: str, rows: int = 0) -> None:
        self._rows[stage] = self._rows.get(stage, 0) + rows

    def finish(self, stage: str) -> None:
        seconds = time.monotonic() - self._started.get(stage, time.monotonic())
        say(f"{stage:<10}{seconds_in_words(seconds):>10}{_rows_in_words(self._rows.get(stage, 0), seconds)}")


class StageBars:
    """A bar per stage: share of its rows, rows per second, time left."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._rows: dict[str, int] = {}
        self._started: dict[str, float] = {}

    def start(self, stage: str, total: int) -> None:
        self._rows[stage], self._started[stage] = 0, time.monotonic()
        # Without a total the bar moves to and fro.
        self._tasks[stage] = self._bars.add_task(stage, total=total or None, words="")

    def advance(self, stage: str, rows: int = 0) -> None:
        self._rows[stage] += rows
        seconds = time.monotonic() - self._started[stage]
        self._bars.update(self._tasks[stage], advance=rows, words=_rows_in_words(self._rows[stage], seconds))

    def finish(self, stage: str) -> None:
        total = max(1, self._rows[stage])
        self._bars.update(self._tasks[stage], total=total, completed=total)


@contextmanager
def _bars() -> Iterator[Bars]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=28),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield bars


def _rows_in_words(rows: int, seconds: float) -> str:
    if not rows:
        return ""
    speed = f"  {rows / seconds:>12,.0f} rows/s" if seconds >= 0.05 else ""
    return f"{rows:>14,} rows{speed}"
