"""Small pictures of a column's values by split, drawn from the manifest's statistics as plain SVG.

By hand, since 200 of them take matplotlib a minute and this takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Final

from headrace.catalog.manifest import Column, Histogram, Scalar, Statistics
from headrace.catalog.pages.formats import number

WIDTH: Final = 240
HEIGHT: Final = 84
_BASE: Final = 68
_TOP: Final = 4
_BARS: Final = 8
_BINS: Final = 48
_COLOURS: Final = 6


def colour(index: int) -> str:
    """The CSS colour of the split with this number, the same in every picture."""
    return f"var(--split-{index % _COLOURS})"


def draw(column: Column, splits: tuple[str, ...]) -> str | None:
    """SVG of a column's values by split; None where the statistics have nothing to draw.

    Categories and columns of few values: bars, the shares of the first split's most frequent values. Others: the
    share of each split's rows in common bins; where tails take most of the range, a box a split instead.
    """
    known = {name: found for name in splits if (found := column.statistics.get(name)) is not None and found.count}
    histograms = {
        name: found.histogram for name, found in known.items() if found.histogram and sum(found.histogram.counts)
    }
    if not histograms or column.kind in ("categorical", "boolean", "mask") or _few(known):
        shapes = _bars(known, splits)
    elif _constant(histograms):
        text = escape(f"always {number(next(iter(histograms.values())).edges[0])}")
        shapes = f'<text x="{WIDTH / 2}" y="40" class="quiet" text-anchor="middle">{text}</text>'
    elif limits := _mostly_tails(known, histograms):
        shapes = _boxes(known, splits, *limits)
    else:
        shapes = _densities(known, histograms, splits, _moments(known) if column.kind == "temporal" else None)
    if shapes is None:
        return None
    said = "; ".join(f"{name} {_words(found, column.kind == 'categorical')}" for name, found in known.items())
    label = escape(f"Distribution of {column.name}: {said}", quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{shapes}'
        f'<path class="axis" d="M0 {_BASE}H{WIDTH}"/></svg>'
    )


def _few(known: Mapping[str, Statistics]) -> bool:
    """Few different values, all of them listed: a bar each says more than a density."""
    return all(
        found.top and found.distinct == len(found.top) and 1 < found.distinct <= _BARS for found in known.values()
    )


def _constant(histograms: Mapping[str, Histogram]) -> bool:
    return len({edge for histogram in histograms.values() for edge in (histogram.edges[0], histogram.edges[-1])}) == 1


def _words(found: Statistics, ids: bool) -> str:
    if found.mean is not None and found.std is not None and not ids:
        return f"mean {number(found.mean, 3)}, standard deviation {number(found.std, 3)}"
    if found.top:
        return f"most often {str(found.top[0].value)[:40]}"
    return f"{found.count:,} rows"


def _moments(known: Mapping[str, Statistics]) -> tuple[str, str] | None:
    """The first and the last day, where they are known as ISO 8601."""
    first = [found.min for found in known.values() if isinstance(found.min, str)]
    last = [found.max for found in known.values() if isinstance(found.max, str)]
    return (min(first)[:10], max(last)[:10]) if first and last else None


def _densities(
    known: Mapping[str, Statistics],
    histograms: Mapping[str, Histogram],
    splits: tuple[str, ...],
    ends: tuple[str, str] | None = None,
) -> str | None:
    """Outlines of the shares of the rows, in bins that all splits have in common.

    Each split's histogram has its own range: on one scale, a narrow one would be a needle beside which nothing shows.
    """
    low = min(histogram.edges[0] for histogram in histograms.values())
    high = max(histogram.edges[-1] for histogram in histograms.values())
    whole = all(b - a == 1 for h in histograms.values() for a, b in pairwise(h.edges)) and high - low <= 2 * _BINS
    alike = len({histogram.edges for histogram in histograms.values()}) == 1
    first = next(iter(histograms.values()))
    steps = 0 if whole else _steps(known, histograms, low, high)
    bins = int(high - low) if whole else steps or (len(first.counts) if alike else _BINS)
    shares = _by_step if steps else _shares
    lines = {name: shares(histogram, low, high, bins) for name, histogram in histograms.items()}
    peak = max(share for line in lines.values() for share in line)
    if peak <= 0:
        return None
    across, up = WIDTH / bins, (_BASE - _TOP) / peak
    drawn = []
    for index, name in enumerate(splits):
        if line := lines.get(name):
            path = f"M0 {_BASE}"
            for place, share in enumerate(line):
                path += f"V{_BASE - share * up:.1f}H{(place + 1) * across:.1f}"
            path += f"V{_BASE}"
            fill = f' style="fill:{colour(index)};fill-opacity:.16"' if index == 0 else ' fill="none"'
            drawn.append(f'<path d="{path}"{fill} stroke="{colour(index)}" class="line"/>')
    return "".join(drawn) + _ends(*(ends or (number(low, 3), number(high, 3))))


def _steps(known: Mapping[str, Statistics], histograms: Mapping[str, Histogram], low: float, high: float) -> int:
    """How many even steps from the lowest to the highest value hold a value each, such as 31 days; 0 if there are none.

    In other bins such values would be a comb: two of them in one bin, none in the next.
    """
    gaps = [
        (histogram.edges[-1] - histogram.edges[0]) / (distinct - 1)
        for name, histogram in histograms.items()
        if (distinct := known[name].distinct) is not None and distinct > 1
    ]
    if not gaps or min(gaps) <= (high - low) / _BINS:
        return 0
    last = round((high - low) / min(gaps))
    for name, histogram in histograms.items():
        held = [edges for edges, rows in zip(pairwise(histogram.edges), histogram.counts, strict=True) if rows]
        places = [((left + right) / 2 - low) / (high - low) * last for left, right in held]
        slack = (histogram.edges[1] - histogram.edges[0]) / (high - low) * last * 0.51  # a value is anywhere in its bin
        if len(held) != known[name].distinct or any(abs(place - round(place)) > slack for place in places):
            return 0
    return last + 1


def _shares(histogram: Histogram, low: float, high: float, bins: int) -> list[float]:
    """The histogram's shares of its rows in `bins` equal bins from `low` to `high`, spread evenly within its own."""
    total = sum(histogram.counts)
    shares = [0.0] * bins
    for left, right, rows in zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False):
        begin, end = ((edge - low) / (high - low) * bins for edge in (left, right))
        first, last = min(int(begin), bins - 1), min(int(end), bins - 1)
        for place in range(first, last + 1):
            part = (min(end, place + 1) - max(begin, place)) / (end - begin) if end > begin else 1.0
            shares[place] += rows / total * part
    return shares


