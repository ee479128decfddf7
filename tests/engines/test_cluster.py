"""Real schedulers and workers: what runs, what fails, and that nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.engines.clusters import (
    Meeting,
    answering,
    children,
    die,
    kill,
    meet,
    running_cluster,
    square,
    until,
)

from headrace.engines.cluster import open_cluster
from headrace.engines.engine import EngineName
from headrace.engines.processes import local_processes
from headrace.engines.remote import IN_FLIGHT_PER_WORKER, RemoteExecutor
from headrace.schemas.errors import CapabilityError, DataError, RunError, UsageError

pytestmark = pytest.mark.slow  # starts processes

psutil = pytest.importorskip("psutil")
pytest.importorskip("distributed")


class Attempt(NamedTuple):
    """A task that counts its tries in a file."""

    file: Path
    fails: int = 0


def environment(name: str) -> str | None:
    return os.environ.get(name)


def main_module(_: int) -> str:
    return str(sys.modules["__main__"].__spec__.name)  # type: ignore[union-attr]


def threads_and_folder(_: int) -> tuple[int, str]:
    from distributed import get_worker

    return get_worker().state.nthreads, get_worker().local_directory


def worker_address(_: int) -> str:
    from distributed import get_worker

    return str(get_worker().address)


def refuse(x: int) -> int:
    if x == 3:
        raise DataError("row 3 is bad", hint="fix it", where="a.parquet")
    return x


def refuse_counted(spec: Attempt) -> None:
    with spec.file.open("a") as file:
        file.write("x")
    raise DataError("no")


def fail_counted(spec: Attempt) -> int:
    with spec.file.open("a") as file:
        file.write("x")
    tries = spec.file.stat().st_size
    if tries <= spec.fails:
        raise OSError(28, "No space left on device")
    return tries


def time_out(_: int) -> None:
    raise TimeoutError("the store did not answer")


@pytest.fixture(scope="module")
def local() -> Iterator[RemoteExecutor]:
    with open_cluster("local:2", "cpu") as executor:
        yield executor


# What runs


def test_results_come_in_the_order_of_the_specs(local: RemoteExecutor) -> None:
    arrived: list[object] = []
    assert local.map(square, range(7), arrived.append) == [0, 1, 4, 9, 16, 25, 36]
    assert sorted(arrived) == [0, 1, 4, 9, 16, 25, 36]
    assert local.map(square, []) == []


def test_it_says_where_and_how_many(local: RemoteExecutor) -> None:
    assert (local.address, local.workers) == ("local:2", 2)


def test_workers_share_the_cores_and_import_no_main_of_ours(local: RemoteExecutor) -> None:
    from dask.system import CPU_COUNT

    assert local.map(environment, ["POLARS_MAX_THREADS"]) == [str(max(1, CPU_COUNT // 2))]
    assert local.map(main_module, [0]) == ["headrace.engines.child"]
    [(threads, folder)] = local.map(threads_and_folder, [0])
    assert threads == 1
    assert "headrace-cluster-" in folder


def test_equal_specs_run_each(local: RemoteExecutor, tmp_path: Path) -> None:
    assert sorted(local.map(fail_counted, [Attempt(tmp_path / "tries")] * 2)) in ([1, 2], [2, 2])


def test_the_scheduler_knows_few_tasks_at_a_time(local: RemoteExecutor) -> None:
    finished: list[object] = []
    ahead: list[int] = []

    class Specs(Sequence[int]):
        def __len__(self) -> int:
            return 60

        def __getitem__(self, index: int) -> int:  # type: ignore[override]
            if index >= 60:
                raise IndexError
            ahead.append(index - len(finished))
            return index

    local.map(square, Specs(), finished.append)
    assert len(finished) == 60
    assert max(ahead) <= 2 * IN_FLIGHT_PER_WORKER


# What fails


def test_the_first_error_comes_with_its_own_type(local: RemoteExecutor) -> None:
    finished: list[object] = []
    with pytest.raises(DataError) as caught:
        local.map(refuse, range(1000), finished.append)
    assert (caught.value.message, caught.value.hint, caught.value.where) == ("row 3 is bad", "fix it", "a.parquet")
    assert "in a worker of local:2" in caught.value.__notes__[0]
    assert len(finished) < 100


def test_a_refusal_is_not_tried_again(local: RemoteExecutor, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        local.map(refuse_counted, [Attempt(tmp_path / "tries")])
    assert (tmp_path / "tries").stat().st_size == 1


def test_another_error_is_tried_three_times(local: RemoteExecutor, tmp_path: Path) -> None:
    assert local.map(fail_counted, [Attempt(tmp_path / "twice", fails=2)]) == [3]
    with pytest.raises(OSError, match="No space left"):
        local.map(fail_counted, [Attempt(tmp_path / "always", fails=99)])
    assert (tmp_path / "always").stat().st_size == 3


def test_a_task_may_raise_what_waiting_raises(local: RemoteExecutor) -> None:
    with pytest.raises(TimeoutError, match="the store did not answer"):
        local.map(time_out, [0])


def test_an_error_in_done_is_raised_and_the_cluster_goes_on(local: RemoteExecutor) -> None:
    def done(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        local.map(square, range(50), done)
    assert local.map(square, [5]) == [25]


def test_ctrl_c_during_a_map_is_raised(local: RemoteExecutor, tmp_path: Path) -> None:
    with (
        answering(tmp_path, lambda _: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT), tasks=2),
        pytest.raises(KeyboardInterrupt),
    ):
        local.map(meet, [Meeting(tmp_path, i) for i in range(100)])
    assert local.map(square, [5]) == [25]
    assert len(list(tmp_path.glob("*-*"))) < 20


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_task_alone(tmp_path: Path) -> None:
    before = children(os.getpid())
    with open_cluster("local:2", "cpu") as executor:
        killed: list[int] = []
        with answering(tmp_path, lambda pids: [kill(pids[0]), killed.append(pids[0])], tasks=2):
            pids = executor.map(meet, [Meeting(tmp_path, i) for i in range(6)])
        assert len(pids) == 6
        assert killed[0] not in pids
        until(lambda: executor.map(square, [2]) == [4] and len(children(os.getpid())) == len(before) + 3)


@pytest.mark.slow
def test_a_task_that_kills_its_workers_is_an_error() -> None:
    with open_cluster("local:1", "cpu") as executor:
        with pytest.raises(RunError, match=r"task die lost its worker 3 times.*SIGKILL") as caught:
            executor.map(die, [0])
        assert "fewer workers" in caught.value.hint
        assert executor.map(square, [5]) == [25]


@pytest.mark.slow
def test_a_scheduler_that_is_killed_is_an_error(tmp_path: Path) -> None:
    before = children(os.getpid())
    with open_cluster("local:2", "cpu") as executor:
        started = set(children(os.getpid())) - set(before)
        [scheduler] = [pid for pid in started if "scheduler" in psutil.Process(pid).cmdline()]
        with (
            answering(tmp_path, lambda _: kill(scheduler), tasks=2),
            pytest.raises(RunError, match=r"the scheduler .* is gone .*SIGKILL"),
        ):
            executor.map(meet, [Meeting(tmp_path, i) for i in range(6)])
        with pytest.raises(RunError, match="is gone"):
            executor.map(square, range(3))


@pytest.mark.slow
def test_renewed_workers_are_others_and_nothing_of_the_old_is_left(own_folder: Path) -> None:
    before = children(os.getpid())
    with open_cluster("local:1", "cpu") as executor:
        old = set(children(os.getpid())) - set(before)
        executor.renew()
        new = set(children(os.getpid())) - set(before)
        assert (len(old), len(new), old & new) == (2, 2, set())
        assert len(list(own_folder.iterdir())) == 1
        assert executor.map(square, [3]) == [9]
    assert children(os.getpid()) == before


# What cannot start


def test_local_workers_are_for_the_cpu() -> None:
    with (
        pytest.raises(UsageError, match="starts workers for the CPU engine, and the engine is gpu") as caught,
        open_cluster("local:2", "gpu"),
    ):
        pass
    assert caught.value.hint == "use --cluster cuda:2 or inline, or --engine cpu"


def test_processes_that_end_at_once_are_quoted(
    tmp_path: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such library >&2\nexit 7\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(CapabilityError, match=r"did not start(.|\n)*no such library"), open_cluster("local:2", "cpu"):
        pass
    assert list(own_folder.iterdir()) == []


def test_processes_that_never_answer_are_ended(
    tmp_path: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/pids\nexec sleep 600\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with (
        pytest.raises(CapabilityError, match="gave no address") as caught,
        open_cluster("local:2", "cpu", start_seconds=1),
    ):
        pass
    assert "--cluster inline" in caught.value.hint
    assert not any(psutil.pid_exists(int(pid)) for pid in (tmp_path / "pids").read_text().split())
    assert list(own_folder.iterdir()) == []


# What is left behind


@pytest.mark.slow
def test_nothing_is_left_after_an_error(own_folder: Path) -> None:
    before = children(os.getpid())
    started = []
    with suppress(ZeroDivisionError), open_cluster("local:2", "cpu"):
        started += children(os.getpid())
        raise ZeroDivisionError
    assert len(started) == len(before) + 3
    assert children(os.getpid()) == before
    assert list(own_folder.iterdir()) == []


CLIENT = """
import sys, time
from operator import neg
from headrace.engines.cluster import open_cluster
with open_cluster("local:2", "cpu") as executor:
    print(executor.map(neg, [1, 2, 3]), flush=True)
    if sys.argv[1:]:
        executor.map(time.sleep, [600] * 9)
