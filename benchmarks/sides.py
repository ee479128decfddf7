"""Who takes part in the ctr comparison: how each is started, and where it leaves its features."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Side:
    """One way to do the job.

    Attributes
    ----------
    name
        As in the table.
    command
        What to run, from an input folder and an output folder that does not exist yet.
    outputs
        The features' files below the output folder, once it ended.
    id_offset
        What its ids have more than the reference's.
    missing
        Why it cannot take part; empty if it can.
    """

    name: str
    command: Callable[[Path, Path], list[str]]
    outputs: Callable[[Path], list[Path]]
    id_offset: int = 0
    missing: str = ""


def sides() -> list[Side]:
    """All sides; the first script is the reference."""
    return [
        Side("polars script", _script("benchmarks.peers.polars_script"), _flat),
        Side("headrace fit+apply+write", _script("benchmarks.ctr_core"), _flat, 1),
        # headrace keeps id 0 for padding; the scripts have null at 0.
        Side("headrace run", _headrace_run, _published, 1, _run_missing()),
        Side(
            "pandas/scikit-learn script", _script("benchmarks.peers.pandas_sklearn_script"), _flat, 0, _pandas_missing()
        ),
    ]


def _script(module: str) -> Callable[[Path, Path], list[str]]:
    return lambda source, target: [sys.executable, "-m", module, str(source), str(target)]


def _headrace_run(source: Path, target: Path) -> list[str]:
    program = str(Path(sys.executable).with_name("headrace"))
    pipeline = f"{ROOT / 'benchmarks' / 'ctr_pipeline.py'}:pipeline"
    return [
        *(program, "run", pipeline, "--set", f"source={source}", "--catalog", str(target)),
        *("--engine", "cpu", "--orchestrator", "none", "--json"),
    ]


def _flat(target: Path) -> list[Path]:
    return sorted(target.glob("*.parquet"))


def _published(target: Path) -> list[Path]:
    return sorted(target.glob("ctr/builds/*/train/*.parquet"))


def _run_missing() -> str:
    found = importlib.util.find_spec("headrace.cli") and shutil.which("headrace", path=str(Path(sys.executable).parent))
    return "" if found else "this installation has no command `headrace`"


def _pandas_missing() -> str:
    needed = [name for name in ("pandas", "sklearn") if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(needed)}" if needed else ""
