"""headrace beside hand-written scripts on ctr: one command, sides in turn, results checked against each other.

    python -m benchmarks.ctr_compare --rows 1000000 4000000 --rounds 2 --out benchmarks/results/

Writes ctr.json, ctr.md and ctr.svg. Inputs are generated once, kept below --work and read once before the first round,
so that no side pays for a cold page cache. Exit status 1 if a side failed or computed something else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import results
from benchmarks.crosscheck import compare
from benchmarks.machine import describe
from benchmarks.measure import Measurement, in_turn, measure
from benchmarks.results import Case
from benchmarks.sides import ROOT, Side, sides
from headrace.pipelines.gallery.ctr.generator import write_ctr

EQUAL: Final = "equal"


def run_case(rows: int, rounds: int, taking_part: Sequence[Side], work: Path) -> Case:
    """Measure all sides at one size; what each wrote in its first run is compared with the first side's."""
    source = prepare(rows, work)
    checks: dict[str, str] = {}
    reference = taking_part[0]

    def run(side: Side) -> Measurement:
        target = _target(work, side)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(exist_ok=True)
        environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        measured = measure(side.command(source, target), log=work / "log", env=environment)
        if side is reference:
            checks[side.name] = "reference"
            return measured  # its files stay: it writes the same in every round
        if side.name not in checks:
            written = reference.outputs(_target(work, reference))
            checks[side.name] = _verdict(written, side.outputs(target), side.id_offset)
        shutil.rmtree(target)
        return measured

    present = {side.name: partial(run, side) for side in taking_part if not side.missing}
    runs, failures = in_turn(present, rounds, partial(_report, rows))
    shutil.rmtree(work / "out", ignore_errors=True)
    size = sum(path.stat().st_size for path in source.glob("*.parquet")) / 1e6
    left_out = {side.name: side.missing for side in taking_part if side.missing} | failures
    return Case(rows=rows, input_mb=round(size, 1), runs=runs, checks=checks, left_out=left_out)


def _target(work: Path, side: Side) -> Path:
    return work / "out" / side.name.replace("/", "-").replace(" ", "-")


def prepare(rows: int, work: Path) -> Path:
    """The input folder, generated unless it is there, and in the page cache."""
    source = work / f"ctr-{rows}"
    if not source.exists():
        temporary = work / f".ctr-{rows}"
        shutil.rmtree(temporary, ignore_errors=True)
        write_ctr(temporary, rows)
        temporary.rename(source)
    for path in source.glob("*.parquet"):
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass
    return source


def _verdict(reference: list[Path], outputs: list[Path], offset: int) -> str:
    if not reference or not outputs:
        return "nothing to compare"
    agreement = compare(reference, outputs, offset=offset)
    if agreement.ok:
        return EQUAL
    if agreement.rows[0] != agreement.rows[1]:
        return f"{agreement.rows[1]:,} rows instead of {agreement.rows[0]:,}"
    return f"floats differ by {agreement.largest_difference:.1e}" if agreement.ids_equal else "ids differ"


def _report(rows: int, name: str, number: int, run: Measurement) -> None:
    line = f"{rows:>12,} rows, round {number + 1}: {name:<28}{run.wall_s:8.2f} s {run.peak_tree_mb:8,.0f} MB"
    print(line, file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `python -m benchmarks.ctr_compare`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ctr_compare", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 4_000_000])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "headrace-benchmarks")
    parser.add_argument("--sides", nargs="+", metavar="NAME", help="only these; the first is the reference")
    options = parser.parse_args(arguments)
    known = {side.name: side for side in sides()}
    unknown = [name for name in options.sides or () if name not in known]
    if unknown:
        parser.error(f"no side {', '.join(unknown)}; there are: {', '.join(known)}")
    taking_part = [known[name] for name in options.sides or known]
    if taking_part[0].missing:
        parser.error(f"the reference cannot run: {taking_part[0].missing}")
    options.work.mkdir(parents=True, exist_ok=True)
    cases = [run_case(rows, options.rounds, taking_part, options.work) for rows in options.rows]
    machine = describe(options.work)
    results.write(options.out, "ctr", machine, cases, taking_part[0].name)
    print(results.table(machine, cases, taking_part[0].name))
    failed = any(name for case in cases for name in case.left_out if not known[name].missing)
    different = any(verdict not in (EQUAL, "reference") for case in cases for verdict in case.checks.values())
    return 1 if failed or different else 0


if __name__ == "__main__":
    sys.exit(main())
