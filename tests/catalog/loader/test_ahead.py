"""Shards that are fetched before they are wanted: in order, bounded, and never in the way of an error."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from headrace.catalog.loader import ahead
from headrace.catalog.loader.ahead import Ahead
from headrace.catalog.loader.shards import Checked
from headrace.catalog.records import File
from headrace.schemas.errors import DataError


def file(number: int) -> File:
    return File(path=f"train/{number}.parquet", bytes=9, sha256=f"{number:064x}", rows=1, row_groups=(1,))


class Shelf:
    """Shards that are noted when they are fetched."""

    fetches = True

    def __init__(self, missing: int = -1) -> None:
        self.fetched: list[int] = []
        self._missing = missing
        self._came = threading.Semaphore(0)

    def path(self, wanted: File) -> str:
        number = int(wanted.sha256, 16)
        self.fetched.append(number)
        self._came.release()
        if number == self._missing:
            raise DataError("is missing", where=wanted.path)
        return wanted.path

    def wait(self, count: int) -> list[int]:
        """What was fetched, when so many more have come."""
        for _ in range(count):
            assert self._came.acquire(timeout=20)
        return self.fetched


def started(shelf: Any, files: list[int]) -> Ahead:
    found = Ahead(cast(Checked, shelf), [file(number) for number in files])
    for thread in found.threads:
        thread.start()
    return found


def ended(one: Ahead) -> bool:
    for thread in one.threads:
        thread.join(20)
    return not any(thread.is_alive() for thread in one.threads)


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "THREADS", 1)


@pytest.mark.usefixtures("one_thread")
def test_shards_come_in_the_order_of_their_tasks_two_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "SHARDS", 2)
    shelf = Shelf()
    one = started(shelf, [5, 5, 3, 5, 8, 3, 9, 1, 2])
    assert shelf.wait(3) == [5, 3, 8]
    one.begun(1)
    one.begun(3)
    assert shelf.wait(1) == [5, 3, 8, 9]
    one.begun(6)
    assert shelf.wait(2) == [5, 3, 8, 9, 1, 2]
    assert ended(one)


@pytest.mark.usefixtures("one_thread")
def test_no_more_than_two_are_ahead() -> None:
    shelf = Shelf()
    one = started(shelf, [0, 1, 2, 3, 4, 5])
    shelf.wait(3)
    one.stop()
    assert ended(one)
    assert shelf.fetched == [0, 1, 2]


@pytest.mark.usefixtures("one_thread")
def test_a_shard_that_cannot_be_fetched_ends_it_without_a_word() -> None:
    shelf = Shelf(missing=1)
    one = started(shelf, [0, 1, 2])
    assert ended(one)
    assert shelf.fetched == [0, 1]
    one.begun(2)
    one.stop()


def test_several_threads_fetch_each_once() -> None:
    shelf = Shelf()
    one = started(shelf, [0, 1, 2, 3, 4, 5])
    for task in range(6):
        one.begun(task)
    assert ended(one)
    assert sorted(shelf.fetched) == [0, 1, 2, 3, 4, 5]


def test_what_lies_on_disk_needs_no_thread() -> None:
    shelf = Shelf()
    shelf.fetches = False
    assert started(shelf, [0, 1, 2]).threads == []
    assert started(Shelf(), []).threads == []
