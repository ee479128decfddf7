"""What keeps the GPU engine from running on this machine, in the order in which it is best mended."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

from headrace.engines.gpu import requirements
from headrace.engines.nvml import Gpu, Machine, Obstacle, Process
from headrace.schemas.amounts import size

_ON_CPU: Final = "or run with --engine cpu"
_RELEASE: Final = "RAPIDS 26.10"
_ENDS_THE_LIST: Final = ("-1", "", "NoDevFiles")  # the last is what Slurm sets for a job without GPUs


def visible(found: Sequence[Gpu], setting: str | None) -> tuple[Gpu, ...]:
    """Apply CUDA's own rule for CUDA_VISIBLE_DEVICES: the list ends at the first entry that names no device."""
    if setting is None:
        return tuple(found)
    chosen: list[Gpu] = []
    for word in (w.strip() for w in setting.split(",")):
        match = _named(found, word)
        if len(match) != 1:
            break
        chosen += match
    return tuple(chosen)


def obstacle(machine: Machine, setting: str | None, pool: float, count: int | None = None) -> Obstacle | None:
    """The first thing that keeps the GPU engine from running; None if nothing does.

    Parameters
    ----------
    setting
        CUDA_VISIBLE_DEVICES, None where it is not set.
    pool
        The part of each GPU's memory that has to be free.
    count
        Look at so many of the visible GPUs only, from the first.
    """
    if there_is_none := machine.fault or _no_gpu(machine) or _setting(machine, setting):
        return there_is_none
    gpus = visible(machine.gpus, setting)[:count]
    return _mig(gpus) or _software(machine, gpus) or _memory(gpus, pool)


def _named(found: Sequence[Gpu], word: str) -> list[Gpu]:
    """What one entry names. CUDA takes the first characters of a GPU's UUID, and an instance's UUID as a whole."""
    if word.startswith("MIG-"):
        return [instance for gpu in found for instance in gpu.instances if instance.uuid == word]
    match = [g for g in found if word == str(g.index) or (word.startswith("GPU-") and g.uuid.startswith(word))]
    return [g for g in match if g.uuid == word] or match


def _no_gpu(machine: Machine) -> Obstacle | None:
    lines = tuple(f"GPU {index}: {reason}" for index, reason in machine.unreadable)
    if machine.gpus:
        return None
    if lines:
        remedy = f"see what `nvidia-smi` says and what the kernel's log has under NVRM (dmesg); {_ON_CPU}"
        return Obstacle("NVML cannot ask any GPU", remedy, lines)
    remedy = f"use a machine with an NVIDIA GPU; in a container, start it with the host's GPUs; {_ON_CPU}"
    return Obstacle("there is a driver, but NVML finds no GPU", remedy)


def _setting(machine: Machine, setting: str | None) -> Obstacle | None:
    """What is wrong with CUDA_VISIBLE_DEVICES."""
    gpus = machine.gpus
    there = ",".join(gpu.device for gpu in gpus)
    if setting is None:
        lines = tuple(f"GPU {index}: {reason}" for index, reason in machine.unreadable)
        remedy = f"leave out what does not work: CUDA_VISIBLE_DEVICES={there}; {_ON_CPU}"
        return Obstacle(f"{len(lines)} GPU(s) cannot be asked", remedy, lines) if lines else None
    said = f"CUDA_VISIBLE_DEVICES is {setting!r}"
    listed = tuple(_listed(gpus))
    remedy = f"unset it, or name GPUs that are there, such as CUDA_VISIBLE_DEVICES={there}; {_ON_CPU}"
    words = [word.strip() for word in setting.split(",")]
    if words[0] in _ENDS_THE_LIST:
        return Obstacle(f"{said}, which hides the {len(gpus)} GPU(s) of this machine", remedy, listed)
    used = words[: next((i for i, word in enumerate(words) if word in _ENDS_THE_LIST), None)]
    for word in used:
        if not (match := _named(gpus, word)):
            reasons = "".join(f" ({reason})" for index, reason in machine.unreadable if word == str(index))
            return Obstacle(f"{said}, and {word!r} names no GPU here{reasons}", remedy, listed)
        if len(match) > 1:
            return Obstacle(f"{said}, and {word!r} fits {len(match)} GPUs", remedy, listed)
    twice = [uuid for uuid, n in Counter(g.uuid for g in visible(gpus, setting)).items() if n > 1]
    return Obstacle(f"{said}, which names {', '.join(twice)} more than once", remedy, listed) if twice else None


