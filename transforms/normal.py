"""The inverse of the normal distribution's cumulative function, as arithmetic that both engines run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

SMALLEST: Final = 1e-10
"""Below this share, and above one less it, the approximation that is used does not hold."""

_SPLIT: Final = 0.425
_MIDDLE: Final = (
    (3.3871327179e0, 5.0434271938e1, 1.5929113202e2, 5.9109374720e1),
    (1.0, 1.7895169469e1, 7.8757757664e1, 6.7187563600e1),
)
_TAILS: Final = (
    (1.4234372777e0, 2.7568153900e0, 1.3067284816e0, 1.7023821103e-1),
    (1.0, 7.3700164250e-1, 1.2021132975e-1),
)


def quantile(share: pl.Expr) -> pl.Expr:
    """The value below which a share of the standard normal distribution lies; shares from `SMALLEST` to one less it.

    Float64 in, Float64 out, good to one part in 10^7, which is what Float32 holds; null and NaN stay. Source: PPND7 of
    Wichura (1988), "Algorithm AS 241: The percentage points of the normal distribution", Applied Statistics 37 (3).
    """
    q = share - 0.5
    near = 0.180625 - q * q
    tail = pl.when(q < 0).then(share).otherwise(1.0 - share)
    far = (-tail.log()).sqrt() - 1.6
    outside = _ratio(_TAILS, far)
    return (
        pl.when(q.abs() <= _SPLIT)
        .then(q * _ratio(_MIDDLE, near))
        .otherwise(pl.when(q < 0).then(-outside).otherwise(outside))
    )


def _ratio(coefficients: tuple[Sequence[float], Sequence[float]], x: pl.Expr) -> pl.Expr:
    above, below = (_polynomial(c, x) for c in coefficients)
    return above / below


def _polynomial(coefficients: Sequence[float], x: pl.Expr) -> pl.Expr:
    """By Horner's rule; the first coefficient is the constant."""
    *rest, last = coefficients
    value = x * last + rest.pop()
    for coefficient in reversed(rest):
        value = value * x + coefficient
    return value
