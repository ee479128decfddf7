"""Where tasks over partitions run. A task is a module-level function of one small value that returns a small value.

Tasks read and write files by path; nothing of a dataset's size is passed to them or comes back. They are idempotent,
so that an executor may run one again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

from headrace.engines.engine import EngineName
from headrace.engines.gpu.options import GpuOptions
from headrace.schemas.errors import UsageError

Spec = TypeVar("Spec")
Result = TypeVar("Result")
Done = Callable[[object], None]


class Executor(Protocol):
    """Runs tasks. `address` says where, for messages and the manifest."""

    @property
    def address(self) -> str: ...

    @property
    def workers(self) -> int:
        """How many tasks run at once."""
        ...

    def map(self, function: Callable[[Spec], Result], specs: Sequence[Spec], done: Done | None = None) -> list[Result]:
        """Run the function on every spec; results in the order of the specs.

        `done` is called in this process with each result as it arrives, in any order. The first error stops what has
        not started and is raised.
        """
        ...

    def renew(self) -> None:
        """Put fresh workers in the place of those there are: one whose GPU ran out of memory is not used again.

        Raises
        ------
        RunError
            They are not ours to end.
        """
        ...


class InlineExecutor:
    """This process: a few tasks at once on threads, for Polars and Arrow work outside the interpreter's lock."""

    address = "inline"

    def __init__(self, threads: int | None = None) -> None:
        self.workers = threads or min(2, os.cpu_count() or 1)

    def map(self, function: Callable[[Spec], Result], specs: Sequence[Spec], done: Done | None = None) -> list[Result]:
        if len(specs) <= 1 or self.workers == 1:
            results = []
            for spec in specs:
                results.append(function(spec))
                if done:
                    done(results[-1])
            return results
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="headrace")
        ended: SimpleQueue[Future[Result]] = SimpleQueue()
        try:
            futures = [pool.submit(function, spec) for spec in specs]
            for future in futures:
                future.add_done_callback(ended.put)
            for _ in futures:
                result = _next(ended).result()
                if done:
                    done(result)
        except BaseException:
            # Also on Ctrl-C. What runs is waited for, a thread cannot be ended; a second Ctrl-C stops the waiting.
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        pool.shutdown()
        return [future.result() for future in futures]

    def renew(self) -> None:
        """Let go of what this process keeps between tasks: it cannot be replaced."""
        from headrace.engines.open import close_engines

        close_engines()


def _next(ended: SimpleQueue[Future[Result]]) -> Future[Result]:
    # A signal that comes just before a wait is seen only after it, so no wait is long.
    while True:
        try:
            return ended.get(timeout=0.5)
        except Empty:
            continue


@contextmanager
def open_executor(cluster: str, engine: EngineName = "cpu", gpu: GpuOptions | None = None) -> Iterator[Executor]:
    """Open the executor that `--cluster` names, and close on leaving what was started here.

    Parameters
    ----------
    cluster
        `inline`; `local` or `local:N` (N worker processes on this machine) for the CPU engine; `cuda` or `cuda:N`
        (one worker on each of N GPUs) for the GPU engine; the address of a running Dask scheduler,
        `tcp://host:port`; or `auto`.
    engine
        `cpu` or `gpu`. The GPU engine runs one task at a time inline.
    gpu
        How the workers of `cuda` are set up.

    Raises
    ------
    UsageError
        Any other value, or one that is not for this engine.
    CapabilityError
        Dask or Dask-CUDA is not installed, processes do not start, no scheduler answers or it has no workers, its
        workers run other versions, or two of them are on one GPU or on none.
    """
    name = chosen_cluster(cluster, engine, gpu)
    if name == "inline":
        inline = InlineExecutor(1 if engine == "gpu" else None)
        try:
            yield inline
        finally:
            if engine == "gpu":
                inline.renew()  # vocabularies stay on the device no longer than the run
        return
    from headrace.engines.cluster import open_cluster

    with open_cluster(name, engine, gpu) as executor:
        yield executor


def chosen_cluster(cluster: str, engine: EngineName, gpu: GpuOptions | None = None) -> str:
    """The cluster that a run on this engine uses: for `auto`, `inline` on the CPU and `cuda` on GPUs.

    Raises
    ------
    UsageError
        It is no cluster's name, it is not for this engine, or GPU options are given for workers of others.
    """
    refuse_unknown(cluster)
    if cluster == "auto":
        return "cuda" if engine == "gpu" else "inline"
    from headrace.engines.cluster import cluster_kind

    if cluster_kind(cluster, engine) == "joined" and gpu not in (None, GpuOptions()):
        raise UsageError(
            f"--gpu sets up workers that headrace starts, those of --cluster {cluster} were started before",
            hint="give these options to `dask cuda worker`, or use --cluster cuda",
        )
    return cluster


def refuse_unknown(cluster: str) -> None:
    """Raise UsageError for what is no cluster's name; a number or an address in it is looked at when it is opened."""
    if cluster not in ("auto", "inline", "local", "cuda") and not cluster.startswith(("local:", "cuda:", "tcp://")):
        raise UsageError(
            f"unknown cluster {cluster!r}",
            hint="auto, inline, local, local:4, cuda, cuda:2, or tcp://host:8786 for a running Dask scheduler",
        )
