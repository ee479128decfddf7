"""What is asked of the workers of a GPU cluster, and what is said of those that do not fit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from headrace.engines import members
from headrace.engines.members import Member, WorkersLeft, check_gpus, member, wait_for_worker
from headrace.schemas.errors import CapabilityError, RunError

VERSIONS = ("26.10.2", "26.10.2", "26.10.0")
A, B = "tcp://10.0.0.1:1", "tcp://10.0.0.2:2"
START = "start them with: dask cuda worker"


class Client:
    """Answers as the workers would."""

    def __init__(self, answers: Mapping[str, object], threads: Mapping[str, int] | None = None) -> None:
        self._answers = answers
        self._threads = dict.fromkeys(answers, 1) if threads is None else threads

    def run(self, function: object, on_error: str) -> dict[str, Any]:
        assert (function, on_error) == (member, "return")
        return dict(self._answers)

    def nthreads(self) -> dict[str, int]:
        return dict(self._threads)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = dict(zip(("cudf-polars-cu13", "pylibcudf-cu13", "cuml-cu13"), VERSIONS, strict=True))

    def version(name: str) -> str:
        if name not in packages:
            raise members.metadata.PackageNotFoundError(name)
        return packages[name]

    monkeypatch.setattr(members.metadata, "version", version)


def test_a_worker_says_which_gpu_it_has_and_what_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    two = (members.detect.Gpu(1, "GPU-b", "H200", 1 << 30), members.detect.Gpu(0, "GPU-a", "H200", 1 << 30))
    monkeypatch.setattr(members.detect, "gpus", lambda: two)
    assert member() == Member(("GPU-b", "GPU-a"), VERSIONS)


def test_a_gpu_for_each_worker_is_right() -> None:
    both = {A: Member(("GPU-a", "GPU-b"), VERSIONS), B: Member(("GPU-b", "GPU-a"), VERSIONS)}
    check_gpus(Client(both), "tcp://h:1", START)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (
            {A: Member(("GPU-a",), VERSIONS), B: Member((), VERSIONS)},
            f"1 worker(s) have no GPU:\n  worker {B}",
        ),
        (
            {A: Member(("GPU-a",), VERSIONS), B: Member(("GPU-a", "GPU-b"), VERSIONS)},
            f"1 GPU(s) with more than one worker, each needs its own:\n  GPU-a: worker {A}, worker {B}",
        ),
        (
            {A: Member(("GPU-a",), VERSIONS), B: OSError("no driver")},
            f"1 worker(s) cannot be asked for their GPU:\n  worker {B}: OSError('no driver')",
        ),
        (
            {A: Member(("GPU-a",), ("26.8.0", "26.10.2", "not installed"))},
            f"2 difference(s) between this client and the workers:\n"
            f"  worker {A}: cudf-polars: got 26.8.0, expected 26.10.2\n"
            f"  worker {A}: cuml: got not installed, expected 26.10.0",
        ),
    ],
)
def test_what_does_not_fit_is_named(answers: dict[str, object], message: str) -> None:
    with pytest.raises(CapabilityError) as caught:
        check_gpus(Client(answers), "tcp://h:1", START)
    assert caught.value.message == message
    assert caught.value.where == "tcp://h:1"


def test_workers_that_do_not_fit_are_to_be_started_in_another_way() -> None:
    with pytest.raises(CapabilityError) as caught:
        check_gpus(Client({A: Member((), VERSIONS)}), "tcp://h:1", START)
    assert caught.value.hint == START


def test_a_worker_has_one_thread() -> None:
    with pytest.raises(CapabilityError, match=rf"worker {A}: got 16 threads, expected 1"):
        check_gpus(Client({A: Member(("GPU-a",), VERSIONS)}, {A: 16}), "tcp://h:1", START)


def test_a_cluster_without_workers_says_how_to_start_some() -> None:
    with pytest.raises(CapabilityError, match="the scheduler has no workers, and none joined in 0 s") as caught:
        wait_for_worker(Client({}), "tcp://h:1", START, time.monotonic() - 1, 0.0)
    assert caught.value.hint == START


def test_no_worker_for_long_is_an_error_and_fewer_are_not() -> None:
    threads = {A: 1, B: 2}
    left = WorkersLeft(Client({}, threads), "cuda:2", "run again", patience_seconds=-1.0)
    assert left() == 3
    del threads[B]
    assert left() == 1
    del threads[A]
    with pytest.raises(RunError, match="no worker is left") as caught:
        left()
    assert caught.value.hint == "run again"
