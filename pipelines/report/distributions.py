"""Small pictures of a column's values by split, drawn from the manifest's statistics as plain SVG.

By hand, since 200 of them take matplotlib a minute and this takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final

from headrace.catalog.manifest import Column, Histogram, Statistics
from headrace.pipelines.report.formats import number

WIDTH: Final = 240
HEIGHT: Final = 84
_BASE: Final = 68
_TOP: Final = 4
_BARS: Final = 8
_COLOURS: Final = 6


def colour(index: int) -> str:
    """The CSS colour of the split with this number, the same in every picture."""
    return f"var(--split-{index % _COLOURS})"


def draw(column: Column, splits: tuple[str, ...]) -> str | None:
    """SVG of a column's values by split; None where the statistics have nothing to draw.

    Categories, and columns without a histogram: bars of the first split's most frequent values. Others: the density
    of each split's histogram, on one scale; where the range is mostly tails, between the quantiles 1 % and 99 %.
    """
    known = {name: found for name in splits if (found := column.statistics.get(name)) is not None and found.count}
    histograms = {
        name: found.histogram for name, found in known.items() if found.histogram and sum(found.histogram.counts)
    }
    if histograms and column.kind not in ("categorical", "boolean", "mask"):
        shapes = _densities(known, histograms, splits)
    else:
        shapes = _bars(known, splits)
    if shapes is None:
        return None
    said = "; ".join(f"{name} {_words(found)}" for name, found in known.items())
    label = escape(f"Distribution of {column.name}: {said}", quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{shapes}'
        f'<path class="axis" d="M0 {_BASE}H{WIDTH}"/></svg>'
    )


def _words(found: Statistics) -> str:
    if found.mean is not None and found.std is not None:
        return f"mean {number(found.mean, 3)}, standard deviation {number(found.std, 3)}"
    if found.top:
        return f"most often {str(found.top[0].value)[:40]}"
    return f"{found.count:,} rows"


def _densities(
    known: Mapping[str, Statistics], histograms: Mapping[str, Histogram], splits: tuple[str, ...]
) -> str | None:
    low = min(histogram.edges[0] for histogram in histograms.values())
    high = max(histogram.edges[-1] for histogram in histograms.values())
    if low == high:
        text = escape(f"always {number(low)}")
        return f'<text x="{WIDTH / 2}" y="40" class="quiet" text-anchor="middle">{text}</text>'
    low, high, cut = _without_tails(known, low, high)
    lines: dict[str, list[tuple[float, float, float]]] = {}
    for name, histogram in histograms.items():
        total = sum(histogram.counts)
        lines[name] = [
            (max(left, low), min(right, high), bin_count / total / (right - left))
            for left, right, bin_count in zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False)
            if right > left and right > low and left < high
        ]
    peak = max((density for line in lines.values() for _, _, density in line), default=0.0)
    if peak <= 0:
        return None
    across, up = WIDTH / (high - low), (_BASE - _TOP) / peak
    drawn = []
    for index, name in enumerate(splits):
        if line := lines.get(name):
            path = f"M{(line[0][0] - low) * across:.1f} {_BASE}"
            for _, right, density in line:
                path += f"V{_BASE - density * up:.1f}H{(right - low) * across:.1f}"
            path += f"V{_BASE}"
            fill = f' style="fill:{colour(index)};fill-opacity:.16"' if index == 0 else ' fill="none"'
            drawn.append(f'<path d="{path}"{fill} stroke="{colour(index)}" class="line"/>')
    ends = (("start", 0, low, "1 %: " if cut else ""), ("end", WIDTH, high, "99 %: " if cut else ""))
    drawn += [
        f'<text x="{x}" y="{HEIGHT - 3}" class="quiet" text-anchor="{anchor}">{prefix}{escape(number(value, 3))}</text>'
        for anchor, x, value, prefix in ends
    ]
    return "".join(drawn)


def _without_tails(known: Mapping[str, Statistics], low: float, high: float) -> tuple[float, float, bool]:
    ends = [
        (first, last)
        for found in known.values()
        if isinstance(first := found.quantiles.get("0.01"), int | float)
        and isinstance(last := found.quantiles.get("0.99"), int | float)
    ]
    if ends:
        first, last = min(e[0] for e in ends), max(e[1] for e in ends)
        if 0 < last - first < (high - low) / 3:
            return float(first), float(last), True
    return low, high, False


def _bars(known: Mapping[str, Statistics], splits: tuple[str, ...]) -> str | None:
    first = next((found for name in splits if (found := known.get(name)) is not None and found.top), None)
    if first is None:
        return None
    values = [top.value for top in first.top[:_BARS]]
    if len(values) == first.distinct:
        values.sort(key=lambda value: (isinstance(value, str), value is None, value if value is not None else 0))
    shares = {
        name: {top.value: top.count / found.count for top in found.top} for name, found in known.items() if found.count
    }
    peak = max(share.get(value, 0) for share in shares.values() for value in values)
    if peak <= 0:
        return None
    slot = WIDTH / max(len(values), 4)
    width = slot * 0.76 / max(1, len(shares))
    drawn = []
    for place, value in enumerate(values):
        left = place * slot + slot * 0.12
        for position, name in enumerate(name for name in splits if name in shares):
            height = shares[name].get(value, 0) / peak * (_BASE - _TOP)
            drawn.append(
                f'<rect x="{left + position * width:.1f}" y="{_BASE - height:.1f}" width="{max(width - 0.6, 0.4):.1f}" '
                f'height="{height:.1f}" fill="{colour(splits.index(name))}"/>'
            )
        text = number(value, 3) if isinstance(value, int | float) else "null" if value is None else value
        room = max(2, int(slot / 5.5))
        short = text if len(text) <= room else text[: room - 1] + "…"
        middle = f'x="{left + slot * 0.38:.1f}" y="{HEIGHT - 3}"'
        drawn.append(f'<text {middle} class="quiet" text-anchor="middle">{escape(short)}</text>')
    return "".join(drawn)
