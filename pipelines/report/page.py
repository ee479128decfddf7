"""From facts to the page: what each section of the template shows, how much of it, and in which words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from headrace.catalog.drift import ColumnDrift
from headrace.catalog.manifest import Column
from headrace.catalog.pages import formats
from headrace.catalog.pages.distributions import colour, draw
from headrace.catalog.pages.templates import templates
from headrace.pipelines.metrics import METRICS
from headrace.pipelines.report.curves import label_chart, panels
from headrace.pipelines.report.facts import BaselineFact, Facts
from headrace.schemas.amounts import counted, word

DISTRIBUTIONS: Final = 200
COLUMNS: Final = 1000
LISTED: Final = 50
CURVES: Final = 8
"""Most pictures, table rows, list entries and baselines with curves that a page shows."""

_LOWER_IS_BETTER: Final = frozenset({"log_loss", "brier", "calibration_error", "rmse", "mae"})
_NOT_A_SCORE: Final = frozenset({"rows", "base_rate", "target_mean", "calibration_error"})
"""A dummy is calibrated by nature: to be best at that says nothing."""


def render(facts: Facts) -> str:
    """The page as one HTML document that fetches nothing and runs no script. Everything from the data is escaped."""
    environment = templates(Path(__file__).parent)
    splits = tuple(split.name for split in facts.splits)
    shown = [column for role in ("label", "feature") for column in facts.columns if column.role == role][:DISTRIBUTIONS]
    label = next((column for column in facts.columns if column.role == "label"), None)
    chart = label_chart(facts.label_over_time, splits, label.name if label else "the label")
    return environment.get_template("report.html.j2").render(
        facts=facts,
        splits=splits,
        target=label.name if label else "",
        features=sum(column.role == "feature" for column in facts.columns),
        flow=_flow(facts),
        key_figures=_key_figures(facts),
        reasons=_reasons(facts),
        drift=_drift(facts),
        distributions=[(column, Markup(svg) if (svg := draw(column, splits)) else None) for column in shown],
        all_distributions=sum(column.role in ("label", "feature") for column in facts.columns),
        label_chart=Markup(chart) if chart else None,
        baselines=[_baseline(baseline, splits) for baseline in facts.baselines],
        best=_best(facts.baselines, splits),
        curves=[
            (baseline.result.name, [(title, Markup(svg)) for title, svg in panels(baseline, splits)])
            for baseline in facts.baselines
            if baseline.result.estimator != "dummy"
        ][:CURVES],
        metric_names=_metric_names(facts),
        stages=_stages(facts.seconds),
        columns=[(column, _numbers(column, splits)) for column in facts.columns[:COLUMNS]],
        listed=LISTED,
    )


def _flow(facts: Facts) -> list[dict[str, Any]]:
    """Bars of a waterfall: rows read, what was taken off, and where the rest went. Places in per cent of the read."""
    quality = facts.quality
    published = sum(split.rows for split in facts.splits)
    whole = max(quality.rows_in if quality else published, published, 1)
    bars: list[dict[str, Any]] = []

    def bar(name: str, rows: int, end: int, paint: str) -> None:
        left = 100 * (end - rows) / whole
        share = formats.percent(rows, whole)
        bars.append(
            {"name": name, "rows": rows, "left": left, "width": 100 * rows / whole, "colour": paint, "share": share}
        )

    if quality:
        bar("read", quality.rows_in, quality.rows_in, "var(--faint)")
        bar("quarantined", quality.quarantined, quality.rows_in, "var(--bad)")
        bar("filtered", quality.filtered, quality.rows_in - quality.quarantined, "var(--filtered)")
    start = 0
    for index, split in enumerate(facts.splits):
        start += split.rows
        bar(split.name, split.rows, start, colour(index))
    return bars


def _key_figures(facts: Facts) -> list[tuple[str, str, str]]:
    """Figure, what it is, and a remark."""
    published = sum(split.rows for split in facts.splits)
    features = sum(column.role == "feature" for column in facts.columns)
    figures = [
        (formats.count(published), f"{word(published, 'row')} published", f"in {counted(len(facts.splits), 'split')}"),
        (formats.count(features), word(features, "feature"), f"of {counted(len(facts.columns), 'column')}"),
    ]
    if facts.quality:
        bad = facts.quality.quarantined
        share = formats.percent(bad, facts.quality.rows_in)
        figures.append((formats.count(bad), f"{word(bad, 'row')} quarantined", f"{share} of the rows read"))
    if top := _top(facts):
        figures.append(top)
    if facts.seconds:
        rate = f"{published / max(sum(facts.seconds.values()), 1e-9):,.0f} rows/s published"
        figures.append((formats.seconds(sum(facts.seconds.values())), "until this report", rate))
    return figures


def _top(facts: Facts) -> tuple[str, str, str] | None:
    """The best baseline by the leading metric on the last split, and the dummy's value."""
    if not facts.baselines or not facts.splits:
        return None
    last = facts.splits[-1].name
    key = METRICS[facts.baselines[0].result.task][0]
    scored = {
        b.result.name: (value, b.result.estimator)
        for b in facts.baselines
        if (value := b.result.metrics.get(last, {}).get(key)) is not None
    }
    if not scored:
        return None
    pick = min if key in _LOWER_IS_BETTER else max
    best = pick(scored, key=lambda label: scored[label][0])
    dummy = next((value for value, estimator in scored.values() if estimator == "dummy"), None)
    remark = f"{best}; dummy {formats.metric(key, dummy)}" if dummy is not None else best
    return formats.metric(key, scored[best][0]), f"{formats.metric_name(key)} on {last}", remark


