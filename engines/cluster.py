"""Opens what `--cluster local[:N]` and `--cluster tcp://host:port` name: processes on this machine, or a Dask cluster
that someone else runs.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib import util
from typing import Any
from urllib.parse import urlsplit

from headrace.engines.processes import local_processes
from headrace.engines.remote import RemoteExecutor, WorkersLeft
from headrace.schemas.errors import CapabilityError, RunError, UsageError

MOST_LOCAL_WORKERS = 256
_SAME_EVERYWHERE = ("headrace", "polars", "python")


@contextmanager
def open_cluster(
    cluster: str,
    engine: str,
    *,
    start_seconds: float = 60.0,
    connect_seconds: float = 10.0,
    patience_seconds: float = 60.0,
) -> Iterator[RemoteExecutor]:
    """Start or join a cluster; on leaving, end what was started here and nothing else.

    Parameters
    ----------
    cluster
        `local` (one worker per core), `local:N`, or `tcp://host:port`.
    engine
        `cpu` or `gpu`; local workers are for the CPU engine.
    start_seconds
        How long local processes may take to start.
    connect_seconds
        How long a running scheduler may take to answer and to have a worker.
    patience_seconds
        How long a map waits when a running scheduler has lost its last worker.

    Raises
    ------
    UsageError
        `cluster` is none of these.
    CapabilityError
        Dask is not installed, the processes do not start, no scheduler answers or has workers, or a worker runs
        another version of headrace, Polars or Python.
    """
    joins = cluster.startswith("tcp://")
    host, port = _endpoint(cluster) if joins else ("", 0)
    count = None if joins else _count(cluster)
    if util.find_spec("distributed") is None:
        raise CapabilityError(
            f"--cluster {cluster} needs Dask, which is not installed", hint="pip install 'headrace[build]'"
        )
    if joins:
        with _joined(cluster, host, port, connect_seconds, patience_seconds) as executor:
            yield executor
        return
    if engine == "gpu":
        raise CapabilityError(
            f"--cluster {cluster} starts workers for the CPU engine", hint="use --cluster inline with --engine gpu"
        )
    with _local(count, start_seconds) as executor:
        yield executor


@contextmanager
def _local(count: int | None, start_seconds: float) -> Iterator[RemoteExecutor]:
    from dask.system import CPU_COUNT

    count = count or CPU_COUNT
    deadline = time.monotonic() + start_seconds
    with local_processes(count, CPU_COUNT) as processes:
        address = processes.start(deadline)
        try:
            client = _client(address, max(1.0, deadline - time.monotonic()))
        except Exception as error:
            raise processes.cannot_start(f"the scheduler at {address} does not answer: {error}") from error

        def watch() -> int:
            processes.replace_ended()
            return processes.count

        with _closing(client):
            processes.wait_for_workers(lambda: len(client.nthreads()), deadline)
            yield RemoteExecutor(client, f"local:{count}", watch, processes.ended, processes.lost_scheduler)


@contextmanager
def _joined(
    cluster: str, host: str, port: int, connect_seconds: float, patience_seconds: float
) -> Iterator[RemoteExecutor]:
    deadline = time.monotonic() + connect_seconds
    try:
        # Dask's client tries again until its timeout where a name or port is wrong, and for ever where what listens
        # never answers. So it is given the address of a scheduler that has answered.
        socket.create_connection((host, port), timeout=connect_seconds).close()
        _ask_who(cluster, connect_seconds)
        client = _client(cluster, connect_seconds)
    except Exception as error:  # what is listening there can be anything
        raise CapabilityError(
            f"no Dask scheduler answers: {error or type(error).__name__}",
            hint="check the address, and that `dask scheduler` runs there with the same version of distributed",
            where=cluster,
        ) from error

    def lost() -> RunError:
        return RunError(
            "the connection to the scheduler is lost",
            hint="look at the scheduler's log, and run again: finished partitions are not repeated",
            where=cluster,
        )

    with _closing(client):
        _wait_for_worker(client, cluster, deadline, connect_seconds)
        _compare_versions(client, cluster)
        yield RemoteExecutor(client, cluster, WorkersLeft(client, cluster, patience_seconds), lambda _name: "", lost)


def _ask_who(address: str, seconds: float) -> None:
    async def ask() -> str:
        from distributed.core import rpc

        make: Callable[..., Any] = rpc  # it has no annotations
        async with make(address) as connection:
            return str((await connection.identity())["type"])

    # In a thread of its own: the caller's may be running an event loop.
    with ThreadPoolExecutor(1) as pool:
        _import_distributed()
        try:
            kind = pool.submit(lambda: asyncio.run(asyncio.wait_for(ask(), seconds))).result()
        except TimeoutError:
            raise TimeoutError(f"nothing that Dask understands in {seconds:g} s") from None
    if "Scheduler" not in kind:
        raise ValueError(f"what answers is a {kind}")


def _client(address: str, seconds: float) -> Any:
    make: Callable[..., Any] = _import_distributed().Client
    return make(address, timeout=seconds, set_as_default=False)


def _import_distributed() -> Any:
    with warnings.catch_warnings():
        # Where the package `pynvml` stands beside `nvidia-ml-py`, importing distributed prints advice to uninstall it.
        warnings.filterwarnings("ignore", "The pynvml package is deprecated", FutureWarning)
        import distributed

    # Importing distributed gives its loggers handlers of their own on stderr, at level INFO. What goes wrong while
    # tasks run is an error of ours, not a log line.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    for name in ("distributed.client", "distributed.comm", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return distributed


@contextmanager
def _closing(client: Any) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(Exception):  # the scheduler may be gone, and the error that says so is on its way
            client.close(timeout=2)


def _wait_for_worker(client: Any, cluster: str, deadline: float, seconds: float) -> None:
    while not client.nthreads():
        if time.monotonic() > deadline:
            raise CapabilityError(
                f"the scheduler has no workers, and none joined in {seconds:.0f} s",
                hint=f"start some: dask worker {cluster} --nthreads 1",
                where=cluster,
            )
        time.sleep(0.05)


def _compare_versions(client: Any, cluster: str) -> None:
    versions = client.get_versions(packages=list(_SAME_EVERYWHERE[:2]))
    expected = {name: _text(versions["client"]["packages"], name) for name in _SAME_EVERYWHERE}
    found = []
    for worker, answer in sorted(versions["workers"].items()):
        for name in _SAME_EVERYWHERE:
            got = _text(answer["packages"], name)
            if got != expected[name]:
                found.append(f"worker {worker}: {name}: got {got}, expected {expected[name]}")
    if not found:
        # Source text is the one thing that any Python can take without our modules.
        answers = client.run(exec, "import headrace.engines.remote", on_error="return")
        found = [
            f"worker {worker}: cannot import headrace: {answer!r}"
            for worker, answer in sorted(answers.items())
            if answer is not None
        ]
    if found:
        raise CapabilityError(
            f"{len(found)} difference(s) between this client and the workers:\n  " + "\n  ".join(found),
            hint=f"install headrace {expected['headrace']} with polars {expected['polars']} "
            f"on Python {expected['python']} on every worker, and start them again",
            where=cluster,
        )


def _text(packages: dict[str, str | None], name: str) -> str:
    version = packages.get(name) or "not installed"
    return ".".join(version.split(".")[:2]) if name == "python" else version


def _count(cluster: str) -> int | None:
    if cluster == "local":
        return None
    kind, _, number = cluster.partition(":")
    if kind != "local" or not number.isdecimal() or not 1 <= int(number) <= MOST_LOCAL_WORKERS:
        raise UsageError(
            f"unknown cluster {cluster!r}",
            hint=f"local, local:1 to local:{MOST_LOCAL_WORKERS}, or tcp://host:8786 for a running Dask scheduler",
        )
    return int(number)


def _endpoint(cluster: str) -> tuple[str, int]:
    try:
        parts = urlsplit(cluster)
        if parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise UsageError(f"unknown cluster {cluster!r}: no host and port", hint="for example tcp://127.0.0.1:8786")
