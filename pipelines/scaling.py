"""Columns scaled to mean 0 and standard deviation 1: in float64, a column at a time, on the host or a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from headrace.pipelines.matrix import Floats


class Moments(NamedTuple):
    """Rows, and by column their mean and standard deviation."""

    rows: int
    mean: Floats
    deviation: Floats


def moments(columns: Any) -> Moments:
    """The moments of a float32 matrix of NumPy or CuPy; they are NumPy's in both cases."""
    mean, deviation = np.empty(columns.shape[1]), np.empty(columns.shape[1])
    for index in range(columns.shape[1]):
        values = columns[:, index].astype(np.float64)
        mean[index], deviation[index] = float(values.mean()), float(values.std())
    return Moments(columns.shape[0], mean, deviation)


def combined(parts: Sequence[Moments]) -> Moments:
    """The moments of all rows from those of parts of them (Chan, Golub and LeVeque 1979, equation 2.1b)."""
    rows, mean, deviation = parts[0]
    squares = deviation**2 * rows
    for part in parts[1:]:
        apart, before = part.mean - mean, rows
        rows += part.rows
        mean = mean + apart * (part.rows / rows)
        squares = squares + part.deviation**2 * part.rows + apart**2 * (before * part.rows / rows)
    return parts[0] if len(parts) == 1 else Moments(rows, mean, np.sqrt(squares / rows))


def scale_of(found: Moments) -> Floats:
    """The standard deviations, and 1 for a column that does not vary."""
    return np.where(found.deviation <= np.abs(found.mean) * 1e-12, 1.0, found.deviation)


def scaled(columns: Any, mean: Floats, scale: Floats) -> Any:
    """A float32 copy in which each column lost its mean and was divided by its scale."""
    copy = np.empty_like(columns)
    for index in range(columns.shape[1]):
        copy[:, index] = (columns[:, index].astype(np.float64) - mean[index]) / scale[index]
    return copy
