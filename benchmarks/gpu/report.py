"""A comparison's result as JSON, as a Markdown table and as a plot (SVG and PNG)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.gpu.model import FLOOR, Case, Result

_NAME: Final = "gpu_ctr"
_FLOOR_COLOUR: Final = "#b4502d"


def write(folder: Path, result: Result) -> list[Path]:
    """Write gpu_ctr.json, .md, .svg and .png to `folder`, replacing what is there."""
    paths = [save(folder, result), *(folder / f"{_NAME}.{kind}" for kind in ("md", "svg", "png"))]
    paths[1].write_text(table(result), encoding="utf-8")
    plot(paths[2:], [case for case in result.cases if case.runs])
    return paths


def save(folder: Path, result: Result) -> Path:
    """Write the JSON alone; in one step, so that a comparison that is cut off leaves a whole file."""
    folder.mkdir(parents=True, exist_ok=True)
    path, unfinished = folder / f"{_NAME}.json", folder / f".{_NAME}.json"
    unfinished.write_text(result.complete().model_dump_json(indent=2) + "\n", encoding="utf-8")
    return unfinished.replace(path)


def read(path: Path) -> Result:
    """A result that was written before; raises pydantic's ValidationError for anything else."""
    return Result.model_validate_json(path.read_text(encoding="utf-8"))


def table(result: Result) -> str:
    """The Markdown tables, a size each, with the machine above them."""
    lines = [machine_line(result), "", _EXPLANATION]
    for case in result.cases:
        lines += ["", f"## {case.rows:,} rows, {case.input_mb:,.0f} MB of {case.compression} Parquet", ""]
        if case.runs:
            lines += [_HEAD, "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|"]
            lines += [_row(case, side) for side in case.runs]
        lines += [f"\nStages of {side}: {_stages(case, side)}." for side in case.runs]
        lines += [f"\nFailed: {side}: {_words(reason)}" for side, reason in case.failed.items()]
        lines += [f"\nLeft out: {side}: {_words(reason)}." for side, reason in case.left_out.items()]
    return "\n".join(lines) + "\n"


def machine_line(result: Result) -> str:
    """What it ran on, and when, in one line."""
    machine = result.machine
    gpus = machine.get("gpus")
    names = [f"{gpu['name']} {gpu['memory_gb']} GB" for gpu in gpus] if isinstance(gpus, list) else []
    driver = f"driver {machine['driver']}, CUDA {machine['cuda_of_driver']}" if names else "no GPU"
    return (
        f"{', '.join([*names, driver])}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB; {machine['system']}; {result.created_at}."
    )


_EXPLANATION: Final = (
    "Medians of whole processes that took turns. *Work* is the processes' own stages: start-up (imports, a CUDA "
    "context, a cluster) is apart. *Of the floor*: the time that cuDF alone needs to decode the input and encode the "
    "features, once each, as a share of the work; in brackets with the input decoded twice. GPU memory: what was "
    "allocated from RMM, and what NVML saw, pools whole."
)
_HEAD: Final = (
    "| side | seconds | work s | Mrow/s | input GB/s | of the floor | RMM peak MB | NVML peak MB | host peak MB "
    "| same result |"
)


def _row(case: Case, side: str) -> str:
    runs, found = case.runs[side], case.summary(side)
    share = "" if found.of_floor is None else f"{found.of_floor:.0%} ({found.of_two_pass_floor:.0%})"
    rmm = _most([run.rmm_peak_mb for run in runs])
    nvml = _most([run.gpu_processes_mb if run.gpu_processes_mb is not None else run.gpu_device_mb for run in runs])
    return (
        f"| {side} | {found.wall_s:.1f} | {found.work_s:.1f} | {found.mrows_per_s:.2f} | {found.input_gb_per_s:.2f} "
        f"| {'' if side == FLOOR else share} | {rmm} | {nvml} | {_most([run.host_tree_mb for run in runs])} "
        f"| {case.checks.get(side, '')} |"
    )


def _stages(case: Case, side: str) -> str:
    last = case.runs[side][-1].stages
    return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in last.items()) or "not told"


def _most(values: list[float | None]) -> str:
    seen = [value for value in values if value is not None]
    return f"{max(seen):,.0f}" if seen else ""


def _words(text: str) -> str:
    return " ".join(text.split())[:400]


def plot(paths: list[Path], cases: list[Case]) -> None:
    """Millions of rows per second of work: every run a dot, the median a bar, the floor a line; a panel a size."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    if not cases:
        return
    with mpl.rc_context({"svg.hashsalt": "headrace", "svg.fonttype": "none"}):  # the same bytes for the same figures
        bars = sum(len(case.runs) for case in cases)
        figure = Figure(figsize=(9, 0.6 + 0.9 * len(cases) + 0.36 * bars), layout="constrained")
        ratios = [1 + len(case.runs) for case in cases]
        panels = figure.subplots(len(cases), squeeze=False, height_ratios=ratios)[:, 0]
        for axes, case in zip(panels, cases, strict=True):
            sides = [side for side in case.runs if side != FLOOR]
            rates = [case.summary(side).mrows_per_s for side in sides]
            colours = ["#8fb8de" if "headrace" in side else "#c9ced6" for side in sides]
            axes.barh(sides, rates, color=colours, height=0.6)
            for position, side in enumerate(sides):
                dots = [case.rows / run.work_s / 1e6 for run in case.runs[side]]
                axes.plot(dots, [position] * len(dots), "o", color="#1f3b57", markersize=4)
                axes.annotate(f"{rates[position]:.2f}", (rates[position], position), (6, 8), textcoords="offset points")
            if FLOOR in case.runs:
                floor = case.summary(FLOOR).mrows_per_s
                axes.axvline(floor, color=_FLOOR_COLOUR, linestyle="--", linewidth=1)
                words = f"dashed: {FLOOR}, {floor:.2f}"
                axes.set_title(words, loc="right", fontsize="small", color=_FLOOR_COLOUR)
            axes.invert_yaxis()
            axes.margins(x=0.14)
            axes.set_title(f"{case.rows:,} rows", loc="left")
            axes.set_xlabel("million rows per second of work")
            axes.spines[["top", "right"]].set_visible(False)
        for path in paths:
            metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
            figure.savefig(path, format=path.suffix[1:], metadata=metadata, dpi=120)