"""


@contextmanager
def client(tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A program without a `__main__` guard, in a process group of its own, as a shell starts it."""
    script = tmp_path / "client.py"
    script.write_text(CLIENT)
    with subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "[-1, -2, -3]\n"
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.slow
def test_a_plain_program_runs_once_and_says_nothing(tmp_path: Path, own_folder: Path) -> None:
    with client(tmp_path) as process:
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (0, "", "")
    assert children(process.pid) == []
    assert list(own_folder.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_in_the_terminal_leaves_nothing(tmp_path: Path, own_folder: Path) -> None:
    with client(tmp_path, "wait") as process:
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    assert "distributed." not in "".join(line for line in stderr.splitlines() if " - " in line)
    assert children(process.pid) == []
    assert list(own_folder.iterdir()) == []


@pytest.mark.slow
def test_kill_9_of_the_client_leaves_nothing(tmp_path: Path, own_folder: Path) -> None:
    with client(tmp_path, "wait") as process:
        assert len(children(process.pid)) == 3
        process.kill()
        process.communicate()
        until(lambda: children(process.pid) == [], seconds=60)
    until(lambda: list(own_folder.iterdir()) == [])


# Clusters of others


@pytest.mark.slow
def test_a_running_cluster_is_used_and_left_running() -> None:
    with running_cluster(2) as processes:
        for _ in range(2):
            with open_cluster(processes.address, "cpu") as executor:
                assert executor.address == processes.address
                assert executor.map(square, range(5)) == [0, 1, 4, 9, 16]
                with pytest.raises(RunError, match="not headrace's to replace"):
                    executor.renew()
        assert all(psutil.pid_exists(pid) for pid in processes.pids)


@pytest.mark.slow
def test_a_running_cluster_that_loses_all_workers_is_an_error(tmp_path: Path) -> None:
    with (
        running_cluster(1) as processes,
        open_cluster(processes.address, "cpu", patience_seconds=1) as executor,
        answering(tmp_path, lambda pids: kill(pids[0]), tasks=1),
        pytest.raises(RunError, match="no worker is left"),
    ):
        executor.map(meet, [Meeting(tmp_path, i) for i in range(4)])


@pytest.mark.slow
def test_a_scheduler_without_workers_is_an_error() -> None:
    with running_cluster(1) as processes:
        kill(processes.pids[1])
        with (
            pytest.raises(CapabilityError, match="the scheduler has no workers") as caught,
            open_cluster(processes.address, "cpu", connect_seconds=1),
        ):
            pass
        assert "dask worker tcp://127.0.0.1:" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("package", ["headrace", "polars"])
def test_workers_with_another_version_are_named(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    information = tmp_path / f"{package}-9.9.9.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 9.9.9\n")
    expected = metadata.version(package)
    with local_processes(1, 2) as processes:
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(tmp_path))
            processes.start(time.monotonic() + 180)
        with (
            pytest.raises(CapabilityError, match=rf"worker tcp://.*: {package}: got 9\.9\.9, expected {expected}"),
            open_cluster(processes.address, "cpu"),
        ):
            pass


