"""The Dask-CUDA cluster: what it is called with, and its life from start to end, on machines without a GPU.

NVML is a stand-in that names GPUs; Dask-CUDA is one whose workers have none, except where a test says otherwise.
"""

from __future__ import annotations

import inspect
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from tests.engines.clusters import Meeting, answering, children, die, kill, meet, square, until
from tests.engines.gpus import STANDIN, give_gpus, standin

from headrace.engines import cuda_cluster
from headrace.engines.cluster import open_cluster
from headrace.engines.cuda_cluster import chosen_gpus, cluster_arguments, require, wait_for_memory
from headrace.engines.detect import Gpu
from headrace.engines.gpu.options import GpuOptions
from headrace.engines.remote import RemoteExecutor
from headrace.schemas.errors import CapabilityError, GpuMemoryError, RunError, UsageError

pytest.importorskip("distributed")

GPUS = (Gpu(0, "GPU-aa", "stand-in 0", 16 << 30), Gpu(2, "GPU-cc", "stand-in 2", 24 << 30))


class Full(NamedTuple):
    """A task that counts its tries, and finds the device full."""

    file: Path


def run_out(spec: Full) -> None:
    with spec.file.open("a") as file:
        file.write("x")
    raise GpuMemoryError("the device has no memory left", hint="use smaller partitions", where="partition 3")


def own_gpu(_: int) -> tuple[str, str | None, str | None]:
    from distributed import get_worker

    from headrace.engines.members import member

    address = str(get_worker().address).rpartition(":")[0]
    return address, os.environ.get("CUDA_VISIBLE_DEVICES"), member().uuids[0]


def print_much(x: int) -> int:
    print("x" * 200_000, flush=True)
    return x


def process(_: int) -> int:
    return os.getpid()


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    give_gpus(monkeypatch, STANDIN, "GPU-aa,GPU-bb")


@pytest.fixture(scope="module")
def cuda() -> Iterator[RemoteExecutor]:
    with pytest.MonkeyPatch.context() as patch:
        give_gpus(patch, STANDIN, "GPU-aa,GPU-bb")
        with open_cluster("cuda", "gpu") as executor:
            yield executor


# What Dask-CUDA is called with


