"""Runs the sides at one size: in turn, each a process of its own, within the time and the disk that are left."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.crosscheck import compare
from benchmarks.gpu import facts
from benchmarks.gpu.budget import Budget, Guess, need, refusal
from benchmarks.gpu.digest import Digest, verdict
from benchmarks.gpu.model import Case, Run
from benchmarks.gpu.sampling import Sampler
from benchmarks.gpu.sides import ROOT, GpuSide
from benchmarks.measure import CommandFailed, CommandTooSlow, Measurement, measure

EXACT_ROWS: Final = 5_000_000
"""Up to so many rows results are matched row by row, which needs about 160 bytes of memory a row."""
REFERENCE: Final = "reference"
EQUAL: Final = "equal"
UNCHECKED: Final = "not compared"
_INPUT_BYTES: Final = {"snappy": 75.0, "zstd": 55.0}

Known = Mapping[str, Sequence[tuple[int, Run]]]


@dataclass(frozen=True)
class Place:
    """Where and with what a comparison runs.

    Attributes
    ----------
    work
        Inputs and outputs lie below this folder while they are needed.
    compression
        Of the input's files.
    sampler
        Makes what looks at devices and disk while a command runs.
    device
        Whether there is a GPU for making the input and for the digests.
    save
        Called with the case after every run, so that a comparison that is cut off leaves what it has.
    """

    work: Path
    compression: str
    budget: Budget
    sampler: Callable[[], Sampler]
    device: bool
    save: Callable[[Case], object]


class Comparison:
    """All sides at one size. `known` has runs of other sizes by side, to judge by what still fits."""

    def __init__(self, place: Place, rows: int, taking_part: Sequence[GpuSide], known: Known) -> None:
        self.case = Case(
            rows=rows,
            compression=place.compression,
            compared="row by row" if rows <= EXACT_ROWS else "digests",
        )
        self._place, self._sides, self._known = place, taking_part, known
        self._reference = next((side for side in taking_part if side.computes), None)
        self._digest: Digest | None = None
        self._source = place.work / f"gpu-ctr-{rows}-{place.compression}"

    def run(self, rounds: int, *, keep: bool = False) -> Case:
        """Every side once a round. With `keep` the input stays, to be found by the next comparison."""
        if self._prepare():
            for number in range(rounds):
                for side in self._sides:
                    if side.name not in self.case.failed:
                        self._turn(side, number)
        shutil.rmtree(self._place.work / "out", ignore_errors=True)
        if not keep:
            shutil.rmtree(self._source, ignore_errors=True)
        self._place.save(self.case)
        return self.case

    def _prepare(self) -> bool:
        """The input is there, made now or before; what is in the way is said of every side."""
        if not self._source.exists():
            temporary = self._place.work / f".{self._source.name}"
            shutil.rmtree(temporary, ignore_errors=True)
            guess = Guess(30, 5e6 if self._place.device else 5e4, _INPUT_BYTES[self._place.compression])
            problem = refusal(need(self.case.rows, guess, ()), self._place.budget, self._free_mb())
            command = [
                *(sys.executable, "-m", "benchmarks.gpu_ctr", "--rows", str(self.case.rows), "--out", str(temporary)),
                *("--compression", self._place.compression),
                *([] if self._place.device else ["--host"]),
            ]
            try:
                if not problem:
                    made, _ = self._measured(command)
                    temporary.rename(self._source)
                    self._update(generate_s=made.wall_s)
            except CommandFailed as error:
                problem = str(error)
                shutil.rmtree(temporary, ignore_errors=True)
            if problem:
                self._update(left_out={side.name: f"no input: {problem}" for side in self._sides})
                return False
        self._update(input_mb=round(sum(path.stat().st_size for path in self._source.glob("*.parquet")) / 1e6, 1))
        return True

    def _turn(self, side: GpuSide, number: int) -> None:
        target = self._target(side)
        reference = self._reference
        features = reference.features(self._target(reference)) if reference else target
        if not side.computes and not any(features.glob("*.parquet")):
            return self._leave_out(
                side, number, f"it needs the features of {reference.name if reference else 'a side'}"
            )
        wanted = need(self.case.rows, side.guess, self._known.get(side.name, ()))
        if problem := refusal(wanted, self._place.budget, self._free_mb()):
            return self._leave_out(side, number, problem)
        shutil.rmtree(target, ignore_errors=True)
        try:
            measured, sampler = self._measured(side.command(self._source, features, target))
        except CommandTooSlow:
            self._leave_out(side, number, "stopped: the time was spent")
        except CommandFailed as error:
            self._update(failed=self.case.failed | {side.name: str(error)})
        else:
            self._keep(side, measured, sampler, target)
        self._tidy(side, target)
        self._place.save(self.case)
        return None

    def _keep(self, side: GpuSide, measured: Measurement, sampler: Sampler, target: Path) -> None:
        told = facts.read(self._place.work / "facts.json")
        files = list(side.features(target).glob("*.parquet")) if side.computes else []
        run = Run(
            wall_s=measured.wall_s,
            stages=recorded_stages(target) or told.stages,
            user_s=measured.user_s,
            system_s=measured.system_s,
            host_process_mb=measured.peak_process_mb,
            host_tree_mb=measured.peak_tree_mb,
            gpu_processes_mb=sampler.peaks.gpu_processes_mb,
            gpu_device_mb=sampler.peaks.gpu_device_mb,
            rmm_peak_mb=None if told.rmm_peak_bytes is None else round(told.rmm_peak_bytes / 1e6, 1),
            disk_mb=sampler.peaks.disk_mb,
            output_mb=round(sum(path.stat().st_size for path in files) / 1e6, 1),
            load=measured.load,
        )
        self._update(runs=self.case.runs | {side.name: (*self.case.runs.get(side.name, ()), run)})
        line = f"{self.case.rows:>13,} rows  {side.name:<32}{run.wall_s:8.1f} s, {run.work_s:8.1f} s of work"
        print(line, file=sys.stderr, flush=True)
        if side.computes and side.name not in self.case.checks:
            self._update(checks=self.case.checks | {side.name: self._check(side, target)})

    def _check(self, side: GpuSide, target: Path) -> str:
        """What a side computed against the reference."""
        reference = self._reference
        assert reference is not None
        if side is not reference and self.case.checks.get(reference.name) != REFERENCE:
            return f"{UNCHECKED}: there is no reference"
        if self.case.compared == "row by row":
            if side is reference:
                return REFERENCE
            return exact(
                sorted(reference.features(self._target(reference)).glob("*.parquet")),
                sorted(side.features(target).glob("*.parquet")),
                side.id_offset - reference.id_offset,
            )
        out = self._place.work / "digest.json"
        command = [
            *(sys.executable, "-m", "benchmarks.gpu.digest", str(side.features(target)), str(out)),
            *("--offset", str(side.id_offset)),
            *(["--device"] if self._place.device else []),
        ]
        try:
            self._measured(command)
        except CommandFailed as error:
            return f"{UNCHECKED}: {error}"
        found = Digest.model_validate_json(out.read_text(encoding="utf-8"))
        if side is reference:
            self._digest = found
            return REFERENCE
        assert self._digest is not None
        return verdict(self._digest, found)

    def _tidy(self, side: GpuSide, target: Path) -> None:
        """Remove what is not needed any more: the reference's features stay for the floor and for exact checks."""
        if side is not self._reference:
            shutil.rmtree(target, ignore_errors=True)
        floor_done = all(other.computes or other.name == side.name for other in self._sides)
        if self.case.compared == "digests" and self._reference is not None and floor_done:
            shutil.rmtree(self._target(self._reference), ignore_errors=True)

    def _measured(self, command: Sequence[str]) -> tuple[Measurement, Sampler]:
        told = self._place.work / "facts.json"
        told.unlink(missing_ok=True)
        packages = [str(ROOT), str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(packages), "NO_COLOR": "1", facts.VARIABLE: str(told)}
        sampler = self._place.sampler()
        left = self._place.budget.left
        log = self._place.work / "log"
        return measure(command, log=log, env=environment, limit=left, sample=sampler), sampler

    def _leave_out(self, side: GpuSide, number: int, reason: str) -> None:
        words = reason if side.name not in self.case.runs else f"round {number + 1} and later: {reason}"
        self._update(left_out={side.name: words} | self.case.left_out)  # the first reason stays
        print(f"{self.case.rows:>13,} rows  {side.name:<32}left out: {words}", file=sys.stderr, flush=True)

    def _target(self, side: GpuSide) -> Path:
        return self._place.work / "out" / "".join(c if c.isalnum() else "-" for c in side.name)

    def _free_mb(self) -> float:
        return shutil.disk_usage(self._place.work).free / 1e6

    def _update(self, **changes: Any) -> None:
        self.case = self.case.model_copy(update=changes)


def recorded_stages(target: Path) -> dict[str, float]:
    """Seconds by stage from the run record in a catalog; empty where there is none."""
    for path in sorted((target / ".headrace" / "runs").glob("*.json")):
        return {str(name): float(value) for name, value in json.loads(path.read_bytes())["seconds"].items()}
    return {}


def exact(reference: list[Path], outputs: list[Path], offset: int) -> str:
    """`equal`, or what differs, from matching row by row."""
    if not outputs:
        return "it left no features"
    agreement = compare(reference, outputs, offset=offset)
    if agreement.rows[0] != agreement.rows[1]:
        return f"{agreement.rows[1]:,} rows instead of {agreement.rows[0]:,}"
    if not agreement.ids_equal:
        return "ids differ"
    return EQUAL if agreement.ok else f"floats differ by {agreement.largest_difference:.1e}"
