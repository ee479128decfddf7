"""What still fits: into the time that is left, and onto the disk. What does not is left out, and said."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from benchmarks.gpu.model import Run

MARGIN: Final = 1.1
"""Of the disk that a run of another size is expected to take."""


class Guess(NamedTuple):
    """What a side may need where it has not been measured yet; wrong guesses cost a stage, never a figure.

    Parameters
    ----------
    start_s
        Imports, a CUDA context, a cluster.
    rows_per_s
        A low one.
    disk_bytes_per_row
        Outputs and what lies on the disk in between, at their peak.
    """

    start_s: float
    rows_per_s: float
    disk_bytes_per_row: float


class Need(NamedTuple):
    """What a run is expected to need."""

    seconds: float
    disk_mb: float
    guessed: bool


class Budget:
    """Seconds from now on; infinite by default."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        """Seconds; 0 once they are spent."""
        return max(0.0, self._end - self._clock())


def need(rows: int, guess: Guess, known: Sequence[tuple[int, Run]]) -> Need:
    """What `rows` rows need: from the runs of the nearest size, start-up apart; else from the guess."""
    if not known:
        return Need(guess.start_s + rows / guess.rows_per_s, rows * guess.disk_bytes_per_row / 1e6, True)
    nearest = min((size for size, _ in known), key=lambda size: abs(size - rows))
    runs = [run for size, run in known if size == nearest]
    scale = rows / nearest
    seconds = max(run.wall_s - run.work_s + run.work_s * scale for run in runs)
    return Need(seconds, max(run.disk_mb for run in runs) * scale * MARGIN, False)


def refusal(wanted: Need, budget: Budget, free_mb: float) -> str:
    """Why a run is not begun; empty if it is."""
    about = "a guess says about" if wanted.guessed else "it would take about"
    if wanted.seconds > budget.left:
        return f"{about} {wanted.seconds:,.0f} s, and {budget.left:,.0f} of {budget.seconds:,.0f} s are left"
    if wanted.disk_mb > free_mb:
        return f"{about} {wanted.disk_mb / 1e3:,.1f} GB of disk, and {free_mb / 1e3:,.1f} GB are free"
    return ""
