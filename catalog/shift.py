"""How far one distribution is from another: measures over counts in bins that both have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import polars as pl

LEAST: Final = 0.0001
"""The share that an empty bin counts as: PSI would be infinite otherwise."""

DECILES: Final = tuple(i / 10 for i in range(1, 10))
TOP: Final = 20
"""Most values that have a bin of their own; columns of no more values have one for each."""


def psi(first: Sequence[float], second: Sequence[float]) -> float:
    """Population stability index of shares: sum of (q - p) ln(q / p), a share below 0.0001 taken as that.

    Symmetric, 0 for equal shares. It is Jeffreys' divergence (Jeffreys 1946), used on scorecards under this name
    (Lewis 1994; Siddiqi 2006).

    >>> round(psi([0.5, 0.5], [0.25, 0.75]), 4)
    0.2747
    """
    floored = [(max(p, LEAST), max(q, LEAST)) for p, q in zip(first, second, strict=True)]
    return math.fsum((q - p) * math.log(q / p) for p, q in floored)


def psi_by_chance(bins: int, first_rows: float, second_rows: float) -> float:
    """The PSI that two samples of one distribution stay below in 95 of 100 cases.

    PSI / (1/n + 1/m) is about chi-squared with bins - 1 degrees of freedom (Yurdakul 2018), whose quantile is taken
    by Wilson and Hilferty's rule (1931).

    >>> round(psi_by_chance(10, 1000, 1000), 4)
    0.0338
    """
    if bins < 2 or not first_rows or not second_rows:
        return 0.0
    degrees = bins - 1
    quantile = degrees * (1 - 2 / (9 * degrees) + 1.6448536 * math.sqrt(2 / (9 * degrees))) ** 3
    return quantile * (1 / first_rows + 1 / second_rows)


def jensen_shannon(first: Sequence[float], second: Sequence[float]) -> float:
    """Jensen-Shannon divergence of shares in bits (Lin 1991): 0 for equal shares, 1 where no bin is in both.

    >>> jensen_shannon([1.0, 0.0], [0.0, 1.0])
    1.0
    """
    middle = [(p + q) / 2 for p, q in zip(first, second, strict=True)]
    to_middle = [
        math.fsum(p * math.log2(p / m) for p, m in zip(shares, middle, strict=True) if p) for shares in (first, second)
    ]
    return min(1.0, max(0.0, sum(to_middle) / 2))


def kolmogorov_smirnov(first: pl.DataFrame, second: pl.DataFrame) -> float | None:
    """The largest distance of the two cumulative distributions; of (value, count) by value. None if one is empty.

    >>> a, b = (pl.DataFrame({"value": v, "count": [1, 1]}) for v in ([1, 2], [2, 3]))
    >>> kolmogorov_smirnov(a, b)
    0.5
    """
    rows = int(first["count"].sum()), int(second["count"].sum())
    if not all(rows):
        return None
    both = [first.rename({"count": "first"}), second.rename({"count": "second"})]
    steps = pl.concat(both, how="diagonal_relaxed").group_by("value").agg(pl.col("first", "second").sum()).sort("value")
    one, other = (pl.col(side).cum_sum() / count for side, count in zip(("first", "second"), rows, strict=True))
    return float(steps.select((one - other).abs().max()).item())


def by_value(first: pl.DataFrame, second: pl.DataFrame) -> list[tuple[int, int]]:
    """Counts of the 20 most frequent values of the first, each with that of the second, and of all others."""
    top = first.sort(["count", "value"], descending=[True, False]).head(TOP)
    there = dict(second.iter_rows())
    pairs = [(int(count), int(there.get(value, 0))) for value, count in top.iter_rows()]
    others = [int(frame["count"].sum()) - sum(pair[i] for pair in pairs) for i, frame in enumerate((first, second))]
    return [*pairs, (others[0], others[1])]


def by_decile(first: pl.DataFrame, second: pl.DataFrame) -> list[tuple[int, int]]:
    """Counts between the first's deciles; a value that is more than one decile has a bin of its own."""
    return list(zip(*(_between(frame, _deciles(first)) for frame in (first, second)), strict=True))


def _deciles(values: pl.DataFrame) -> pl.DataFrame:
    """`edge`, and `times`, how many deciles are there."""
    upto = values["count"].cum_sum()
    if not len(upto):
        return pl.DataFrame({"edge": values["value"], "times": pl.Series([], dtype=pl.Int64)})
    ranks = pl.Series([max(1, math.ceil(int(upto[-1]) * q - 1e-9)) for q in DECILES], dtype=upto.dtype)
    edges = values["value"].gather(upto.search_sorted(ranks, side="left"))
    return edges.alias("edge").to_frame().group_by("edge").agg(times=pl.len()).sort("edge")


def _between(values: pl.DataFrame, deciles: pl.DataFrame) -> list[int]:
    total = int(values["count"].sum())
    upto = [0, *values["count"].cum_sum().to_list()]
    found, edges = values["value"], deciles["edge"]
    if found.dtype != edges.dtype:
        found, edges = found.cast(pl.Float64), edges.cast(pl.Float64)
    ends = [0]
    below, through = (found.search_sorted(edges, side=side).to_list() for side in ("left", "right"))
    for low, high, times in zip(below, through, deciles["times"], strict=True):
        ends += [upto[low]] * (times > 1) + [upto[high]]
    return [high - low for low, high in pairwise([*ends, total])]
