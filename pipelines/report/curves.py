"""The larger pictures, by matplotlib: ROC, precision-recall, calibration, and the label over time, as inline SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from html import escape
from typing import Any, Final

from headrace.catalog.pages.distributions import colour
from headrace.pipelines.metrics import Calibration, Curve
from headrace.pipelines.report.facts import BaselineFact, LabelFact

# Stand-ins that no palette has; the page's stylesheet decides what they look like, in light and dark.
_INK: Final = "#010203"
_FAINT: Final = "#010204"
_SPLITS: Final = tuple(f"#01020{digit}" for digit in "56789a")
_PERIODS: Final = 400


def panels(baseline: BaselineFact, splits: tuple[str, ...]) -> list[tuple[str, str]]:
    """Title and SVG of each curve that a baseline has, a line a split."""
    drawn = []
    curves = {name: baseline.curves[name] for name in splits if name in baseline.curves}
    roc = {name: curve.roc for name, curve in curves.items() if curve.roc}
    if roc:
        drawn.append(("ROC", _unit_square(roc, splits, "false positive rate", "true positive rate", (0, 1), baseline)))
    recall = {name: curve.precision_recall for name, curve in curves.items() if curve.precision_recall}
    if recall:
        rates = [baseline.result.metrics.get(name, {}).get("base_rate") for name in recall]
        level = rates[-1]
        line = (level, level) if level is not None else None
        drawn.append(("Precision and recall", _unit_square(recall, splits, "recall", "precision", line, baseline)))
    calibration = {name: curve.calibration for name, curve in curves.items() if curve.calibration}
    if calibration:
        drawn.append(("Calibration", _calibration(calibration, splits, baseline)))
    return drawn


def label_chart(points: Sequence[LabelFact], splits: tuple[str, ...], label: str) -> str | None:
    """Mean label by period, a line a split; None where there are fewer than two periods."""
    periods = sorted({point.period for point in points})
    if len(periods) < 2:
        return None
    stride = -(-len(periods) // _PERIODS)
    kept = set(periods[::stride])
    places = _places(periods)
    with _figure(7.4, 2.5) as (figure, axes):
        for index, split in enumerate(splits):
            line = [p for p in points if p.split == split and p.period in kept and p.rate is not None]
            axes.plot(
                [places[p.period] for p in line],
                [p.rate for p in line],
                color=_SPLITS[index % len(_SPLITS)],
                linewidth=1.6,
                marker="o",
                markersize=2.6 if len(line) < 80 else 0,
            )
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.set_ylabel(f"mean of {_shortened(label)}", parse_math=False)
        if isinstance(places[periods[0]], datetime):
            from matplotlib import dates

            library: Any = dates  # has no types
            locator = library.AutoDateLocator(maxticks=9)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(library.ConciseDateFormatter(locator))
        return _svg(figure, f"Mean of {label} over time, {periods[0][:10]} to {periods[-1][:10]}, by split")


def _unit_square(
    curves: Mapping[str, Curve],
    splits: tuple[str, ...],
    x: str,
    y: str,
    reference: tuple[float, float] | None,
    baseline: BaselineFact,
) -> str:
    with _figure(3.1, 2.9) as (figure, axes):
        if reference is not None:
            axes.plot((0, 1), reference, color=_FAINT, linewidth=1, linestyle=(0, (4, 3)))
        for name, curve in curves.items():
            axes.plot(curve.x, curve.y, color=_SPLITS[splits.index(name) % len(_SPLITS)], linewidth=1.6)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y)
        return _svg(figure, f"{y} against {x} of {baseline.result.name}, by split")


def _calibration(curves: Mapping[str, Calibration], splits: tuple[str, ...], baseline: BaselineFact) -> str:
    values = [v for curve in curves.values() for v in (*curve.predicted, *curve.observed)]
    low, high = min(values), max(values)
    pad = (high - low) * 0.05 or 0.05
    with _figure(3.1, 2.9) as (figure, axes):
        axes.plot((low - pad, high + pad), (low - pad, high + pad), color=_FAINT, linewidth=1, linestyle=(0, (4, 3)))
        for name, curve in curves.items():
            axes.plot(
                curve.predicted,
                curve.observed,
                color=_SPLITS[splits.index(name) % len(_SPLITS)],
                linewidth=1.4,
                marker="o",
                markersize=3.2,
            )
        axes.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad), xlabel="predicted", ylabel="observed")
        return _svg(
            figure, f"Observed against predicted mean of {baseline.result.name} in bins of equal size, by split"
        )


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Any, Any]]:
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",  # text stays text: it takes the page's typeface, and can be found and read out
        "svg.hashsalt": "headrace",
        "font.size": 9,
        "axes.edgecolor": _FAINT,
        "axes.labelcolor": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.unicode_minus": True,
        "xtick.color": _FAINT,
        "ytick.color": _FAINT,
        "xtick.labelcolor": _INK,
        "ytick.labelcolor": _INK,
    }
    with matplotlib.rc_context(style):
        # Not pyplot: it keeps figures in a global list and picks a window system.
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def _svg(figure: Any, said: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'(<svg [^>]*?)\swidth="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?)\sheight="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"\s+xmlns(:xlink)?=\"[^\"]*\"", "", text).replace("xlink:href", "href")
    text = text.replace(_INK, "var(--ink)").replace(_FAINT, "var(--faint)")
    for index, stand_in in enumerate(_SPLITS):
        text = text.replace(stand_in, colour(index))
    label = escape(said, quote=True)
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _places(periods: Sequence[str]) -> dict[str, datetime] | dict[str, int]:
    """The periods as times; their places in the order if they are not all dates."""
    try:
        return {period: datetime.fromisoformat(period) for period in periods}
    except ValueError:
        return {period: place for place, period in enumerate(periods)}


def _shortened(name: str) -> str:
    return name if len(name) <= 28 else name[:27] + "…"
