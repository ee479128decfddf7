"""Tasks in this process, and the choice of an executor."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import util

import pytest

from headrace.engines import executor
from headrace.engines.executor import InlineExecutor, open_executor
from headrace.schemas.errors import CapabilityError, DataError, UsageError


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the executor has cancelled what has not started."""
    cancelled = threading.Event()

    class Observed(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            cancelled.set()
            super().shutdown(wait=wait)

    monkeypatch.setattr(executor, "ThreadPoolExecutor", Observed)
    return cancelled


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_results_come_in_the_order_of_the_specs(threads: int) -> None:
    arrived: list[object] = []
    assert InlineExecutor(threads).map(lambda x: x * x, range(7), arrived.append) == [0, 1, 4, 9, 16, 25, 36]
    assert sorted(arrived) == [0, 1, 4, 9, 16, 25, 36]


def test_no_specs_give_no_results() -> None:
    assert InlineExecutor(2).map(str, []) == []


def test_a_result_is_reported_while_others_run() -> None:
    reported = threading.Event()

    def second_waits_for_the_first(spec: int) -> bool:
        return reported.wait(10) if spec == 1 else True

    assert InlineExecutor(2).map(second_waits_for_the_first, [0, 1], lambda _: reported.set()) == [True, True]


def test_the_first_error_is_raised_and_what_has_not_started_never_starts(observed: threading.Event) -> None:
    started: list[int] = []

    def task(spec: int) -> None:
        started.append(spec)
        if spec == 0:
            raise DataError("row 3 is bad", hint="fix it", where="a.parquet")
        assert observed.wait(10)

    with pytest.raises(DataError, match=r"^a\.parquet: row 3 is bad$"):
        InlineExecutor(2).map(task, range(100))
    assert len(started) <= 3


def test_an_error_in_done_is_raised() -> None:
    def done(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        InlineExecutor(2).map(str, range(5), done)


def test_ctrl_c_lets_current_tasks_finish_and_starts_no_other(observed: threading.Event) -> None:
    both_run = threading.Barrier(2, timeout=10)
    started: list[int] = []
    finished: list[int] = []

    def task(spec: int) -> None:
        started.append(spec)
        both_run.wait()
        if spec == 0:
            os.kill(os.getpid(), signal.SIGINT)
        assert observed.wait(10)
        finished.append(spec)

    with pytest.raises(KeyboardInterrupt):
        InlineExecutor(2).map(task, range(100))
    assert sorted(started) == [0, 1]
    assert sorted(finished) == [0, 1]


def test_ctrl_c_stops_a_single_thread_in_its_task() -> None:
    started: list[int] = []

    def task(spec: int) -> None:
        started.append(spec)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        InlineExecutor(1).map(task, range(3))
    assert started == [0]


def test_inline_is_this_process() -> None:
    with open_executor("inline") as opened:
        assert opened.address == "inline"
        assert opened.map(lambda _: os.getpid(), [1, 2]) == [os.getpid()] * 2


@pytest.mark.parametrize(
    "cluster",
    [
        "",
        "Inline",
        "localhost",
        "local4",
        "local:",
        "local:0",
        "local:-1",
        "local:two",
        "local:8786",
        "cuda",
        "tcp://",
        "tcp://host",
        "tcp://host:port",
        "tcp://:8786",
        "tcp://host:99999",
        "http://host:80",
    ],
)
def test_another_name_is_a_wrong_call(cluster: str) -> None:
    with pytest.raises(UsageError, match="unknown cluster") as caught, open_executor(cluster):
        pass
    assert "tcp://" in caught.value.hint


@pytest.mark.parametrize("cluster", ["local", "local:2", "tcp://127.0.0.1:1"])
def test_without_dask_the_hint_names_the_extra(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    with pytest.raises(CapabilityError, match="needs Dask") as caught, open_executor(cluster):
        pass
    assert caught.value.hint == "pip install 'headrace[build]'"
    assert caught.value.exit_code == 3
