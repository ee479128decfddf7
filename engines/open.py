"""The engine of this process: one of each kind, opened when the first task asks for it."""

from __future__ import annotations

import gc
from functools import lru_cache
from typing import Final

from pydantic import BaseModel, ConfigDict

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import EngineName, TaskEngine


class EngineSpec(BaseModel):
    """Which engine tasks run on; small enough to be sent with each.

    Parameters
    ----------
    strict
        The GPU engine refuses what it cannot run, instead of running it on the CPU.
    pool
        The share of the device's free memory that a process takes which has no memory resource of its own yet.
    run
        The run that it is opened for: what it keeps on the device and says of itself is of that run alone, also in
        a worker that serves many.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: EngineName = "cpu"
    strict: bool = False
    pool: float = 0.8
    run: str = ""


CPU: Final = EngineSpec()


def open_engine(choice: EngineSpec) -> TaskEngine:
    """This process's engine of this kind. The GPU engine of one run takes the place of the one before it.

    Raises
    ------
    CapabilityError
        The GPU engine's packages are not installed, or in other versions than are known.
    GpuMemoryError
        Its pool does not fit into the device.
    RunError
        The device cannot be used.
    """
    return CpuEngine() if choice.name == "cpu" else _open_gpu(choice)


@lru_cache(maxsize=1)
def _open_gpu(choice: EngineSpec) -> TaskEngine:
    from headrace.engines import translation

    translation.require()
    from headrace.engines.gpu.engine import GpuEngine
    from headrace.engines.gpu.memory import use_pool

    use_pool(choice.pool)
    return GpuEngine(strict=choice.strict)


def close_engines() -> None:
    """Let go of what the engines of this process keep between tasks."""
    _open_gpu.cache_clear()
    gc.collect()
