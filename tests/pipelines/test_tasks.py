from __future__ import annotations

import gc
import logging
import weakref
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


def tasks(count: int, engine: EngineSpec, most_pieces: int = 8) -> list[Task]:
    return [Task(work="w", engine=engine, number=0, item=item, most_pieces=most_pieces) for item in range(count)]


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


@pytest.mark.parametrize(
    ("most_pieces", "said"),
    [
        (1, [" it runs again on fresh workers", " it runs on the CPU"]),
        (2, [" it runs again in 2 pieces", " it runs on the CPU"]),
        (3, [" it runs again in 2 pieces", " it runs again in 3 pieces", " it runs on the CPU"]),
    ],
)
def test_it_is_cut_into_no_more_pieces_than_it_has_units(
    caplog: pytest.LogCaptureFixture, most_pieces: int, said: list[str]
) -> None:
    executor = Recording()

    with caplog.at_level(logging.WARNING, "headrace"):
        found = map_tasks(executor, full_above(4, item=0), tasks(1, EngineSpec(name="gpu"), most_pieces))

    assert found == [(0, 1, "cpu")]
    assert [r.message.split(";")[-1] for r in caplog.records] == said
    assert executor.renewed == len(said)


@pytest.mark.parametrize(
    ("most_pieces", "part"),
    [(1, "its rows"), (2, "half of its rows"), (3, "a third of its rows"), (8, "a quarter of its rows")],
)
def test_the_note_says_how_many_rows_were_too_many(most_pieces: int, part: str) -> None:
    noted: list[str] = []

    def run(task: Task) -> None:
        with task.named():
            if task.engine.name == "gpu":
                raise GpuMemoryError("the device has no memory left")
        noted.extend(task.notes(()))

    map_tasks(Recording(), run, tasks(1, EngineSpec(name="gpu"), most_pieces))
    assert noted == [f"task 0.0.0: the device had no memory left for {part}"]


def test_from_the_second_task_that_is_too_large_all_are_cut_as_it_is() -> None:
    executor = Recording()

    def run(task: Task) -> tuple[int, int, str]:
        return full_above(2, item=task.item)(task)

    found = map_tasks(executor, run, tasks(100, EngineSpec(name="gpu")))

    assert found == [(item, 4, "gpu") for item in range(100)]
    assert executor.renewed == 3  # twice for the first task, once for the second, which began whole


def test_what_a_full_device_held_is_let_go_of_before_workers_are_replaced() -> None:
    """In this process: the error's traceback holds the frames that it went through, and those hold rows."""

    class Rows:
        pass

    alive: list[weakref.ref[Rows]] = []

    class Inline(Recording):
        def renew(self) -> None:
            assert [rows() for rows in alive] == [None] * len(alive)
            super().renew()

    def run(task: Task) -> None:
        rows = Rows()
        alive.append(weakref.ref(rows))
        with task.named():
            if task.engine.name == "gpu":
                try:
                    raise MemoryError("std::bad_alloc")
                except MemoryError as problem:
                    raise GpuMemoryError("the device has no memory left") from problem

    executor = Inline()
    gc.disable()  # by counting references alone
    try:
        map_tasks(executor, run, tasks(1, EngineSpec(name="gpu")))
    finally:
        gc.enable()
    assert executor.renewed == 3


def test_where_workers_cannot_be_replaced_it_runs_on_the_cpu_at_once() -> None:
    class Theirs(Recording):
        def renew(self) -> None:
            raise RunError("its workers are not ours to end")

    assert map_tasks(Theirs(), full_above(1, item=0), tasks(1, EngineSpec(name="gpu"))) == [(0, 1, "cpu")]


@pytest.mark.parametrize(("most_pieces", "renewed"), [(1, 1), (2, 1), (8, 2)])
def test_a_strict_engine_does_not_hand_it_to_the_cpu(most_pieces: int, renewed: int) -> None:
    executor = Recording()
    with pytest.raises(GpuMemoryError, match=r"task 0\.0\.0: the device has no memory left"):
        map_tasks(executor, full_above(4, item=0), tasks(1, EngineSpec(name="gpu", strict=True), most_pieces))
    assert executor.renewed == renewed  # not for nothing, after the last try


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