def test_arguments_follow_from_options_and_gpus(tmp_path: Path) -> None:
    assert cluster_arguments(GpuOptions(), GPUS, tmp_path) == {
        "CUDA_VISIBLE_DEVICES": [0, 2],
        "n_workers": 2,
        "threads_per_worker": 1,
        "memory_limit": 0,
        "rmm_pool_size": 13_743_895_296,  # 0.8 of 16 GiB, in whole blocks of 256 bytes
        "enable_cudf_spill": True,
        "protocol": "tcp",
        "local_directory": str(tmp_path),
        "dashboard_address": None,
        "scheduler_kwargs": {"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        "host": "127.0.0.1",
    }


def test_options_that_are_given_go_in(tmp_path: Path) -> None:
    options = GpuOptions(pool=0.5, spill=False, protocol="ucxx", device_memory="20GB", interface="ib0")
    given = cluster_arguments(options, GPUS, tmp_path)
    assert given["rmm_pool_size"] == 8 << 30
    assert (given["enable_cudf_spill"], given["protocol"], given["device_memory_limit"]) == (False, "ucxx", "20GB")
    assert given["interface"] == "ib0"
    assert "host" not in given


def test_a_gpu_that_shares_the_memory_of_the_host_gets_no_pool(tmp_path: Path) -> None:
    given = cluster_arguments(GpuOptions(), [Gpu(0, "GPU-aa", "stand-in", 0)], tmp_path)
    assert (given["rmm_pool_size"], given["enable_cudf_spill"]) == (None, False)


def test_a_part_of_a_gpu_goes_by_its_uuid(tmp_path: Path) -> None:
    parts = [Gpu(0, "MIG-aa", "stand-in", 1 << 34), Gpu(0, "MIG-bb", "stand-in", 1 << 34)]
    assert cluster_arguments(GpuOptions(), parts, tmp_path)["CUDA_VISIBLE_DEVICES"] == ["MIG-aa", "MIG-bb"]


@pytest.mark.slow
@pytest.mark.parametrize("options", [GpuOptions(), GpuOptions(device_memory="0.5", interface="lo")])
def test_the_installed_dask_cuda_takes_them(options: GpuOptions, tmp_path: Path) -> None:
    dask_cuda = pytest.importorskip("dask_cuda")
    from distributed import LocalCluster, Scheduler

    given = cluster_arguments(options, GPUS, tmp_path) | {"asynchronous": True}
    own = inspect.signature(dask_cuda.LocalCUDACluster)
    passed_on = own.bind(**given).arguments["kwargs"]
    below = inspect.signature(LocalCluster).bind(**passed_on).arguments
    assert "worker_kwargs" not in below, "a name that only a worker could know"
    inspect.signature(Scheduler).bind(**given["scheduler_kwargs"])
    assert "rmm_async" not in given  # with a pool, it is deprecated


def test_the_stand_in_has_the_signature_of_the_installed_dask_cuda() -> None:
    dask_cuda = pytest.importorskip("dask_cuda")
    written = standin("standin_dask_cuda", STANDIN / "dask_cuda" / "__init__.py").LocalCUDACluster

    def arguments(cluster: Any) -> list[tuple[str, Any]]:
        return [(p.name, p.default) for p in inspect.signature(cluster).parameters.values()]

    assert arguments(written) == arguments(dask_cuda.LocalCUDACluster)


def test_the_installed_dask_cuda_reads_a_pool_in_bytes_as_it_is(tmp_path: Path) -> None:
    utils = pytest.importorskip("dask_cuda.utils")
    size = cluster_arguments(GpuOptions(), GPUS, tmp_path)["rmm_pool_size"]
    assert utils.parse_device_bytes(size, alignment_size=256) == size


# What it needs


@pytest.mark.parametrize(
    ("uuids", "cluster", "count", "message", "hint"),
    [
        ("", "cuda", None, "--cluster cuda needs a GPU(s), NVML finds 0", "run with --engine cpu, or on a machine"),
        ("GPU-aa", "cuda:2", 2, "--cluster cuda:2 needs 2 GPU(s), NVML finds 1", "use --cluster cuda:1"),
    ],
)
def test_more_workers_than_gpus_are_refused(
    uuids: str, cluster: str, count: int | None, message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gpus(monkeypatch, STANDIN, uuids)
    with pytest.raises(CapabilityError) as caught:
        chosen_gpus(cluster, count)
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)


def test_the_first_of_the_visible_gpus_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    give_gpus(monkeypatch, STANDIN, "GPU-aa,GPU-bb,GPU-cc")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0,1")
    assert [gpu.uuid for gpu in chosen_gpus("cuda:2", 2)] == ["GPU-cc", "GPU-aa"]


@pytest.mark.parametrize(
    ("missing", "options", "message", "hint"),
    [
        (
            "dask_cuda",
            GpuOptions(),
            "--cluster cuda needs Dask-CUDA, which is not installed",
            "pip install 'headrace[cuda13]'",
        ),
        (
            "distributed_ucxx",
            GpuOptions(protocol="ucxx"),
            "--gpu protocol=ucxx needs distributed-ucxx, which is not installed",
            "pip install distributed-ucxx-cu13",
        ),
    ],
)
def test_packages_that_are_missing_are_named(
    missing: str, options: GpuOptions, message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == missing else "there")
    with pytest.raises(CapabilityError) as caught:
        require("cuda", options)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_ucxx_is_asked_for_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "distributed_ucxx" else "there")
    require("cuda", GpuOptions())


def test_an_unknown_interface_is_a_wrong_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda _: "there")
    monkeypatch.setattr(cuda_cluster.socket, "if_nameindex", lambda: [(1, "lo"), (2, "eth0")])
    require("cuda", GpuOptions(interface="eth0"))
    with pytest.raises(UsageError, match="no network interface 'eth1'") as caught:
        require("cuda", GpuOptions(interface="eth1"))
    assert caught.value.hint == "did you mean eth0? there are lo, eth0"


