"""headrace on a GPU beside plain cuDF, plain dask-cudf, the floor and its own CPU engine, on ctr: one command.

    python -m benchmarks.gpu_compare                                             # 4 M, 40 M and 400 M rows
    python -m benchmarks.gpu_compare --rows 4000000 40000000 --budget-seconds 540 --out DIR
    python -m benchmarks.gpu_compare --rows 400000000 --include DIR/gpu_ctr.json --out DIR2

Every side is a process of its own, in turn, the most important first; results are checked against each other. What does
not fit into the time or onto the disk is left out and named in the result. gpu_ctr.json, .md, .svg and .png are written
anew after every size, the JSON after every process. Exit status 1 if a side failed or computed something else, 2 if
there is no GPU. Not yet run on a GPU.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.gpu import report
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.comparison import EQUAL, REFERENCE, UNCHECKED, Comparison, Place
from benchmarks.gpu.machine import describe
from benchmarks.gpu.model import Case, Result, Run
from benchmarks.gpu.sampling import Sampler
from benchmarks.gpu.sides import ROOT, GpuSide, sides
from headrace.engines.detect import gpus


def parser() -> argparse.ArgumentParser:
    """The command line."""
    words = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_compare", description=(__doc__ or "").splitlines()[0]
    )
    words.add_argument("--rows", type=_count, nargs="+", default=[4_000_000, 40_000_000, 400_000_000])
    words.add_argument("--rounds", type=_count, default=1)
    words.add_argument("--sides", nargs="+", metavar="NAME", help="these; the first that computes is the reference")
    words.add_argument("--budget-seconds", type=float, default=math.inf, help="begin nothing that would take longer")
    words.add_argument("--compression", choices=("snappy", "zstd"), default="snappy", help="of the input")
    words.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    words.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "headrace-gpu-benchmarks")
    words.add_argument("--include", type=Path, nargs="+", default=[], help="results of this machine to carry over")
    words.add_argument("--keep", action="store_true", help="leave the inputs below --work for the next time")
    return words


def chosen(words: argparse.ArgumentParser, names: Sequence[str] | None) -> list[GpuSide]:
    """The sides of these names in this order, or all."""
    known = {side.name: side for side in sides()}
    if unknown := [name for name in names or () if name not in known]:
        words.error(f"no side {', '.join(map(repr, unknown))}; there are: {', '.join(map(repr, known))}")
    return [known[name] for name in names or known]


def included(words: argparse.ArgumentParser, paths: Sequence[Path], machine: dict[str, object]) -> list[Case]:
    """The cases of earlier results, which must be of this machine and these versions."""
    cases: list[Case] = []
    for path in paths:
        earlier = report.read(path)
        here, there = ({k: v for k, v in m.items() if k != "filesystem"} for m in (machine, earlier.machine))
        if here != there:
            other = sorted(key for key in here.keys() | there.keys() if here.get(key) != there.get(key))
            words.error(f"{path} was taken on another machine: {', '.join(other)} differ")
        cases += earlier.cases
    return cases


@contextmanager
def nvml(present: bool) -> Iterator[Any]:
    """NVML, initialised; None without a GPU."""
    if not present:
        yield None
        return
    import pynvml

    pynvml.nvmlInit()
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def run(words: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Run what was asked for, and write it down as it comes."""
    budget = Budget(options.budget_seconds)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    taking_part = chosen(words, options.sides)
    found = gpus()
    if not found and (needing := [side.name for side in taking_part if side.engine == "gpu"]):
        print(f"NVML finds no GPU; these sides need one: {', '.join(needing)}. --sides takes others.", file=sys.stderr)
        return 2
    options.work.mkdir(parents=True, exist_ok=True)
    with nvml(bool(found)) as library:
        handles = [library.nvmlDeviceGetHandleByIndex(gpu.index) for gpu in found]
        machine = describe(options.work, library)
        earlier = [case for case in included(words, options.include, machine) if case.rows not in options.rows]
        done: dict[int, Case] = {case.rows: case for case in earlier}

        def result() -> Result:
            settings = {"budget_seconds": options.budget_seconds if math.isfinite(options.budget_seconds) else None}
            settings |= {"rounds": options.rounds, "compression": options.compression}
            cases = tuple(done[rows] for rows in sorted(done))
            return Result(created_at=began, machine=machine, settings=settings, cases=cases)

        def save(case: Case) -> None:
            done[case.rows] = case
            report.save(options.out, result())

        place = Place(
            work=options.work,
            compression=options.compression,
            budget=budget,
            sampler=lambda: Sampler(options.work, handles, library),
            device=bool(found),
            save=save,
        )
        for rows in options.rows:
            known: dict[str, list[tuple[int, Run]]] = {}
            for case in done.values():
                for side, runs in case.runs.items():
                    known.setdefault(side, []).extend((case.rows, one) for one in runs)
            Comparison(place, rows, taking_part, known).run(options.rounds, keep=options.keep)
            report.write(options.out, result())
    print(report.table(result()))
    verdicts = [verdict for rows in options.rows for verdict in done[rows].checks.values()]
    failed = any(done[rows].failed for rows in options.rows)
    different = any(v not in (EQUAL, REFERENCE) and not v.startswith(UNCHECKED) for v in verdicts)
    return 1 if failed or different else 0


def _count(word: str) -> int:
    number = int(word.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word} is not a number above 0")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `python -m benchmarks.gpu_compare`."""
    words = parser()
    return run(words, words.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
