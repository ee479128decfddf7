from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from headrace.engines.executor import Done
from headrace.engines.open import CPU, EngineSpec
from headrace.pipelines.plan import Partition, Unit
from headrace.pipelines.tasks import Task, map_tasks
from headrace.schemas.errors import DataError, GpuMemoryError, RunError


class Recording:
    """An executor that notes what is run, and how often its workers were made anew."""

    address = "recording"
    workers = 1

    def __init__(self) -> None:
        self.renewed = 0

    def map(self, function: Callable[[Any], Any], specs: Sequence[Any], done: Done | None = None) -> list[Any]:
        return [function(spec) for spec in specs]

    def renew(self) -> None:
        self.renewed += 1


def tasks(count: int, engine: EngineSpec) -> list[Task]:
    return [Task(work="w", engine=engine, number=0, item=item) for item in range(count)]


def full_above(pieces: int, item: int) -> Callable[[Task], tuple[int, int, str]]:
    """A task function whose device is full for one item unless it is cut into more than `pieces` pieces."""

    def run(task: Task) -> tuple[int, int, str]:
        with task.named():
            if task.item == item and task.engine.name == "gpu" and task.pieces <= pieces:
                raise GpuMemoryError("the device has no memory left")
        return task.item, task.pieces, task.engine.name

    return run


def test_a_task_that_is_too_large_is_cut_in_half_on_fresh_workers() -> None:
    executor = Recording()

    found = map_tasks(executor, full_above(1, item=1), tasks(3, EngineSpec(name="gpu")))

    assert found == [(0, 1, "gpu"), (1, 2, "gpu"), (2, 1, "gpu")]
    assert executor.renewed == 1


def test_it_is_cut_twice_at_most_and_then_runs_on_the_cpu_which_is_said(caplog: pytest.LogCaptureFixture) -> None:
    executor = Recording()

    with caplog.at_level(logging.WARNING, "headrace"):
        found = map_tasks(executor, full_above(4, item=1), tasks(2, EngineSpec(name="gpu")))

    assert found == [(0, 1, "gpu"), (1, 1, "cpu")]
    assert executor.renewed == 3
    assert [r.message.split(";")[-1] for r in caplog.records] == [
        " it runs again in 2 pieces",
        " it runs again in 4 pieces",
        " it runs on the CPU",
    ]


def test_where_workers_cannot_be_replaced_it_runs_on_the_cpu_at_once() -> None:
    class Theirs(Recording):
        def renew(self) -> None:
            raise RunError("its workers are not ours to end")

    assert map_tasks(Theirs(), full_above(1, item=0), tasks(1, EngineSpec(name="gpu"))) == [(0, 1, "cpu")]


def test_a_strict_engine_does_not_hand_it_to_the_cpu() -> None:
    with pytest.raises(GpuMemoryError, match=r"task 0\.0\.0: the device has no memory left"):
        map_tasks(Recording(), full_above(4, item=0), tasks(1, EngineSpec(name="gpu", strict=True)))


def test_other_errors_are_not_tried_again() -> None:
    def fails(_: Task) -> None:
        raise DataError("bad rows")

    executor = Recording()
    with pytest.raises(DataError, match="bad rows"):
        map_tasks(executor, fails, tasks(2, EngineSpec(name="gpu")))
    assert executor.renewed == 0


def test_a_task_on_the_cpu_notes_why() -> None:
    task = Task(work="w", engine=CPU, number=0, item=0, note="task 0.0.0: full")
    assert task.notes(("a: b",)) == ("a: b", "task 0.0.0: full")


def test_a_partition_is_cut_at_its_units() -> None:
    units = tuple(Unit(number=10 + i, first_row=1000 + 100 * i, rows=100) for i in range(5))
    whole = Partition(
        number=3, file="f", fingerprint="p", file_row=200, first_row=1000, rows=500, bytes=5000, units=units
    )

    parts = whole.parts(2)

    assert [(p.number, p.file_row, p.first_row, p.rows, p.bytes) for p in parts] == [
        (3, 200, 1000, 200, 2000),
        (3, 400, 1200, 300, 3000),
    ]
    assert [u.number for p in parts for u in p.units] == [10, 11, 12, 13, 14]
    assert whole.parts(1) == (whole,)
    assert len(whole.parts(99)) == 5
