"""What still fits into the time and onto the disk."""

from __future__ import annotations

import math

import pytest
from benchmarks.gpu.budget import Budget, Guess, Need, need, refusal
from benchmarks.gpu.model import Run

_GUESS = Guess(30, 1e6, 100)


def _run(wall: float, work: float, disk: float = 0) -> Run:
    usage = {"user_s": 0, "system_s": 0, "host_process_mb": 0, "host_tree_mb": 0}
    return Run(wall_s=wall, stages={"fit": work / 2, "apply": work / 2}, disk_mb=disk, **usage)


def test_without_a_measurement_the_guess_is_taken() -> None:
    assert need(4_000_000, _GUESS, []) == Need(34, 400, True)


def test_start_up_does_not_grow_with_the_rows_work_and_disk_do() -> None:
    needed = need(40_000_000, _GUESS, [(4_000_000, _run(15, 2, 300))])
    assert needed.seconds == 13 + 20
    assert needed.disk_mb == pytest.approx(3300)
    assert not needed.guessed


def test_the_slowest_run_of_the_nearest_size_counts() -> None:
    known = [(1_000, _run(900, 900)), (40_000_000, _run(30, 10)), (40_000_000, _run(32, 14))]
    assert need(400_000_000, _GUESS, known).seconds == 18 + 140


def test_a_process_that_told_no_stages_is_all_work() -> None:
    run = _run(10, 0).model_copy(update={"stages": {}})
    assert need(2000, _GUESS, [(1000, run)]).seconds == 20


def test_the_time_runs_down_to_nothing() -> None:
    now = iter([100.0, 130.0, 800.0])
    budget = Budget(540, lambda: next(now))
    assert budget.left == 510
    assert budget.left == 0
    assert Budget(math.inf).left == math.inf


def test_what_does_not_fit_is_refused_with_the_figures() -> None:
    budget = Budget(540, lambda: 0.0)
    assert refusal(Need(540, 10, False), budget, 10) == ""
    assert refusal(Need(541, 10, False), budget, 10) == "it would take about 541 s, and 540 of 540 s are left"
    assert refusal(Need(1000, 10, True), budget, 10) == "a guess says about 1,000 s, and 540 of 540 s are left"
    assert (
        refusal(Need(5, 70_400, False), budget, 60_000) == "it would take about 70.4 GB of disk, and 60.0 GB are free"
    )
    assert refusal(Need(1e9, 0, False), Budget(math.inf), 0) == ""