def _by_step(histogram: Histogram, low: float, high: float, bins: int) -> list[float]:
    """The histogram's shares of its rows by the nearest of `bins` even steps from `low` to `high`."""
    total = sum(histogram.counts)
    shares = [0.0] * bins
    for (left, right), rows in zip(pairwise(histogram.edges), histogram.counts, strict=True):
        shares[round(((left + right) / 2 - low) / (high - low) * (bins - 1))] += rows / total
    return shares


def _mostly_tails(known: Mapping[str, Statistics], histograms: Mapping[str, Histogram]) -> tuple[float, float] | None:
    """The outermost quantiles 5 % and 95 %, if what lies between them is less than an eighth of the range."""
    low = min(histogram.edges[0] for histogram in histograms.values())
    high = max(histogram.edges[-1] for histogram in histograms.values())
    inner = [points for found in known.values() if (points := _box(found))]
    if not inner:
        return None
    first, last = min(points[0] for points in inner), max(points[-1] for points in inner)
    return (first, last) if 0 < last - first < (high - low) / 8 else None


def _box(found: Statistics) -> tuple[float, ...]:
    """The quantiles 5, 25, 50, 75 and 95 %; empty if they are not all known as numbers."""
    points = [found.quantiles.get(key) for key in ("0.05", "0.25", "0.5", "0.75", "0.95")]
    numbers = tuple(float(point) for point in points if isinstance(point, int | float))
    return numbers if len(numbers) == len(points) else ()


def _boxes(known: Mapping[str, Statistics], splits: tuple[str, ...], low: float, high: float) -> str:
    rows = [(splits.index(name), points) for name, found in known.items() if (points := _box(found))]
    step = (_BASE - _TOP) / len(rows)
    half = min(6.0, step * 0.32)
    drawn = []
    for place, (index, points) in enumerate(rows):
        middle = _TOP + step * (place + 0.5)
        median = "median" if points[3] - points[1] > (high - low) / 30 else "axis"
        p5, p25, p50, p75, p95 = ((point - low) / (high - low) * (WIDTH - 2) + 1 for point in points)
        drawn.append(
            f'<path d="M{p5:.1f} {middle:.1f}H{p95:.1f}" stroke="{colour(index)}" class="line"/>'
            f'<rect x="{p25:.1f}" y="{middle - half:.1f}" width="{max(p75 - p25, 3):.1f}" height="{2 * half:.1f}" '
            f'fill="{colour(index)}"/>'
            f'<path d="M{p50:.1f} {middle - half - 1:.1f}v{2 * half + 2:.1f}" class="{median}"/>'
        )
    return "".join(drawn) + _ends(f"5 %: {number(low, 3)}", f"95 %: {number(high, 3)}")


def _ends(left: str, right: str) -> str:
    """What the axis begins and ends with."""
    return (
        f'<text x="0" y="{HEIGHT - 3}" class="quiet">{escape(left)}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 3}" class="quiet" text-anchor="end">{escape(right)}</text>'
    )


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
    indent = (WIDTH - slot * len(values)) / 2
    width = slot * 0.76 / max(1, len(shares))
    drawn = []
    for place, value in enumerate(values):
        left = indent + place * slot + slot * 0.12
        for position, name in enumerate(name for name in splits if name in shares):
            height = shares[name].get(value, 0) / peak * (_BASE - _TOP)
            drawn.append(
                f'<rect x="{left + position * width:.1f}" y="{_BASE - height:.1f}" width="{max(width - 0.6, 0.4):.1f}" '
                f'height="{height:.1f}" fill="{colour(splits.index(name))}"/>'
            )
        text = _value(value, values)
        room = max(2, int(slot / 6.2))
        short = text if len(text) <= room else text[: room - 1] + "…"
        middle = f'x="{left + slot * 0.38:.1f}" y="{HEIGHT - 3}"'
        drawn.append(f'<text {middle} class="quiet tick" text-anchor="middle">{escape(short)}</text>')
    return "".join(drawn)


def _value(value: Scalar | None, others: Sequence[Scalar | None]) -> str:
    if not isinstance(value, int | float):
        return "null" if value is None else value
    if isinstance(value, int):
        return str(value).replace("-", "\N{MINUS SIGN}")
    largest = max(abs(other) for other in others if isinstance(other, int | float))
    # What is left of a sum that should be 0, such as the sine of a whole turn, is 0 to a reader.
    return number(0.0 if abs(value) < 1e-9 * largest else value, 2)
