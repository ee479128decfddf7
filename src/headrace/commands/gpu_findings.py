"""What there is for the GPU engine: driver, GPUs, RAPIDS against its pins, memory, transport, storage, and a trial."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Final

from headrace.commands.findings import Finding
from headrace.commands.gpu_io import shared_memory, storage
from headrace.commands.layout import bytes_in_words
from headrace.engines.distributions import installed, satisfies
from headrace.engines.gpu import requirements
from headrace.engines.nvml import Gpu, Machine, Obstacle, look
from headrace.engines.obstacles import obstacle, visible

SELF_TEST_SECONDS: Final = 180
_TAIL: Final = 300


def findings(pool: float) -> Iterator[Finding]:
    """All of it for workers that take `pool` of their GPU's memory. Where there is no GPU nothing of RAPIDS runs."""
    machine, setting = look(), os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible(machine.gpus, setting)
    yield _driver(machine)
    yield from _gpus(machine, gpus)
    yield from _packages(bool(machine.gpus))
    if gpus:
        yield _rmm(gpus, pool)
        yield _ucxx()
        yield storage()
    yield shared_memory(gpu=bool(gpus))
    if found := obstacle(machine, setting, pool):
        yield _cannot(found)
        return
    yield Finding("GPU engine", "ok", f"can run on {len(gpus)} GPU(s)")
    yield self_test()


def self_test(seconds: float = SELF_TEST_SECONDS) -> Finding:
    """Run the GPU engine's trial in a process of its own, and say how its answers compare with the CPU's."""
    name = "GPU self-test"
    with tempfile.TemporaryDirectory(prefix="headrace-selftest-") as folder:
        words = [sys.executable, "-P", "-m", "headrace.engines.gpu.selftest", folder]
        try:
            ended = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=seconds
            )
        except subprocess.TimeoutExpired:
            advice = "see whether `nvidia-smi` answers and whether another process keeps the GPU busy"
            return Finding(name, "broken", f"no answer in {seconds:g} s", advice)
    try:
        answer = json.loads(ended.stdout.strip().rpartition("\n")[2])
        outcome = str(answer["outcome"])
    except (ValueError, KeyError, TypeError):
        tail = " ".join(ended.stderr.split())[-_TAIL:] or "nothing on stderr"
        return Finding(name, "broken", f"ended with exit status {ended.returncode}: {tail}", "run with --engine cpu")
    if outcome == "ok":
        return Finding(name, "ok", f"{answer['columns']} columns of {answer['rows']} rows equal the CPU's")
    if outcome == "different":
        differing = "; ".join(answer["differences"])
        advice = "do not use the GPU engine here; report this with the output of `headrace doctor --json`"
        return Finding(name, "broken", f"differs from the CPU: {differing}", advice)
    return Finding(
        name, "broken", " ".join(str(answer["error"]).split()), str(answer["hint"]) or "run with --engine cpu"
    )


def _driver(machine: Machine) -> Finding:
    if machine.fault:
        return Finding("driver", "absent", machine.fault.what)
    if machine.cuda is None:
        return Finding("driver", "warning", f"{machine.driver}, without its CUDA library (libcuda.so.1)")
    words = f"{machine.driver}, for CUDA up to {machine.cuda[0]}.{machine.cuda[1]}"
    return Finding("driver", "ok", words)


def _gpus(machine: Machine, seen: Sequence[Gpu]) -> Iterator[Finding]:
    if not machine.fault and not machine.gpus and not machine.unreadable:
        yield Finding("GPU", "absent", "NVML finds none")
    for index, reason in machine.unreadable:
        yield Finding(f"GPU {index}", "warning", f"cannot be asked: {reason}")
    used = {gpu.uuid for gpu in seen}
    for gpu in machine.gpus:
        for part in (gpu, *gpu.instances):
            capability = f", compute capability {part.capability[0]}.{part.capability[1]}" if part.capability else ""
            mode = ", in MIG mode" if part.mig and not part.is_instance else ""
            words = f"{part.name}{capability}{mode}, {_memory(part)}"
            if part.uuid in used:
                yield Finding(f"GPU {part.device}", "ok", words)
            else:
                yield Finding(f"GPU {part.device}", "absent", f"{words}; not in CUDA_VISIBLE_DEVICES")


def _packages(gpu: bool) -> Iterator[Finding]:
    there = requirements.installed_for()
    if not there:
        needs = " or ".join(
            f"{requirements.extra(cuda)} (driver {needs.driver} or newer)"
            for cuda, needs in requirements.PLATFORMS.items()
        )
        # What suits this machine's driver stands at the line of the GPU engine.
        advice = "" if gpu else "on a machine with a GPU: pip install 'headrace[cuda13]'"
        yield Finding("RAPIDS", "absent", f"not installed; the GPU engine needs the extra {needs}", advice)
    for cuda in there:
        advice = f"pip install --upgrade 'headrace[{requirements.extra(cuda)}]'"
        for name, versions, _ in requirements.pins(cuda):
            version, expected = installed(name), versions.removeprefix("==")
            if version is None:
                yield Finding(name, "absent", f"not installed, expected {expected}", advice)
            elif not satisfies(version, versions):
                yield Finding(name, "warning", f"{version}, expected {expected}", advice)
            else:
                yield Finding(name, "ok", f"{version}, as expected ({expected})")


def _rmm(gpus: Sequence[Gpu], pool: float) -> Finding:
    version = next((v for cuda in requirements.PLATFORMS if (v := installed(f"rmm-cu{cuda}"))), None)
    words = f"{version or 'not installed'}; a pool of {pool:g} of the memory is "
    words += ", ".join(f"{bytes_in_words(pool * gpu.memory_bytes)} on GPU {gpu.device}" for gpu in gpus)
    short = [g for g in gpus if g.free_bytes is not None and g.free_bytes < pool * g.memory_bytes]
    if short:
        lacking = ", ".join(f"GPU {gpu.device} has {bytes_in_words(gpu.free_bytes or 0)} free" for gpu in short)
        return Finding("RMM", "warning", f"{words}, which does not fit: {lacking}")
    return Finding("RMM", "ok" if version else "absent", f"{words}, which fits")


def _ucxx() -> Finding:
    for cuda in requirements.PLATFORMS:
        names = (f"distributed-ucxx-cu{cuda}", f"ucxx-cu{cuda}")
        if all(versions := [installed(name) for name in names]):
            words = ", ".join(f"{name} {version}" for name, version in zip(names, versions, strict=True))
            return Finding("UCXX", "ok", words)
    cuda = next(iter(requirements.installed_for()), "13")
    advice = f"for --gpu protocol=ucxx: pip install distributed-ucxx-cu{cuda}"
    return Finding("UCXX", "absent", "not installed; workers talk over tcp", advice)


def _cannot(found: Obstacle) -> Finding:
    return Finding("GPU engine", "absent", f"cannot run here: {found.in_a_line(most=20)}", found.remedy)


def _memory(gpu: Gpu) -> str:
    if not gpu.memory_bytes:
        return "no memory of its own"
    total = bytes_in_words(gpu.memory_bytes)
    return total if gpu.free_bytes is None else f"{bytes_in_words(gpu.free_bytes)} free of {total}"