@pytest.mark.slow
def test_workers_that_cannot_import_headrace_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "path" / "headrace"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('half an installation')")
    with running_cluster(1) as processes:
        kill(processes.pids[1])
        worker = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "distributed.cli.dask_worker",
                processes.address,
                "--no-nanny",
                "--no-dashboard",
                "--host",
                "127.0.0.1",
                "--local-directory",
                str(tmp_path),
            ],
            env=os.environ | {"PYTHONPATH": str(broken.parent)},
            stderr=subprocess.DEVNULL,
        )
        try:
            with (
                pytest.raises(CapabilityError, match=r"cannot import headrace: .*half an installation"),
                open_cluster(processes.address, "cpu", connect_seconds=60),
            ):
                pass
        finally:
            worker.kill()
            worker.wait()


@pytest.mark.parametrize("engine", ["cpu", "gpu"])
def test_a_port_where_nothing_listens_is_known_at_once(engine: EngineName) -> None:
    before = children(os.getpid())
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        with (
            pytest.raises(CapabilityError, match=r"no Dask scheduler answers: .*refused"),
            open_cluster(address, engine, connect_seconds=600),  # it would be seen to hang
        ):
            pass
    assert children(os.getpid()) == before


@pytest.mark.slow
def test_a_worker_is_no_scheduler() -> None:
    with running_cluster(1) as processes, open_cluster(processes.address, "cpu") as executor:
        [worker] = executor.map(worker_address, [0])
        with pytest.raises(CapabilityError, match="what answers is a Worker"), open_cluster(worker, "cpu"):
            pass


def test_a_socket_that_never_answers_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with (
            pytest.raises(CapabilityError, match="no Dask scheduler answers"),
            open_cluster(f"tcp://127.0.0.1:{silent.getsockname()[1]}", "cpu", connect_seconds=0.5),
        ):
            pass


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_web_server_is_no_scheduler() -> None:
    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with (
                pytest.raises(CapabilityError, match="no Dask scheduler answers"),
                open_cluster(f"tcp://127.0.0.1:{server.server_port}", "cpu", connect_seconds=1),
            ):
                pass
        finally:
            server.shutdown()
            thread.join()
