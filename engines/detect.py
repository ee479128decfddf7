"""Which engine this machine can run, found out through NVML and installed metadata alone: no CUDA context is made, and
nothing of RAPIDS is imported.
"""

from __future__ import annotations

import os
import time
from typing import Final, Literal, NamedTuple

from headrace.engines.engine import EngineName
from headrace.engines.nvml import Gpu, look
from headrace.engines.obstacles import obstacle, visible
from headrace.schemas.errors import CapabilityError

__all__ = ["Chosen", "EngineChoice", "Gpu", "choose", "gpus", "visible"]

EngineChoice = Literal["auto", "cpu", "gpu"]

_PATIENCE_SECONDS: Final = 2.0


class Chosen(NamedTuple):
    """The engine a run uses, and why."""

    engine: EngineName
    reason: str


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves visible; none where there is no driver or no NVML binding."""
    return visible(look().gpus, _setting())


def choose(
    wanted: EngineChoice,
    pool: float = 0.8,
    *,
    count: int | None = None,
    elsewhere: bool = False,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> Chosen:
    """The engine to use.

    Parameters
    ----------
    pool
        The part of each GPU's memory that has to be free.
    count
        Look at so many of the visible GPUs only, from the first; None: at all of them.
    elsewhere
        The work is done on other machines. `gpu` is taken at its word: what this machine has says nothing.
    patience_seconds
        How long a busy GPU may take to become free: a process that has just ended gives its memory back a moment
        later.

    Raises
    ------
    CapabilityError
        `gpu` is asked for and cannot be had: no driver or no GPU, CUDA_VISIBLE_DEVICES hides or misnames them, MIG
        mode, a driver or GPU that is too old, packages that are missing or of other versions, or too little free
        memory. `auto` then gives `cpu` with that for its reason.
    """
    if wanted == "cpu":
        return Chosen("cpu", "asked for")
    if wanted == "gpu" and elsewhere:
        return Chosen("gpu", "asked for, on other machines")
    deadline = time.monotonic() + patience_seconds
    while True:
        machine = look()
        found = obstacle(machine, _setting(), pool, count)
        if found is None or not found.passing or time.monotonic() >= deadline:
            break
        time.sleep(0.1)
    if found is None:
        names = [gpu.name for gpu in visible(machine.gpus, _setting())[:count]]
        return Chosen("gpu", f"{len(names)} GPU(s): {', '.join(names)}")
    if wanted == "gpu":
        lines = "".join(f"\n  {line}" for line in found.lines)
        raise CapabilityError(f"the GPU engine cannot run here: {found.what}{lines}", hint=found.remedy)
    return Chosen("cpu", found.in_a_line())


def _setting() -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")
