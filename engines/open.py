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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: EngineName = "cpu"
    strict: bool = False
    pool: float = 0.8


CPU: Final = EngineSpec()


@lru_cache(maxsize=4)
def open_engine(choice: EngineSpec) -> TaskEngine:
    """This process's engine of this kind.

    Raises
    ------
    CapabilityError
        The GPU engine's packages are not installed, or in other versions than are known.
    """
    if choice.name == "cpu":
        return CpuEngine()
    from headrace.engines import translation

    translation.require()
    from headrace.engines.gpu.engine import GpuEngine
    from headrace.engines.gpu.memory import use_pool

    use_pool(choice.pool)
    return GpuEngine(strict=choice.strict)


def close_engines() -> None:
    """Let go of what the engines of this process keep between tasks."""
    open_engine.cache_clear()
    gc.collect()
