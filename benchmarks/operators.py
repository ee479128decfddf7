"""Every operator beside the Polars that a person would write for it, in turn, on rows held in memory.

    python -m benchmarks.operators                                    # all, on 5,000,000 rows
    python -m benchmarks.operators --rows 500000 --only Lower Clip    # some, printed and not written
    python -m benchmarks.operators --only Lower Clip --update         # some, in the place of what is written of them

What learners learn and what is applied are measured apart. Both sides' results are compared first. See
`benchmarks/byhand` for what is written by hand.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import polars as pl

from benchmarks.byhand.categories import CATEGORIES
from benchmarks.byhand.histories import HISTORIES
from benchmarks.byhand.pair import Pair
from benchmarks.byhand.rows import columns_of, rows_of
from benchmarks.byhand.values import VALUES
from benchmarks.machine import describe
from headrace.engines.cpu import CpuEngine
from headrace.schemas.names import SPLIT, TRAIN
from headrace.transforms.base import UNIT, Join, Learner, Operator, Transform
from headrace.transforms.elements import parts
from headrace.transforms.registry import OPERATORS, operator_from_plain
from headrace.transforms.table import Table

PAIRS: Final = (*VALUES, *CATEGORIES, *HISTORIES)
LIMIT: Final = 1.2
SCHEMA_VERSION: Final = 1

_ENGINE: Final = CpuEngine()
_UNIT_ROWS: Final = 1 << 20
"""Rows of a unit that floats are summed over: pyarrow's row groups."""

_LEAST: Final = 5
_MOST: Final = 25
_ENOUGH: Final = 4.0
"""Seconds of measured runs of a pair after which no more than the least are made."""


@dataclass(frozen=True)
class Timing:
    """One part of an operator beside the same by hand: the shortest of several runs in turn.

    Attributes
    ----------
    name
        The operator, and which of its forms.
    part
        `fit` (measure, merge and learn) or `apply`.
    by_hand_s, headrace_s
        Wall seconds.
    by_hand_cpu_s, headrace_cpu_s
        CPU seconds over all threads of the process.
    rounds
        How many runs of each side.
    note
        What the two sides do differently.
    """

    name: str
    part: str
    by_hand_s: float
    headrace_s: float
    by_hand_cpu_s: float
    headrace_cpu_s: float
    rounds: int
    note: str

    @property
    def ratio(self) -> float:
        """Wall seconds as a multiple of those by hand."""
        return self.headrace_s / self.by_hand_s

    @property
    def cpu_ratio(self) -> float:
        return self.headrace_cpu_s / self.by_hand_cpu_s


class Unequal(Exception):
    """The two sides of a pair do not compute the same."""


class Job:
    """One pair on rows held in memory: both sides, each of which gives its result."""

    def __init__(self, pair: Pair, rows: int) -> None:
        self.pair = pair
        self.rows = rows_of(dict.fromkeys([*columns_of(pair.fields), *pair.columns]), rows)
        declared: Operator = operator_from_plain({pair.operator: dict(pair.fields)})
        if isinstance(declared, Join):
            declared = declared.bind({name: Table(made()) for name, made in pair.tables.items()})
        (self.step,) = parts(declared, self.rows.schema)
        self.applied = self.rows.with_columns(pl.lit(TRAIN, pl.Int8).alias(SPLIT)) if pair.trained else self.rows
        self.learned: Any = self.step
        self.known: Any = None

    @property
    def learns(self) -> bool:
        return isinstance(self.step, Learner) and bool(self.step.measured)

    def fit(self) -> Transform:
        """As a run does it: measured for each unit where floats are summed, else all at once."""
        step = self.step
        if not isinstance(step, Learner):
            assert isinstance(step, Transform)
            return step
        if not step.measured:
            return step.learn(pl.DataFrame())
        if step.by_unit:
            units = [self.rows.slice(first, _UNIT_ROWS) for first in range(0, self.rows.height, _UNIT_ROWS)]
            tables = [
                _ENGINE.collect([step.measure(unit.lazy(), _ENGINE)])[0].with_columns(pl.lit(n, pl.Int64).alias(UNIT))
                for n, unit in enumerate(units)
            ]
        else:
            tables = _ENGINE.collect([step.measure(self.rows.lazy(), _ENGINE)], any_order=True)
        merged = step.merge([table.lazy() for table in tables])
        return step.learn(_ENGINE.collect([merged], any_order=not step.by_unit)[0])

    def fit_by_hand(self) -> Any:
        return self.pair.fit(self.rows.lazy()) if self.pair.fit is not None else None

    def apply(self) -> pl.DataFrame:
        return _ENGINE.collect([self.learned.apply(self.applied.lazy(), _ENGINE)])[0]

    def apply_by_hand(self) -> pl.DataFrame:
        return self.pair.apply(self.applied.lazy(), self.known).collect()

    def check(self) -> None:
        """Fit and apply both sides; raises Unequal where their results differ."""
        self.learned, self.known = self.fit(), self.fit_by_hand()
        results = self.pair.results or self.step.writes
        ours, theirs = self.apply(), self.apply_by_hand()
        chosen = list(results) or theirs.columns
        ours, theirs = ours.select(chosen), theirs.select(chosen)
        if not self.pair.agrees(ours, theirs):
            raise Unequal(f"{self.pair.name}: by hand\n{theirs}\nhere\n{ours}")


