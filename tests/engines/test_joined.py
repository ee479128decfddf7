"""Workers of others for the GPU engine: those that fit are used, the rest is refused by name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.engines.clusters import kill, square
from tests.engines.gpus import STANDIN, give_gpus

from headrace.engines.cluster import open_cluster
from headrace.engines.members import member
from headrace.engines.processes import LocalProcesses, local_processes
from headrace.schemas.errors import CapabilityError, RunError

pytestmark = pytest.mark.slow  # starts processes
pytest.importorskip("distributed")


@contextmanager
def workers_with(uuids: str, count: int, *path: Path) -> Iterator[LocalProcesses]:
    """A cluster that the code under test did not start, on a machine with these GPUs."""
    with local_processes(count, 2) as processes:
        with pytest.MonkeyPatch.context() as patch:
            give_gpus(patch, STANDIN, uuids)
            for folder in path:
                patch.syspath_prepend(str(folder))
            processes.start(time.monotonic() + 180)
        yield processes


def test_a_worker_with_a_gpu_is_used_and_not_replaced() -> None:
    with workers_with("GPU-aa", 1) as processes, open_cluster(processes.address, "gpu") as executor:
        assert (executor.address, executor.workers) == (processes.address, 1)
        assert executor.map(square, range(3)) == [0, 1, 4]
        with pytest.raises(RunError, match="not headrace's to replace") as caught:
            executor.renew()
        assert "start them anew" in caught.value.hint
        assert executor.map(square, [3]) == [9]


def test_a_worker_without_a_gpu_is_refused_by_name_with_what_to_start() -> None:
    with (
        workers_with("", 1) as processes,
        pytest.raises(CapabilityError, match=r"1 worker\(s\) have no GPU:\n  worker tcp://127\.0\.0\.1:\d+") as caught,
        open_cluster(processes.address, "gpu"),
    ):
        pass
    assert caught.value.hint == (f"start the workers with: dask cuda worker {processes.address} --rmm-pool-size 0.8")


def test_a_scheduler_without_workers_says_what_to_start_for_this_engine() -> None:
    with workers_with("", 1) as processes:
        kill(processes.pids[1])
        with (
            pytest.raises(CapabilityError, match="the scheduler has no workers") as caught,
            open_cluster(processes.address, "gpu", connect_seconds=1),
        ):
            pass
        assert caught.value.hint.startswith("start some: dask cuda worker tcp://127.0.0.1:")


def test_packages_of_the_gpu_engine_are_compared(tmp_path: Path) -> None:
    information = tmp_path / "pylibcudf_cu13-9.9.9.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: pylibcudf-cu13\nVersion: 9.9.9\n")
    expected = member().versions[1]
    with (
        workers_with("GPU-aa", 1, tmp_path) as processes,
        pytest.raises(CapabilityError, match=rf"pylibcudf: got 9\.9\.9, expected {expected}"),
        open_cluster(processes.address, "gpu"),
    ):
        pass
