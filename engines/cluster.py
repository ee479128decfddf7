"""Opens what `--cluster` names, where that is more than this process: `local[:N]`, `cuda[:N]` or `tcp://host:port`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import util

from headrace.engines.connect import closing, connect
from headrace.engines.engine import EngineName
from headrace.engines.gpu.options import GpuOptions
from headrace.engines.joined import cannot_renew, endpoint, join
from headrace.engines.processes import LOST_WORKER_HINT, local_processes
from headrace.engines.remote import Connection, RemoteExecutor
from headrace.schemas.errors import CapabilityError, UsageError

MOST_LOCAL_WORKERS = 256


@contextmanager
def open_cluster(
    cluster: str,
    engine: EngineName,
    gpu: GpuOptions | None = None,
    *,
    start_seconds: float | None = None,
    connect_seconds: float = 10.0,
    patience_seconds: float | None = None,
) -> Iterator[RemoteExecutor]:
    """Start or join a cluster; on leaving, end what was started here and nothing else.

    Parameters
    ----------
    cluster
        `local` (one worker per core) or `local:N` for the CPU engine, `cuda` (one worker per GPU) or `cuda:N` for the
        GPU engine, `tcp://host:port` for either.
    engine
        `cpu` or `gpu`.
    gpu
        How the workers of `cuda` are set up.
    start_seconds
        How long processes may take to start: a minute, or three where each worker imports cuDF.
    connect_seconds
        How long a running scheduler may take to answer and to have a worker.
    patience_seconds
        How long a map waits for a worker when the last one is lost: a minute, or three for `cuda`.

    Raises
    ------
    UsageError
        `cluster` is none of these, or not for this engine.
    CapabilityError
        Dask or Dask-CUDA is not installed, the processes do not start, no scheduler answers or has workers, a worker
        runs other versions, or two workers of the GPU engine are on one GPU or on none.
    """
    with ExitStack() as stack:
        kind = cluster_kind(cluster, engine)
        if util.find_spec("distributed") is None:
            raise CapabilityError(
                f"--cluster {cluster} needs Dask, which is not installed", hint="pip install 'headrace[build]'"
            )
        if kind == "joined":
            patience = patience_seconds or 60.0
            joined = join(cluster, engine, connect_seconds=connect_seconds, patience_seconds=patience)
            connection = stack.enter_context(joined)

            def renewed() -> Connection:
                raise cannot_renew(cluster)

            yield RemoteExecutor(cluster, connection, renewed)
            return
        address, opens = (
            _cuda(cluster, gpu or GpuOptions(), start_seconds or 180.0, patience_seconds or 180.0)
            if kind == "cuda"
            else _local(cluster, start_seconds or 60.0)
        )

        def fresh() -> Connection:
            stack.close()
            return stack.enter_context(opens())

        yield RemoteExecutor(address, fresh(), fresh)


def cluster_kind(cluster: str, engine: EngineName) -> str:
    """`inline`, `local`, `cuda`, or `joined` for the cluster of others.

    Raises
    ------
    UsageError
        It is none of these, or not for this engine.
    """
    if cluster == "inline":
        return cluster
    if cluster.startswith("tcp://"):
        endpoint(cluster)
        return "joined"
    worker_count(cluster)
    kind, colon, count = cluster.partition(":")
    suits = "cpu" if kind == "local" else "gpu"
    if engine != suits:
        other = "cuda" if kind == "local" else "local"
        raise UsageError(
            f"--cluster {cluster} starts workers for the {suits.upper()} engine, and the engine is {engine}",
            hint=f"use --cluster {other}{colon}{count} or inline, or --engine {suits}",
        )
    return kind


Opens = Callable[[], AbstractContextManager[Connection]]


def _cuda(cluster: str, options: GpuOptions, start_seconds: float, patience_seconds: float) -> tuple[str, Opens]:
    from headrace.engines import cuda_cluster

    gpus = cuda_cluster.chosen_gpus(cluster, worker_count(cluster))
    cuda_cluster.require(cluster, options)

    def opens() -> AbstractContextManager[Connection]:
        return cuda_cluster.open_cuda(gpus, options, start_seconds=start_seconds, patience_seconds=patience_seconds)

    return f"cuda:{len(gpus)}", opens


def _local(cluster: str, start_seconds: float) -> tuple[str, Opens]:
    from dask.system import CPU_COUNT

    count = worker_count(cluster) or CPU_COUNT
    return f"local:{count}", lambda: _open_local(count, CPU_COUNT, start_seconds)


@contextmanager
def _open_local(count: int, cores: int, start_seconds: float) -> Iterator[Connection]:
    deadline = time.monotonic() + start_seconds
    with local_processes(count, cores) as processes:
        address = processes.start(deadline)
        try:
            client = connect(address, max(1.0, deadline - time.monotonic()))
        except Exception as error:
            raise processes.cannot_start(f"the scheduler at {address} does not answer: {error}") from error

        def watch() -> int:
            processes.replace_ended()
            return processes.count

        with closing(client):
            processes.wait_for_workers(lambda: len(client.nthreads()), deadline)
            yield Connection(client, watch, processes.ended, processes.lost_scheduler, LOST_WORKER_HINT)


def worker_count(cluster: str) -> int | None:
    """The number in `local:N` and `cuda:N`, None where there is none. Raises UsageError for another name or number."""
    kind, colon, number = cluster.partition(":")
    if kind in ("local", "cuda") and not colon:
        return None
    if kind not in ("local", "cuda") or not number.isdecimal() or not 1 <= int(number) <= MOST_LOCAL_WORKERS:
        raise UsageError(
            f"unknown cluster {cluster!r}",
            hint=f"inline, local, local:1 to local:{MOST_LOCAL_WORKERS}, cuda, cuda:1 to cuda:{MOST_LOCAL_WORKERS}, "
            "or tcp://host:8786 for a running Dask scheduler",
        )
    return int(number)
