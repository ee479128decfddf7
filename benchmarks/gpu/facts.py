"""What a measured process says of itself: seconds by stage, and the most device memory that it had allocated.

Start-up (imports, a CUDA context, a memory pool) is outside the stages, so that rates at 4 M rows are not those of
`import cudf`; whole processes are timed from outside as well.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

VARIABLE: Final = "HEADRACE_BENCHMARK_FACTS"
"""Names the file to write; nothing is written where it is not set."""
POOL: Final = 0.8
"""Of the device's free memory, as headrace's workers take it."""


class Facts(BaseModel):
    """As written to the file.

    Parameters
    ----------
    stages
        Seconds; the device had finished at the end of each.
    rmm_peak_bytes
        The most that was allocated from RMM at one time, by RMM's own count: what the job needs, whatever the pool's
        size. None where it was not counted.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    stages: dict[str, float] = {}
    rmm_peak_bytes: int | None = None


class Stages:
    """Adds up seconds by stage; a stage that is entered again goes on."""

    def __init__(self, finish: Callable[[], object] = lambda: None) -> None:
        self.seconds: dict[str, float] = {}
        self.rmm_peak_bytes: int | None = None
        self._finish = finish

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The block is a part of stage `name`, which ends when the device has done what it was given."""
        began = time.perf_counter()
        yield
        self._finish()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


@contextmanager
def told(stages: Stages | None = None) -> Iterator[Stages]:
    """Stages whose seconds are written down if the block ends well."""
    stages = stages if stages is not None else Stages()
    yield stages
    if path := os.environ.get(VARIABLE):
        seconds = {name: round(value, 4) for name, value in stages.seconds.items()}
        facts = Facts(stages=seconds, rmm_peak_bytes=stages.rmm_peak_bytes)
        Path(path).write_text(facts.model_dump_json(), encoding="utf-8")


@contextmanager
def on_device() -> Iterator[Stages]:
    """The same for a process that computes on its GPU: it gets a pool, and RMM counts what is allocated from it.

    Counting costs a lock and an addition per allocation.
    """
    import cupy
    import rmm
    from rmm.allocators.cupy import rmm_cupy_allocator

    counter = counted_pool(POOL)
    cupy.cuda.set_allocator(rmm_cupy_allocator)
    with told(Stages(cupy.cuda.Device().synchronize)) as stages:
        yield stages
        peak = int(counter.allocation_counts.peak_bytes)
        in_use = rmm.mr.get_current_device_resource() is counter  # else another took its place, and it saw too little
        stages.rmm_peak_bytes = peak if in_use else None


def counted_pool(share: float) -> Any:
    """Make RMM take `share` of the device's free memory for a pool, and count what is allocated from it."""
    import rmm

    free, _ = rmm.mr.available_device_memory()
    size = int(free * share) // 256 * 256
    pool = rmm.mr.PoolMemoryResource(rmm.mr.CudaMemoryResource(), initial_pool_size=size, maximum_pool_size=size)
    counter = rmm.mr.StatisticsResourceAdaptor(pool)
    rmm.mr.set_current_device_resource(counter)
    return counter


def read(path: Path) -> Facts:
    """What a process wrote down; no stages where it wrote nothing."""
    return Facts.model_validate(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Facts()
