"""`--cluster cuda[:N]`: a Dask-CUDA cluster on this machine, one worker per GPU, in processes that are ours to end.

Nothing here makes a CUDA context: a context in this process would take memory of the first GPU, and NVML says all that
has to be known. The cluster is not `client.restart()`ed: a fresh one takes its place.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import util
from pathlib import Path
from typing import Any, Final

from headrace.engines import detect
from headrace.engines.connect import closing, connect
from headrace.engines.gpu.options import GpuOptions
from headrace.engines.members import WorkersLeft, check_gpus, compare_versions
from headrace.engines.processes import own_folder
from headrace.engines.remote import Connection
from headrace.engines.spawned import Spawned
from headrace.schemas.errors import CapabilityError, RunError, UsageError

_LOOPBACK: Final = "127.0.0.1"
_POOL_ALIGNMENT: Final = 256
_GIVEN_BACK_SECONDS: Final = 10.0
_LOST_WORKER: Final = (
    "a worker that is killed has usually run out of the host's memory, or its GPU was reset: look at `dmesg` and "
    "`nvidia-smi -q`, use smaller partitions, and run again: finished partitions are not repeated"
)
_CANNOT_START: Final = (
    "`headrace doctor` looks at the installation; a GPU that others use too needs a smaller pool, such as "
    "--gpu pool=0.4; or run with --engine cpu"
)


def chosen_gpus(cluster: str, count: int | None) -> tuple[detect.Gpu, ...]:
    """The GPUs to work on: the first `count` that CUDA_VISIBLE_DEVICES leaves visible, or all of them.

    Raises
    ------
    CapabilityError
        There are fewer.
    """
    found = detect.gpus()
    if not found or len(found) < (count or 1):
        raise CapabilityError(
            f"--cluster {cluster} needs {count or 'a'} GPU(s), NVML finds {len(found)}",
            hint=f"use --cluster cuda:{len(found)}" if found else "run with --engine cpu, or on a machine with a GPU",
        )
    return found[:count]


def cluster_arguments(options: GpuOptions, gpus: Sequence[detect.Gpu], folder: Path) -> dict[str, Any]:
    """What `dask_cuda.LocalCUDACluster` is called with; all of it can be written as JSON.

    The pool is given in bytes: as a fraction, Dask-CUDA would take it of the first GPU of the machine, whichever a
    worker has. Host memory is not limited: Dask would pause a worker above a limit, and what Polars holds never
    spills, so it would stay paused. A GPU that shares the host's memory gets no pool, and nothing to spill to.
    """
    smallest = min(gpu.memory_bytes for gpu in gpus)
    pool = int(smallest * options.pool) // _POOL_ALIGNMENT * _POOL_ALIGNMENT
    limit = {"device_memory_limit": options.device_memory} if options.device_memory else {}
    listens = {"interface": options.interface} if options.interface else {"host": _LOOPBACK}
    return {
        "CUDA_VISIBLE_DEVICES": [gpu.uuid if gpu.uuid.startswith("MIG-") else gpu.index for gpu in gpus],
        "n_workers": len(gpus),
        "threads_per_worker": 1,
        "memory_limit": 0,
        "rmm_pool_size": pool or None,
        "enable_cudf_spill": options.spill and smallest > 0,
        "protocol": options.protocol,
        "local_directory": str(folder),
        "dashboard_address": None,
        "scheduler_kwargs": {"dashboard": False, "dashboard_address": f"{_LOOPBACK}:0"},
        **limit,
        **listens,
    }


def require(cluster: str, options: GpuOptions) -> None:
    """Check that what these options need is installed and there.

    Raises
    ------
    CapabilityError
        Dask-CUDA or UCXX is not installed.
    UsageError
        This machine has no network interface of that name.
    """
    for package, needed, install in (
        ("dask_cuda", f"--cluster {cluster} needs Dask-CUDA", "pip install 'headrace[cuda13]'"),
        ("distributed_ucxx", "--gpu protocol=ucxx needs distributed-ucxx", "pip install distributed-ucxx-cu13"),
    ):
        if package == "distributed_ucxx" and options.protocol != "ucxx":
            continue
        if util.find_spec(package) is None:
            raise CapabilityError(f"{needed}, which is not installed", hint=install)
    names = [name for _, name in socket.if_nameindex()]
    if options.interface and options.interface not in names:
        near = get_close_matches(options.interface, names, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"--gpu interface: this machine has no network interface {options.interface!r}",
            hint=f"{meant}there are {', '.join(names)}",
        )


@contextmanager
def open_cuda(
    gpus: Sequence[detect.Gpu], options: GpuOptions, *, start_seconds: float, patience_seconds: float
) -> Iterator[Connection]:
    """Start a worker on each of these GPUs; on leaving, end every process that was started.

    Raises
    ------
    CapabilityError
        The cluster does not start in time, two workers are on one GPU, or a worker has other versions.
    """
    where = f"cuda:{len(gpus)}"
    deadline = time.monotonic() + start_seconds
    wait_for_memory(gpus, options.pool, time.monotonic() + _GIVEN_BACK_SECONDS)
    with own_folder() as folder, _started(gpus, options, folder) as process:

        def cannot_start(problem: str) -> CapabilityError:
            message = f"the GPU cluster did not start: {problem}{process.tail()}"
            return CapabilityError(message, hint=_CANNOT_START, where=where)

        def lost() -> RunError:
            status = process.status(seconds=1)  # its connections close a moment before it has ended
            ended = f" (process {process.pid}: {status})" if status else ""
            return RunError(
                f"the GPU cluster is gone{ended}{process.tail()}",
                hint="run again: finished partitions are not repeated",
                where=where,
            )

        address = process.line(deadline)
        if not address:
            status = process.status(seconds=1)
            raise cannot_start(f"it ended with {status}" if status else f"no address in {start_seconds:g} s")
        try:
            client = connect(address, max(1.0, deadline - time.monotonic()))
        except Exception as error:
            raise cannot_start(f"the scheduler at {address} does not answer: {error}") from error
        with closing(client):
            while (there := len(client.nthreads())) < len(gpus):
                if process.status() or time.monotonic() > deadline:
                    raise cannot_start(f"{there} of {len(gpus)} workers registered in {start_seconds:g} s")
                time.sleep(0.02)
            compare_versions(client, where)
            check_gpus(client, where, "look at CUDA_VISIBLE_DEVICES and `nvidia-smi -L`, or run with --cluster cuda:1")
            left = WorkersLeft(client, where, _LOST_WORKER, patience_seconds)

            def watch() -> int:
                if process.status():
                    raise lost()
                return left()

            yield Connection(client, watch, lambda name: f"worker {name}{process.tail()}", lost, _LOST_WORKER)


def wait_for_memory(gpus: Sequence[detect.Gpu], pool: float, deadline: float) -> None:
    """Return when these GPUs have room for their pools, or at the deadline (of `time.monotonic`).

    The memory of a worker that was killed is free a moment after its process has ended. Where it is still taken at
    the deadline, the start of a worker tells so.
    """
    uuids = {gpu.uuid for gpu in gpus}
    while any(
        gpu.free_bytes is not None and gpu.free_bytes < gpu.memory_bytes * pool
        for gpu in detect.gpus()
        if gpu.uuid in uuids
    ):
        if time.monotonic() >= deadline:
            return
        time.sleep(0.1)


@contextmanager
def _started(gpus: Sequence[detect.Gpu], options: GpuOptions, folder: Path) -> Iterator[Spawned]:
    from dask.system import CPU_COUNT

    threads = max(1, CPU_COUNT // len(gpus))
    process = Spawned(
        "cuda", "cluster", folder, threads, json.dumps(cluster_arguments(options, gpus, folder)), asked=True
    )
    try:
        yield process
    finally:
        process.end()
