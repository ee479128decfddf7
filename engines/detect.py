"""Which engine this machine can run, found out through NVML alone: it creates no CUDA context."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import util
from typing import Literal, NamedTuple

from headrace.engines.engine import EngineName
from headrace.schemas.errors import CapabilityError

EngineChoice = Literal["auto", "cpu", "gpu"]


@dataclass(frozen=True)
class Gpu:
    """One GPU as NVML sees it."""

    index: int
    uuid: str
    name: str
    memory_bytes: int


class Chosen(NamedTuple):
    """The engine a run uses, and why."""

    engine: EngineName
    reason: str


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves visible; none where there is no driver or no NVML binding."""
    if util.find_spec("pynvml") is None:
        return ()
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            found.append(
                Gpu(
                    index,
                    _text(pynvml.nvmlDeviceGetUUID(handle)),
                    _text(pynvml.nvmlDeviceGetName(handle)),
                    int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
                )
            )
    finally:
        pynvml.nvmlShutdown()
    return visible(tuple(found), os.environ.get("CUDA_VISIBLE_DEVICES"))


def visible(found: tuple[Gpu, ...], setting: str | None) -> tuple[Gpu, ...]:
    """Apply CUDA's own rule for CUDA_VISIBLE_DEVICES: the list ends at the first entry that names no device."""
    if setting is None:
        return found
    chosen: list[Gpu] = []
    for word in (w.strip() for w in setting.split(",")):
        match = [g for g in found if word == str(g.index) or (word.startswith("GPU-") and g.uuid.startswith(word))]
        if not match:
            break
        chosen += match
    return tuple(chosen)


def choose(wanted: EngineChoice) -> Chosen:
    """The engine to use.

    Raises
    ------
    CapabilityError
        `gpu` is asked for and there is no GPU, or this installation has no GPU engine.
    """
    if wanted == "cpu":
        return Chosen("cpu", "asked for")
    found = gpus()
    problem = _gpu_problem(found)
    if problem is None:
        return Chosen("gpu", f"{len(found)} GPU(s): {', '.join(g.name for g in found)}")
    if wanted == "gpu":
        raise CapabilityError(f"the GPU engine cannot run here: {problem[0]}", hint=problem[1])
    return Chosen("cpu", problem[0])


def _gpu_problem(found: tuple[Gpu, ...]) -> tuple[str, str] | None:
    if not found:
        setting = os.environ.get("CUDA_VISIBLE_DEVICES")
        hidden = f" (CUDA_VISIBLE_DEVICES is {setting!r})" if setting is not None else ""
        return f"NVML finds no GPU{hidden}", "run with --engine cpu, or on a machine with an NVIDIA driver and a GPU"
    if util.find_spec("headrace.engines.gpu") is None:
        return "this version of headrace has no GPU engine yet", "run with --engine cpu"
    return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
