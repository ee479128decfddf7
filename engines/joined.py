"""`--cluster tcp://host:port`: a Dask cluster that someone else runs. It is used and left running."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from headrace.engines.connect import closing, connect, import_distributed
from headrace.engines.engine import EngineName
from headrace.engines.members import WorkersLeft, check_gpus, compare_versions, wait_for_worker
from headrace.engines.processes import LOST_WORKER_HINT
from headrace.engines.remote import Connection
from headrace.schemas.errors import CapabilityError, RunError, UsageError


@contextmanager
def join(cluster: str, engine: EngineName, *, connect_seconds: float, patience_seconds: float) -> Iterator[Connection]:
    """Connect to a running scheduler; on leaving, close the connection and nothing else.

    Raises
    ------
    CapabilityError
        No scheduler answers or it has no workers; a worker has other versions, or for the GPU engine, no GPU of its
        own.
    """
    host, port = endpoint(cluster)
    gpu = engine == "gpu"
    command = f"dask cuda worker {cluster} --rmm-pool-size 0.8" if gpu else f"dask worker {cluster} --nthreads 1"
    deadline = time.monotonic() + connect_seconds
    try:
        # Dask's client tries again until its timeout where a name or port is wrong, and for ever where what listens
        # never answers. So it is given the address of a scheduler that has answered.
        socket.create_connection((host, port), timeout=connect_seconds).close()
        _ask_who(cluster, connect_seconds)
        client = connect(cluster, connect_seconds)
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

    with closing(client):
        wait_for_worker(client, cluster, f"start some: {command}", deadline, connect_seconds)
        compare_versions(client, cluster)
        if gpu:
            check_gpus(client, cluster, f"start the workers with: {command}")
        again = "start workers on that scheduler, and run again: finished partitions are not repeated"
        watch = WorkersLeft(client, cluster, again, patience_seconds)
        yield Connection(client, watch, lambda _name: "", lost, LOST_WORKER_HINT)


def cannot_renew(cluster: str) -> RunError:
    """The error for fresh workers that are asked for where others started them."""
    return RunError(
        "these workers are not headrace's to replace",
        hint="start them anew on that scheduler, and run again: finished partitions are not repeated",
        where=cluster,
    )


def endpoint(cluster: str) -> tuple[str, int]:
    """Host and port. Raises UsageError where they are not both there."""
    try:
        parts = urlsplit(cluster)
        if parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise UsageError(f"unknown cluster {cluster!r}: no host and port", hint="for example tcp://127.0.0.1:8786")


def _ask_who(address: str, seconds: float) -> None:
    async def ask() -> str:
        from distributed.core import rpc

        make: Callable[..., Any] = rpc  # it has no annotations
        async with make(address) as connection:
            return str((await connection.identity())["type"])

    # In a thread of its own: the caller's may be running an event loop.
    with ThreadPoolExecutor(1) as pool:
        import_distributed()
        try:
            kind = pool.submit(lambda: asyncio.run(asyncio.wait_for(ask(), seconds))).result()
        except TimeoutError:
            raise TimeoutError(f"nothing that Dask understands in {seconds:g} s") from None
    if "Scheduler" not in kind:
        raise ValueError(f"what answers is a {kind}")
