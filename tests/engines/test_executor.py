"""Tasks in this process, and the choice of an executor."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import util

import pytest

from headrace.engines import executor
from headrace.engines import open as opening
from headrace.engines.engine import EngineName
from headrace.engines.executor import InlineExecutor, chosen_cluster, open_executor
from headrace.engines.gpu.options import GpuOptions
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
        assert observed.wait(60)

    with pytest.raises(DataError, match=r"^a\.parquet: row 3 is bad$"):
        InlineExecutor(2).map(task, range(100))
    assert len(started) <= 3


def test_an_error_in_done_is_raised() -> None:
    def done(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        InlineExecutor(2).map(str, range(5), done)


def test_ctrl_c_lets_current_tasks_finish_and_starts_no_other(observed: threading.Event) -> None:
    both_run = threading.Barrier(2, timeout=60)
    started: list[int] = []
    finished: list[int] = []

    def task(spec: int) -> None:
        started.append(spec)
        both_run.wait()
        if spec == 0:
            os.kill(os.getpid(), signal.SIGINT)
        assert observed.wait(60)
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
        "cuda4",
        "cuda:",
        "cuda:0",
        "cuda:two",
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


@pytest.mark.parametrize(
    ("cluster", "engine", "expected"),
    [
        ("auto", "cpu", "inline"),
        ("auto", "gpu", "cuda"),
        ("inline", "cpu", "inline"),
        ("inline", "gpu", "inline"),
        ("local:3", "cpu", "local:3"),
        ("cuda:2", "gpu", "cuda:2"),
        ("tcp://127.0.0.1:8786", "cpu", "tcp://127.0.0.1:8786"),
        ("tcp://127.0.0.1:8786", "gpu", "tcp://127.0.0.1:8786"),
    ],
)
def test_auto_is_for_the_engine_and_other_names_are_kept(cluster: str, engine: EngineName, expected: str) -> None:
    assert chosen_cluster(cluster, engine) == expected


@pytest.mark.parametrize(
    ("cluster", "engine", "message", "hint"),
    [
        (
            "cuda",
            "cpu",
            "--cluster cuda starts workers for the GPU engine, and the engine is cpu",
            "use --cluster local or inline, or --engine gpu",
        ),
        (
            "local:4",
            "gpu",
            "--cluster local:4 starts workers for the CPU engine, and the engine is gpu",
            "use --cluster cuda:4 or inline, or --engine cpu",
        ),
    ],
)
def test_workers_of_the_other_engine_are_a_wrong_call(
    cluster: str, engine: EngineName, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught, open_executor(cluster, engine):
        pass
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_gpu_options_are_not_for_workers_of_others() -> None:
    chosen_cluster("tcp://127.0.0.1:1", "gpu", GpuOptions())
    with pytest.raises(UsageError, match="were started before") as caught:
        chosen_cluster("tcp://127.0.0.1:1", "gpu", GpuOptions(pool=0.5))
    assert "dask cuda worker" in caught.value.hint


@pytest.mark.slow
def test_the_gpu_engine_runs_one_task_at_a_time_inline() -> None:
    with open_executor("inline", "gpu") as opened:
        assert opened.workers == 1


def test_renewed_or_closed_this_process_lets_go_of_what_its_gpu_engine_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(opening, "close_engines", lambda: closed.append("closed"))
    InlineExecutor().renew()
    assert closed == ["closed"]
    with pytest.raises(DataError), open_executor("inline", "gpu"):
        raise DataError("a run that fails")
    assert closed == ["closed"] * 2
    with open_executor("inline"):
        pass
    assert closed == ["closed"] * 2


@pytest.mark.parametrize("cluster", ["local", "local:2", "tcp://127.0.0.1:1"])
def test_without_dask_the_hint_names_the_extra(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    with pytest.raises(CapabilityError, match="needs Dask") as caught, open_executor(cluster):
        pass
    assert caught.value.hint == "pip install 'headrace[build]'"
    assert caught.value.exit_code == 3