def compared(pair: Pair, rows: int) -> list[Timing]:
    """Check one pair, then measure it."""
    job = Job(pair, rows)
    job.check()
    timings = [_timed(pair, "fit", job.fit_by_hand, job.fit)] if job.learns and pair.fit is not None else []
    return [*timings, _timed(pair, "apply", job.apply_by_hand, job.apply)]


def _timed(pair: Pair, part: str, by_hand: Callable[[], object], here: Callable[[], object]) -> Timing:
    sides = (by_hand, here)
    walls: tuple[list[float], list[float]] = ([], [])
    cpus: tuple[list[float], list[float]] = ([], [])
    while len(walls[1]) < _LEAST or (len(walls[1]) < _MOST and sum(walls[0]) + sum(walls[1]) < _ENOUGH):
        for side, wall, cpu in zip(sides, walls, cpus, strict=True):
            gc.collect()
            began, used = time.perf_counter(), time.process_time()
            result = side()
            wall.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
            del result
    return Timing(pair.name, part, min(walls[0]), min(walls[1]), min(cpus[0]), min(cpus[1]), len(walls[0]), pair.note)


def table(machine: Mapping[str, object], rows: int, load: float, timings: Sequence[Timing]) -> str:
    """The Markdown table; ratios above the limit in bold."""
    over = [t for t in timings if t.ratio > LIMIT]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['system']}; "
        f"load {load:.1f} at the start.",
        "",
        f"{rows:,} rows in memory; the shortest of at least {_LEAST} runs in turn. Ratios above {LIMIT} are bold: "
        f"{len(over)} of {len(timings)}. CPU seconds count all threads and, unlike seconds, hardly what else the "
        "machine did.",
        "",
        "| operator | part | seconds by hand | seconds here | ratio | CPU ratio | what differs |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    lines += [
        f"| {t.name} | {t.part} | {_seconds(t.by_hand_s)} | {_seconds(t.headrace_s)} | {_ratio(t.ratio)} "
        f"| {_ratio(t.cpu_ratio)} | {t.note} |"
        for t in timings
    ]
    return "\n".join(lines) + "\n"


def write(folder: Path, machine: Mapping[str, object], rows: int, load: float, timings: Sequence[Timing]) -> list[Path]:
    """Write `operators.json` and `operators.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "schema_version": SCHEMA_VERSION,
        "name": "operators",
        "rows": rows,
        "machine": machine,
        "load": round(load, 2),
        "timings": [
            {
                **{k: round(v, 5) if isinstance(v, float) else v for k, v in asdict(t).items()},
                "ratio": round(t.ratio, 3),
                "cpu_ratio": round(t.cpu_ratio, 3),
            }
            for t in timings
        ],
    }
    paths = [folder / "operators.json", folder / "operators.md"]
    paths[0].write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    paths[1].write_text(table(machine, rows, load, timings), encoding="utf-8")
    return paths


def updated(folder: Path, machine: Mapping[str, object], rows: int, timings: Sequence[Timing]) -> list[Path]:
    """Write these in the place of those of the same name and part; all others, and the load, stay as written.

    Raises
    ------
    SystemExit
        What is written is of another machine or of another number of rows.
    """
    document = json.loads((folder / "operators.json").read_text(encoding="utf-8"))
    if (document["machine"]["processor"], document["rows"]) != (machine["processor"], rows):
        raise SystemExit(f"operators.json is of {document['rows']:,} rows on {document['machine']['processor']}")
    names = [field.name for field in fields(Timing)]
    written = [Timing(**{name: row[name] for name in names}) for row in document["timings"]]
    found = {(t.name, t.part): t for t in timings}
    kept = [found.pop((t.name, t.part), t) for t in written]
    return write(folder, document["machine"], rows, document["load"], [*kept, *found.values()])


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def _ratio(value: float) -> str:
    return f"**{value:.2f}**" if value > LIMIT else f"{value:.2f}"


def chosen(only: Iterable[str]) -> list[Pair]:
    """The pairs of these operators; all without a name."""
    names = set(only)
    if unknown := names - set(OPERATORS):
        raise SystemExit(f"no such operator: {', '.join(sorted(unknown))}")
    order = list(OPERATORS)
    return sorted((p for p in PAIRS if not names or p.operator in names), key=lambda p: order.index(p.operator))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operators", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--only", nargs="*", default=[], metavar="OPERATOR", help="these, printed and not written")
    parser.add_argument("--update", action="store_true", help="and written in the place of what is there of them")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args(arguments)
    load, timings, failed = os.getloadavg()[0], [], False
    for pair in chosen(options.only):
        try:
            found = compared(pair, options.rows)
        except Unequal as problem:
            print(problem, flush=True)
            failed = True
            continue
        for t in found:
            print(
                f"{t.name:32} {t.part:6} {t.by_hand_s:9.4f} {t.headrace_s:9.4f} {t.ratio:7.2f} {t.cpu_ratio:7.2f}",
                flush=True,
            )
        timings += found
    machine = describe(Path(tempfile.gettempdir()))
    if options.update and not failed:
        paths = updated(options.out, machine, options.rows, timings)
    elif not options.only and not failed:
        paths = write(options.out, machine, options.rows, load, timings)
    else:
        paths = []
    for path in paths:
        print(path)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