def _reasons(facts: Facts) -> list[tuple[str, int, float]]:
    """Reason, rows, and length of its bar in per cent; the most frequent first."""
    reasons = facts.quality.reasons if facts.quality else {}
    most = max(reasons.values(), default=0)
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return [(reason, rows, 100 * rows / most if most else 0) for reason, rows in ordered[:LISTED]]


def _metric_names(facts: Facts) -> dict[str, str]:
    """Keys and names of the metrics that are in the results, the known ones first."""
    found = {key for b in facts.baselines for values in b.result.metrics.values() for key in values}
    known = dict.fromkeys(key for b in facts.baselines for key in METRICS[b.result.task] if key in found)
    return {key: formats.metric_name(key) for key in (*known, *sorted(found - set(known)))}


def _baseline(baseline: BaselineFact, splits: Sequence[str]) -> dict[str, Any]:
    result = baseline.result
    names = [name for name in splits if name in result.metrics]
    given = ", ".join(f"{key} {formats.number(value, 3)}" for key, value in result.parameters.items())
    return {"result": result, "splits": names, "parameters": given}


def _best(baselines: Sequence[BaselineFact], splits: Sequence[str]) -> set[tuple[str, str, str]]:
    """Baseline, split, metric of every best value, where there is more than one baseline to compare."""
    best: set[tuple[str, str, str]] = set()
    for split in splits:
        keys = {key for b in baselines for key in b.result.metrics.get(split, {})} - _NOT_A_SCORE
        for key in keys:
            values = {
                b.result.name: value
                for b in baselines
                if (value := b.result.metrics.get(split, {}).get(key)) is not None
            }
            if len(values) > 1:
                pick = min if key in _LOWER_IS_BETTER else max
                winner = pick(values, key=lambda name: values[name])
                best.add((winner, split, key))
    return best


def _drift(facts: Facts) -> list[tuple[str, list[ColumnDrift]]]:
    """The columns that have moved from the first split in any other, each with its drift by split; most first."""
    moved: dict[str, list[ColumnDrift]] = {}
    for found in facts.drift:
        for column in found.columns:
            moved.setdefault(column.name, []).append(column)
    rows = [(name, some) for name, some in moved.items() if any(c.verdict in ("moderate", "major") for c in some)]
    return sorted(rows, key=lambda row: -max(column.psi or 0.0 for column in row[1]))


def _stages(seconds: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Stage, seconds, and length of its bar in per cent."""
    most = max(seconds.values(), default=0)
    return [(stage, value, 100 * value / most if most else 0) for stage, value in seconds.items()]


def _numbers(column: Column, splits: Sequence[str]) -> dict[str, Any]:
    """What the table of columns says: statistics of the first split that has any, nulls of all, and the shift."""
    known = [(name, found) for name in splits if (found := column.statistics.get(name)) is not None]
    if not known:
        return {}
    first = known[0][1]
    ids = column.kind == "categorical"  # the mean of ids says nothing
    shift: tuple[float, str] | None = None
    if first.mean is not None and first.std and not ids:
        moved = [
            (abs(found.mean - first.mean) / first.std, name) for name, found in known[1:] if found.mean is not None
        ]
        shift = max(moved, default=None)
    rows = sum(found.count for _, found in known)
    nulls = sum(found.nulls for _, found in known)
    return {
        "nulls": "0" if not nulls else formats.percent(nulls, rows),
        "distinct": ("≈ " if first.distinct_error else "") + formats.count(first.distinct),
        "min": formats.end(first.min, column.kind),
        "mean": formats.number(None if ids else formats.mean(first)),
        "std": "" if ids or first.std is None else formats.number(first.std),
        "max": formats.end(first.max, column.kind),
        "shift": f"{shift[0]:.2f}" if shift else formats.ABSENT,
        "shift_in": shift[1] if shift else "",
        "shifted": shift is not None and shift[0] >= 0.25,
    }
