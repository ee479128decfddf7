"""Who takes part in the comparison on a GPU: how each is started, and what it leaves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from benchmarks.gpu.budget import Guess
from benchmarks.gpu.model import FLOOR

ROOT: Final = Path(__file__).parent.parent.parent
PIPELINE: Final = f"{ROOT / 'benchmarks' / 'ctr_pipeline.py'}:pipeline"
_FEATURES: Final = 60
"""Bytes a row of features, encoded with dictionaries; what headrace publishes has fewer of them."""


@dataclass(frozen=True)
class GpuSide:
    """One way to do the job.

    Attributes
    ----------
    name
        As in the table.
    engine
        What it computes on.
    command
        What to run, from the input's folder, the reference's features, and a folder to write to that is not there yet.
    guess
        What it may need, for as long as it has not been measured.
    features
        Where its features lie below the folder that it wrote to.
    id_offset
        What its ids have more than those of the scripts: headrace keeps id 0 for padding.
    computes
        Whether it leaves features; the floor does not.
    """

    name: str
    engine: Literal["cpu", "gpu"]
    command: Callable[[Path, Path, Path], list[str]]
    guess: Guess
    features: Callable[[Path], Path] = lambda target: target
    id_offset: int = 0
    computes: bool = True


def sides() -> list[GpuSide]:
    """All sides, the most important first; the first is the reference, and the floor needs its features."""
    return [
        GpuSide("cuDF script", "gpu", _script("benchmarks.peers.cudf_script"), Guess(30, 4e6, _FEATURES)),
        GpuSide(FLOOR, "gpu", _floor, Guess(30, 10e6, 15), computes=False),
        GpuSide(
            "headrace operators, GPU",
            "gpu",
            _script("benchmarks.gpu_core", "gpu"),
            Guess(40, 4e6, _FEATURES),
            id_offset=1,
        ),
        GpuSide("headrace run, GPU", "gpu", _run(["headrace", "run"], "gpu"), Guess(60, 2e6, 300), _published, 1),
        GpuSide("dask-cudf script", "gpu", _script("benchmarks.peers.dask_cudf_script"), Guess(60, 3e6, _FEATURES)),
        GpuSide(
            "headrace run, GPU, one process",
            "gpu",
            _run([sys.executable, "-m", "benchmarks.gpu_run"], "gpu", "--cluster", "inline", "--gpu", "pool=0.1"),
            Guess(60, 2e6, 300),
            _published,
            1,
        ),
        GpuSide(
            "headrace operators, CPU",
            "cpu",
            _script("benchmarks.gpu_core", "cpu"),
            Guess(10, 2e5, _FEATURES),
            id_offset=1,
        ),
        GpuSide("headrace run, CPU", "cpu", _run(["headrace", "run"], "cpu"), Guess(10, 1e5, 300), _published, 1),
    ]


def _script(module: str, *words: str) -> Callable[[Path, Path, Path], list[str]]:
    return lambda source, _, target: [sys.executable, "-m", module, *words, str(source), str(target)]


def _floor(source: Path, features: Path, target: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.peers.cudf_floor", str(source), str(features), str(target)]


def _run(program: Sequence[str], engine: str, *words: str) -> Callable[[Path, Path, Path], list[str]]:
    if program[0] == "headrace":
        installed = Path(sys.executable).with_name("headrace")
        run = [str(installed)] if installed.exists() else [sys.executable, "-m", "headrace.cli"]
        program = [*run, *program[1:]]
    strict = ["--strict-gpu"] if engine == "gpu" else []
    return lambda source, _, target: [
        *(*program, PIPELINE, "--set", f"source={source}", "--catalog", str(target)),
        *("--engine", engine, *strict, *words, "--orchestrator", "none", "--json"),
    ]


def _published(target: Path) -> Path:
    """The shards of the one version that the run published."""
    return next(iter(sorted(target.glob("ctr/builds/*/train"))), target / "ctr")
