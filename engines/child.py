"""The Dask scheduler or one worker of a local cluster: a process that ends with the process which started it.

Run as `python -m headrace.engines.child ROLE PARENT FOLDER [NAME]`. The scheduler writes its address to stdout as one
line; a worker reads it from stdin as one line, so that all of them can import at the same time.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import threading
import time
from typing import Any

# A worker has one thread, which holds a task for minutes; Dask's default takes such a worker for dead after five.
SETTINGS = {
    "distributed.scheduler.allowed-failures": 2,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.worker-ttl": "1 hour",
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
}
LOST_SCHEDULER_SECONDS = 30
HOST = "127.0.0.1"


def main(role: str, parent: str, folder: str, name: str = "") -> None:
    # A client that is killed runs no `finally`. Its pipes and sockets can live on in processes that it forked, so the
    # sign of its end is that this process has another parent.
    threading.Thread(target=_end_with, args=(int(parent), folder), daemon=True).start()
    import dask

    dask.config.set({"logging": {"distributed": "warning"}})  # read by the next import
    import distributed  # noqa: F401  (its configuration has to be there before ours)

    dask.config.set(SETTINGS | {"temporary-directory": folder})
    asyncio.run(_schedule() if role == "scheduler" else _work(folder, name))


def _end_with(parent: int, folder: str) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


async def _schedule() -> None:
    from distributed import Scheduler

    async with Scheduler(host=HOST, port=0, dashboard=False, dashboard_address=f"{HOST}:0") as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()


async def _work(folder: str, name: str) -> None:
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


if __name__ == "__main__":
    main(*sys.argv[1:])