def _listed(gpus: Sequence[Gpu]) -> list[str]:
    return [
        f"there is {part}, {part.uuid}" if part is gpu else f"there is {part}"
        for gpu in gpus
        for part in (gpu, *gpu.instances)
    ]


def _mig(gpus: Sequence[Gpu]) -> Obstacle | None:
    """Whole GPUs, or named instances of one size: Dask-CUDA gives every worker a pool of one size, and a GPU in MIG
    mode has no memory but that of its instances. https://docs.rapids.ai/deployment/stable/guides/mig
    """
    divided = [gpu for gpu in gpus if gpu.mig and not gpu.is_instance]
    instances = [gpu for gpu in gpus if gpu.is_instance]
    if divided:
        return _divided(divided[0], [gpu.device for gpu in gpus if not gpu.mig])
    lines = tuple(f"{gpu.device}: {gpu.name}, {size(gpu.memory_bytes)}" for gpu in gpus)
    if instances and len(instances) < len(gpus):
        remedy = f"name either GPUs or MIG instances in CUDA_VISIBLE_DEVICES, not both; {_ON_CPU}"
        return Obstacle("CUDA_VISIBLE_DEVICES names GPUs beside MIG instances", remedy, lines)
    if len({gpu.memory_bytes for gpu in instances}) > 1:
        remedy = f"name instances of one profile in CUDA_VISIBLE_DEVICES; {_ON_CPU}"
        return Obstacle("the MIG instances differ in memory; each worker gets a pool of the same size", remedy, lines)
    return None


def _divided(gpu: Gpu, whole: Sequence[str]) -> Obstacle:
    lines = tuple(f"{i.uuid}: {i.name}, {size(i.memory_bytes)}" for i in gpu.instances)
    what = f"GPU {gpu} is in MIG mode, and cannot be used as a whole; {len(lines)} instance(s) of it can be seen"
    ways = [f"leave it out: CUDA_VISIBLE_DEVICES={','.join(whole)}"] if whole else []
    if gpu.instances:
        ways.append(f"name instances in full, such as CUDA_VISIBLE_DEVICES={gpu.instances[0].uuid}")
    else:
        ways.append("make instances (nvidia-smi mig -cgi ...) and name them in CUDA_VISIBLE_DEVICES")
    ways.append(f"or turn MIG off (nvidia-smi -i {gpu.index} -mig 0)")
    return Obstacle(what, "; ".join((*ways, _ON_CPU)), lines)


def _software(machine: Machine, gpus: Sequence[Gpu]) -> Obstacle | None:
    """Driver, packages, and whether they suit the GPUs."""
    if machine.cuda is None:
        return Obstacle(
            f"the CUDA library of driver {machine.driver} is not there (libcuda.so.1)",
            f"in a container, set NVIDIA_DRIVER_CAPABILITIES=compute,utility; else install the driver anew; {_ON_CPU}",
        )
    there = requirements.installed_for()
    suited = [cuda for cuda, needs in requirements.PLATFORMS.items() if machine.cuda >= needs.cuda]
    if not suited or (len(there) == 1 and there[0] not in suited):
        return _old_driver(machine, suited, there)
    fitting = [cuda for cuda in suited if not _too_old(gpus, cuda)]
    best = (fitting or suited)[0]
    if not there and fitting:
        remedy = f"pip install 'headrace[{requirements.extra(best)}]'; {_ON_CPU}"
        return Obstacle(f"the extra {requirements.extra(best)} is not installed", remedy)
    if len(there) > 1:
        lines = tuple(name for cuda in there for name in requirements.installed_of(cuda))
        remedy = f"make a new environment, and there pip install 'headrace[{requirements.extra(best)}]'; {_ON_CPU}"
        return Obstacle("packages for CUDA 13 and for CUDA 12 are installed side by side", remedy, lines)
    cuda = there[0] if there else best
    if lines := _too_old(gpus, cuda):
        return _old_gpu(lines, cuda, fitting)
    if problems := requirements.problems(cuda):
        remedy = f"pip install --upgrade 'headrace[{requirements.extra(cuda)}]'; {_ON_CPU}"
        lines = tuple(str(problem) for problem in problems)
        return Obstacle(f"{len(lines)} package(s) are not those that headrace is pinned to", remedy, lines)
    return None


