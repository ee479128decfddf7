"""A comparison's results as JSON, as a Markdown table and as a plot."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.measure import Measurement

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Case:
    """All sides at one size.

    Attributes
    ----------
    rows, input_mb
        The size, and its Parquet files' bytes in units of 1e6.
    runs
        Measurements by side, one a round.
    checks
        What the cross-check said of each side against the reference: "equal", or what differs.
    left_out
        Sides that were not measured, and why.
    """

    rows: int
    input_mb: float
    runs: Mapping[str, Sequence[Measurement]]
    checks: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def write(folder: Path, name: str, machine: Mapping[str, object], cases: Sequence[Case], reference: str) -> list[Path]:
    """Write `name`.json, `name`.md and `name`.svg to `folder`; figures in the table are medians over the rounds."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "reference": reference,
        "machine": machine,
        "cases": [
            asdict(case) | {"medians": {side: _medians(runs) for side, runs in case.runs.items()}} for case in cases
        ],
    }
    paths = [folder / f"{name}.{kind}" for kind in ("json", "md", "svg")]
    paths[0].write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    paths[1].write_text(table(machine, cases, reference), encoding="utf-8")
    plot(paths[2], cases)
    return paths


def table(machine: Mapping[str, object], cases: Sequence[Case], reference: str) -> str:
    """The Markdown table, with each side's time as a multiple of the reference's."""
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['system']}.",
        "Medians of whole processes that took turns; smallest and largest time in brackets.",
    ]
    for case in cases:
        lines += [
            "",
            f"## {case.rows:,} rows, {case.input_mb:,.0f} MB",
            "",
            f"| side | seconds | x {reference} | CPU s | peak MB | peak MB, all processes "
            "| read MB | load | same result |",
            "|---|--:|--:|--:|--:|--:|--:|--:|---|",
        ]
        base = _medians(case.runs[reference])["wall_s"] if case.runs.get(reference) else None
        for side, runs in case.runs.items():
            middle = _medians(runs)
            walls = [run.wall_s for run in runs]
            ratio = f"{middle['wall_s'] / base:.2f}" if base else ""
            lines.append(
                f"| {side} | {middle['wall_s']:.1f} ({min(walls):.1f}-{max(walls):.1f}) | {ratio} "
                f"| {middle['user_s'] + middle['system_s']:.1f} | {middle['peak_process_mb']:,.0f} "
                f"| {middle['peak_tree_mb']:,.0f} | {middle['read_mb']:,.0f} | {middle['load']:.1f} "
                f"| {case.checks.get(side, '')} |"
            )
        lines += [f"\nNot measured: {side}: {reason}." for side, reason in case.left_out.items()]
    return "\n".join(lines) + "\n"


def plot(path: Path, cases: Sequence[Case]) -> None:
    """Seconds of every run as dots and their median as a bar, a panel a size."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "headrace", "svg.fonttype": "none"}):  # the same bytes for the same figures
        sides = max(len(case.runs) for case in cases)
        figure = Figure(figsize=(8, 0.6 + len(cases) * (0.7 + 0.4 * sides)), layout="constrained")
        for axes, case in zip(figure.subplots(len(cases), squeeze=False)[:, 0], cases, strict=True):
            names = list(case.runs)
            medians = [_medians(case.runs[name])["wall_s"] for name in names]
            axes.barh(names, medians, color="#8fb8de", height=0.6)
            for position, name in enumerate(names):
                axes.plot(
                    [run.wall_s for run in case.runs[name]], [position] * len(case.runs[name]), "o", color="#1f3b57"
                )
                axes.annotate(
                    f"{medians[position]:.1f} s", (medians[position], position), (6, 9), textcoords="offset points"
                )
            axes.invert_yaxis()
            axes.margins(x=0.12)
            axes.set_title(f"{case.rows:,} rows", loc="left")
            axes.set_xlabel("seconds")
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _medians(runs: Sequence[Measurement]) -> dict[str, float]:
    values = [asdict(run) for run in runs]
    return {name: round(statistics.median(value[name] for value in values), 3) for name in values[0]}
