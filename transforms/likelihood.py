"""The power that makes values as normal as it can: maximum likelihood for the families of Box-Cox and Yeo-Johnson."""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Method = Literal["yeo-johnson", "box-cox"]
Floats = npt.NDArray[np.float64]

LARGEST: Final = 5.0
"""Powers are looked for from -5 to 5."""

DIGITS: Final = 6
"""Decimals of a power."""

POINTS: Final = 65536
"""Up to so many values count one by one; beyond, neighbours count as their mean."""

_STEP: Final = 0.25
_TOLD_APART: Final = 1e-8
_STRAIGHT: Final = 1e-8
_GOLDEN: Final = (math.sqrt(5) - 1) / 2


class Fitted(NamedTuple):
    """A power, and the mean and the standard deviation (ddof 0) of the values it was applied to."""

    power: float
    mean: float
    deviation: float


def fit(values: Floats, weights: Floats, method: Method) -> Fitted:
    """The power of the greatest likelihood, by a grid and then by golden section.

    Powers whose results differ by less than 1e-8 of their size are passed over: Float64 could not tell them apart well
    enough. Where none is left the power is 1, and so it is for values that are all equal; their deviation is 0. So it
    is as well for `yeo-johnson` where all values lie within 1e-8 of 0: there every power is a straight line to the
    digits of a Float32, and those other than 1 would lose in Float64 what tells the values apart.

    Parameters
    ----------
    values
        Finite, rising; above 0 for `box-cox`.
    weights
        How many rows each stands for.
    """
    if not len(values):
        return Fitted(1.0, 0.0, 0.0)
    if len(values) == 1:
        return Fitted(1.0, float(transformed(values, 1.0, method)[0]), 0.0)
    family = _Family(*_thinned(values, weights), method)
    grid = [k * _STEP for k in range(round(-LARGEST / _STEP), round(LARGEST / _STEP) + 1)]
    likelihoods = [family.likelihood(power) for power in grid]
    best = max(range(len(grid)), key=lambda i: likelihoods[i])
    power = 1.0
    straight = method == "yeo-johnson" and float(np.abs(values).max()) < _STRAIGHT
    if likelihoods[best] > -math.inf and not straight:
        near = round(_highest(family, grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]), DIGITS) + 0.0
        power = max(near, grid[best], key=family.likelihood)  # what is next to it may be beyond all floats
    size, mean, deviation = family.moments(power)
    return Fitted(power, size * mean, size * deviation)


def transformed(values: Floats, power: float, method: Method) -> Floats:
    """The values under a power; infinite where it is beyond the largest float."""
    if power == 1:
        return values - 1.0 if method == "box-cox" else values
    with np.errstate(over="ignore"):
        if method == "box-cox":
            return _grown(np.log(values), power)
        size = np.log1p(np.abs(values))
        return np.where(values >= 0, _grown(size, power), -_grown(size, 2 - power))


class _Family:
    """The likelihood of weighted values as a function of the power."""

    def __init__(self, values: Floats, weights: Floats, method: Method) -> None:
        self.values, self.weights, self.method = values, weights, method
        self.rows = float(weights.sum())
        logs = np.log(values) if method == "box-cox" else np.copysign(np.log1p(np.abs(values)), values)
        self.logs = float((weights * logs).sum())

    def moments(self, power: float) -> tuple[float, float, float]:
        """The largest size of the results, and the mean and the deviation of the results over it."""
        results = transformed(self.values, power, self.method)
        size = float(np.abs(results).max())
        if not math.isfinite(size) or size == 0:
            return size, 0.0, 0.0
        shares = results / size
        mean = float((self.weights * shares).sum()) / self.rows
        return size, mean, math.sqrt(float((self.weights * (shares - mean) ** 2).sum()) / self.rows)

    def likelihood(self, power: float) -> float:
        """Its logarithm, less what does not depend on the power."""
        size, _, deviation = self.moments(power)
        if deviation < _TOLD_APART:
            return -math.inf
        return (power - 1) * self.logs - self.rows * (math.log(size) + math.log(deviation))


def _highest(family: _Family, low: float, high: float) -> float:
    """The place of a maximum between two others, by golden section."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = family.likelihood(left), family.likelihood(right)
    while high - low > 10.0**-DIGITS / 8:
        if at_left >= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = family.likelihood(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = family.likelihood(right)
    return (low + high) / 2


def _grown(logs: Floats, power: float) -> Floats:
    return logs if power == 0 else np.expm1(power * logs) / power


def _thinned(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """At most `POINTS` values: runs of nearly equal weight as their mean."""
    if len(values) <= POINTS:
        return values, weights
    before = np.cumsum(weights) - weights
    run = (before / weights.sum() * POINTS).astype(np.int64)
    starts = np.flatnonzero(np.diff(run, prepend=-1))
    total = np.add.reduceat(weights, starts)
    return np.add.reduceat(values / 2 * weights, starts) / total * 2, total