def _old_driver(machine: Machine, suited: Sequence[str], there: Sequence[str]) -> Obstacle:
    assert machine.cuda is not None
    cuda = there[0] if there else "12"
    needs = requirements.PLATFORMS[cuda]
    what = (
        f"driver {machine.driver} does CUDA {_dotted(machine.cuda)}; {_RELEASE} for CUDA {cuda} needs driver "
        f"{needs.driver} or newer, which does CUDA {_dotted(needs.cuda)}"
    )
    newest = f"install driver {requirements.PLATFORMS['13'].driver} or newer"
    older = "".join(f", or make a new environment with 'headrace[{requirements.extra(c)}]'" for c in suited)
    return Obstacle(what, f"{newest}{older}; {_ON_CPU}")


def _too_old(gpus: Sequence[Gpu], cuda: str) -> tuple[str, ...]:
    oldest = requirements.PLATFORMS[cuda].capability
    return tuple(f"GPU {g}: {_dotted(g.capability)}" for g in gpus if g.capability and g.capability < oldest)


def _old_gpu(lines: tuple[str, ...], cuda: str, fitting: Sequence[str]) -> Obstacle:
    oldest = _dotted(requirements.PLATFORMS[cuda].capability)
    what = f"{len(lines)} GPU(s) have a compute capability under {oldest}, which {_RELEASE} for CUDA {cuda} needs"
    other = "".join(f"make a new environment with 'headrace[{requirements.extra(c)}]', " for c in fitting)
    return Obstacle(what, f"{other}leave them out of CUDA_VISIBLE_DEVICES, {_ON_CPU}", lines)


def _memory(gpus: Sequence[Gpu], pool: float) -> Obstacle | None:
    """GPUs without the memory that is asked for: their own, and what is free of it."""
    if shared := tuple(f"GPU {gpu}" for gpu in gpus if not gpu.memory_bytes):
        what = f"{len(shared)} GPU(s) have no memory of their own, which a pool could be a part of"
        return Obstacle(what, "run with --engine cpu, or on a GPU with memory of its own", shared)
    lines: list[str] = []
    fits = 1.0
    for gpu in gpus:
        free = _free(gpu)
        if free is None or free >= pool * gpu.memory_bytes:
            continue
        fits = min(fits, free / gpu.memory_bytes)
        asked = f"{size(int(pool * gpu.memory_bytes))} asked for (pool={pool:g} of {size(gpu.memory_bytes)})"
        lines.append(f"GPU {gpu}: {size(free)} free, {asked}")
        lines += [f"  {_worded(process)}" for process in gpu.processes if process.pid != os.getpid()]
    if not lines:
        return None
    less = int(fits * 0.95 * 20) / 20  # what a CUDA context takes has to fit beside it
    ask = f"ask for less (--gpu pool={less:g})" if less >= 0.05 else "wait until it is free"
    busy = sum(not line.startswith(" ") for line in lines)
    remedy = f"{ask}, end what runs there, choose other GPUs with CUDA_VISIBLE_DEVICES, {_ON_CPU}"
    return Obstacle(f"{busy} GPU(s) are busy", remedy, tuple(lines), passing=True)


def _free(gpu: Gpu) -> int | None:
    """What is free, or held by this very process, for the engine that it has; None if that is not known."""
    own = [process for process in gpu.processes if process.pid == os.getpid()]
    if not own and "headrace.engines.gpu.memory" in sys.modules:
        return None  # in a container NVML does not tell which of the memory is our own
    if gpu.free_bytes is None or any(process.memory_bytes is None for process in own):
        return None
    return gpu.free_bytes + sum(process.memory_bytes or 0 for process in own)


def _worded(process: Process) -> str:
    name = f" ({process.name})" if process.name else ""
    held = "" if process.memory_bytes is None else f" holds {size(process.memory_bytes)}"
    return f"process {process.pid}{name}{held}"


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