def test_a_start_waits_for_memory_that_a_killed_worker_gives_back(monkeypatch: pytest.MonkeyPatch) -> None:
    free = [1, 1, 14]
    looks: list[int] = []

    def gpus() -> tuple[Gpu, ...]:
        looks.append(free[len(looks)])
        busy = Gpu(1, "GPU-others", "stand-in 1", 16 << 30, free_bytes=0)
        return Gpu(0, "GPU-aa", "stand-in 0", 16 << 30, free_bytes=looks[-1] << 30), busy

    monkeypatch.setattr(cuda_cluster.detect, "gpus", gpus)
    monkeypatch.setattr(cuda_cluster.time, "sleep", lambda _: None)
    wait_for_memory(GPUS[:1], 0.8, math.inf)
    assert looks == [1, 1, 14]


def test_memory_that_is_not_given_back_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = (Gpu(0, "GPU-aa", "stand-in 0", 16 << 30, free_bytes=0),)
    monkeypatch.setattr(cuda_cluster.detect, "gpus", lambda: busy)
    wait_for_memory(GPUS[:1], 0.8, -math.inf)


# What cannot start


@pytest.mark.slow
@pytest.mark.usefixtures("two_gpus")
def test_a_cluster_that_never_answers_is_ended(
    tmp_path: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/pids\necho waiting for a driver >&2\nexec sleep 600\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with (
        pytest.raises(CapabilityError, match=r"did not start: no address in 1 s\n  waiting for a driver") as caught,
        open_cluster("cuda", "gpu", start_seconds=1),
    ):
        pass
    assert "--engine cpu" in caught.value.hint
    assert not any(psutil.pid_exists(int(pid)) for pid in (tmp_path / "pids").read_text().split())
    assert list(own_folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("two_gpus")
def test_what_dask_cuda_says_of_a_failed_start_is_quoted(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = children(os.getpid())
    monkeypatch.setenv("STANDIN_FAILS", "std::bad_alloc: out_of_memory: CUDA error")
    with (
        pytest.raises(CapabilityError, match=r"ended with exit status 1(.|\n)*out_of_memory: CUDA error") as caught,
        open_cluster("cuda:2", "gpu"),
    ):
        pass
    assert caught.value.where == "cuda:2"
    assert "--gpu pool=" in caught.value.hint
    assert list(own_folder.iterdir()) == []
    assert children(os.getpid()) == before


@pytest.mark.slow
def test_two_workers_on_one_gpu_are_refused_and_ended(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = children(os.getpid())
    give_gpus(monkeypatch, STANDIN, "GPU-aa,GPU-aa")
    with (
        pytest.raises(CapabilityError, match=r"with more than one worker(.|\n)*GPU-aa: worker tcp://127.0.0.1:"),
        open_cluster("cuda", "gpu"),
    ):
        pass
    assert children(os.getpid()) == before
    assert list(own_folder.iterdir()) == []


# What runs


@pytest.mark.slow
def test_tasks_run_on_as_many_workers_as_gpus(cuda: RemoteExecutor) -> None:
    assert (cuda.address, cuda.workers) == ("cuda:2", 2)
    assert cuda.map(square, range(7)) == [0, 1, 4, 9, 16, 25, 36]


@pytest.mark.slow
def test_each_worker_has_a_gpu_of_its_own_and_listens_to_this_machine_alone(cuda: RemoteExecutor) -> None:
    found = set(cuda.map(own_gpu, range(40)))
    assert found == {("tcp://127.0.0.1", "0,1", "GPU-aa"), ("tcp://127.0.0.1", "1,0", "GPU-bb")}


@pytest.mark.slow
def test_what_tasks_print_stops_none_of_them(cuda: RemoteExecutor) -> None:
    assert cuda.map(print_much, range(4)) == [0, 1, 2, 3]


@pytest.mark.slow
def test_a_full_device_is_not_tried_again_and_fresh_workers_take_over(cuda: RemoteExecutor, tmp_path: Path) -> None:
    before = set(cuda.map(process, range(20)))
    with pytest.raises(GpuMemoryError) as caught:
        cuda.map(run_out, [Full(tmp_path / "tries")])
    assert (caught.value.message, caught.value.where) == ("the device has no memory left", "partition 3")
    assert (tmp_path / "tries").stat().st_size == 1
    cuda.renew()
    assert set(cuda.map(process, range(20))) & before == set()
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in before)
    assert cuda.workers == 2


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_its_task_runs_again(cuda: RemoteExecutor, tmp_path: Path) -> None:
    killed: list[int] = []

    def action(pids: list[int]) -> None:
        killed.append(pids[0])
        kill(pids[0])

    with answering(tmp_path, action, tasks=2):
        ran_in = cuda.map(meet, [Meeting(tmp_path, i) for i in range(6)])
    assert killed[0] not in ran_in
    until(lambda: len(set(cuda.map(process, range(8)))) == 2)


@pytest.mark.slow
@pytest.mark.usefixtures("two_gpus")
def test_a_task_that_kills_its_workers_is_an_error() -> None:
    with (
        open_cluster("cuda:1", "gpu") as executor,
        pytest.raises(RunError, match=r"task die lost its worker 3 times, the last was worker 0") as caught,
    ):
        executor.map(die, [0])
    assert "nvidia-smi" in caught.value.hint


@pytest.mark.slow
@pytest.mark.usefixtures("two_gpus")
def test_a_cluster_that_is_killed_is_an_error_and_can_be_renewed(tmp_path: Path) -> None:
    before = children(os.getpid())
    with open_cluster("cuda:1", "gpu") as executor:
        [host] = set(children(os.getpid())) - set(before)
        with (
            answering(tmp_path, lambda _: kill(host), tasks=1),
            pytest.raises(RunError, match=rf"the GPU cluster is gone \(process {host}: SIGKILL\)"),
        ):
            executor.map(meet, [Meeting(tmp_path, i) for i in range(3)])
        executor.renew()
        assert executor.map(square, [3]) == [9]


@pytest.mark.slow
def test_the_real_dask_cuda_starts_with_our_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("dask_cuda")
    (tmp_path / "pynvml.py").write_text((STANDIN / "pynvml.py").read_text())
    give_gpus(monkeypatch, tmp_path, "GPU-aa,GPU-bb")
    monkeypatch.setenv("DASK_CUDA_TEST_DISABLE_DEVICE_SPECIFIC", "1")  # no pool: it needs a device
    with open_cluster("cuda", "gpu") as executor:
        assert set(executor.map(own_gpu, range(40))) == {
            ("tcp://127.0.0.1", "0,1", "GPU-aa"),
            ("tcp://127.0.0.1", "1,0", "GPU-bb"),
        }


# What is left behind

CLIENT = """
import sys, time
from operator import neg
from headrace.engines.cluster import open_cluster
with open_cluster("cuda", "gpu") as executor:
    print(executor.map(neg, [1, 2, 3]), flush=True)
    if sys.argv[1:]:
        executor.map(time.sleep, [600] * 9)
"""


@contextmanager
def client(tmp_path: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A program without a `__main__` guard, as a shell starts it, and all the processes that it has started."""
    script = tmp_path / "client.py"
    script.write_text(CLIENT)
    path = os.pathsep.join([str(STANDIN), *(os.path.abspath(entry) for entry in sys.path)])
    with subprocess.Popen(
        [sys.executable, str(script), *arguments],
        env=os.environ | {"PYTHONPATH": path, "STANDIN_GPUS": "GPU-aa,GPU-bb"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "[-1, -2, -3]\n"
            started = psutil.Process(process.pid).children(recursive=True) if arguments else []
            yield process, started
        finally:
            if process.poll() is None:
                process.kill()


def all_ended(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


@pytest.mark.slow
def test_a_plain_program_runs_once_and_says_nothing(tmp_path: Path, own_folder: Path) -> None:
    with client(tmp_path) as (process, _):
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (0, "", "")
    assert children(process.pid) == []
    assert list(own_folder.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_in_the_terminal_leaves_nothing(tmp_path: Path, own_folder: Path) -> None:
    with client(tmp_path, "wait") as (process, started):
        assert len(started) >= 3  # the host and its two workers
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    until(lambda: all_ended(started))
    assert list(own_folder.iterdir()) == []


@pytest.mark.slow
def test_kill_9_of_the_client_leaves_nothing(tmp_path: Path, own_folder: Path) -> None:
    with client(tmp_path, "wait") as (process, started):
        assert len(started) >= 3
        process.kill()
        process.communicate()
    until(lambda: all_ended(started))
    until(lambda: list(own_folder.iterdir()) == [])
