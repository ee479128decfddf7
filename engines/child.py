"""A process of a cluster that headrace starts: one that ends with the process which started it.

Run as `python -m headrace.engines.child ROLE PARENT FOLDER NAME [SETTINGS]`. The role is `scheduler` or `worker`, the
parts of a local cluster, or `cuda`, which hosts a Dask-CUDA cluster. A scheduler and a host write the address of the
scheduler to stdout as one line; a worker reads it from stdin as one line, so that all can import at the same time.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from typing import Any

# A worker has one thread, which holds a task for minutes; Dask's default takes such a worker for dead after five.
SETTINGS = {
    "distributed.scheduler.allowed-failures": 2,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.worker-ttl": "1 hour",
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    # A worker that was killed is started again, but after this time its name is free no more; it imports for long.
    "distributed.deploy.lost-worker-timeout": "1 hour",
}
LOST_SCHEDULER_SECONDS = 30
HOST = "127.0.0.1"


def main(role: str, parent: str, folder: str, name: str, settings: str = "") -> None:
    # A client that is killed runs no `finally`. Its pipes and sockets can live on in processes that it forked, so the
    # sign of its end is that this process has another parent.
    threading.Thread(target=_end_with, args=(int(parent), folder), daemon=True).start()
    if role == "cuda":
        # Before any import of it: the workers take it over. CUDA then counts GPUs as NVML does.
        os.environ |= {"DASK_LOGGING__DISTRIBUTED": "warning", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    import dask

    dask.config.set({"logging": {"distributed": "warning"}})  # read by the next import
    import distributed  # noqa: F401  (its configuration has to be there before ours)

    dask.config.set(SETTINGS | {"temporary-directory": folder})
    asyncio.run({"scheduler": _schedule, "worker": _work, "cuda": _host}[role](folder, name, settings))


def _end_with(parent: int, folder: str) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    _end_workers()
    shutil.rmtree(folder, ignore_errors=True)
    if os.getpgrp() == os.getpid():  # and what tasks have started
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _end_workers() -> None:
    for worker in multiprocessing.active_children():
        worker.kill()


async def _schedule(_folder: str, _name: str, _settings: str) -> None:
    from distributed import Scheduler

    async with Scheduler(host=HOST, port=0, dashboard=False, dashboard_address=f"{HOST}:0") as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()


async def _work(folder: str, name: str, _settings: str) -> None:
    import distributed

    address = sys.stdin.readline().strip()
    if not address:
        return
    # No memory limit: Dask would pause a worker above it, and what Polars holds never spills, so it would stay paused.
    worker: Any = distributed.Worker(
        address,
        name=name,
        nthreads=1,
        host=HOST,
        dashboard=False,
        dashboard_address=f"{HOST}:0",
        local_directory=folder,
        memory_limit=0,
        death_timeout=LOST_SCHEDULER_SECONDS,
    )
    async with worker:
        await worker.finished()


async def _host(_folder: str, _name: str, settings: str) -> None:
    # What workers print goes to the log: in the pipe it would wait for a reader until the pipe is full.
    with os.fdopen(os.dup(1), "w") as told:
        os.dup2(2, 1)
        try:
            from dask_cuda import LocalCUDACluster

            cluster: Any = LocalCUDACluster(**json.loads(settings), asynchronous=True)
            await cluster
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
            _end_workers()  # closing what has started by half may never end
            os._exit(1)
        told.write(f"{cluster.scheduler_address}\n")
    await cluster.scheduler.finished()


if __name__ == "__main__":
    main(*sys.argv[1:])
