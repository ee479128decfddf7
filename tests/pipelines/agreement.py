"""How far baselines of two libraries may lie apart: tolerances worked out from scikit-learn alone, not wished for.

Forests are random. Scikit-learn's own score over seeds of the estimator, all else equal, has a spread (largest less
smallest); the mean of as many forests of another library may be that far from the mean of scikit-learn's. The
difference of two such means has a standard error of 0.5 deviations with 8 seeds, and the expected spread is 2.85
deviations, so chance alone does not fail this; a forest that learns less does.

Linear models have one minimum, at which two solvers stop early. With a smallest curvature m (an eigenvalue of the
mean loss's Hessian), a largest gradient entry g and d coefficients, one that stops at its gradient is at most
sqrt(d) g / m away from it; one that stops because the loss L fell by less than a share s of it has, a few such steps
from the end, at most sqrt(2 k s L / m), with k = 10 steps granted. Both follow from strong convexity (Boyd and
Vandenberghe 2004, section 9.1.2). A ridge has a closed form; what float32 does to it is its condition times the unit
roundoff times sqrt(rows), the probable growth of rounding in sums (Higham and Mary 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]

SEEDS: Final = tuple(range(8))
GRADIENT: Final = 1e-4
"""`tol` of both libraries."""
FALL: Final = GRADIENT * 0.01
"""The share of the loss below which cuML's solver stops: `delta`, a hundredth of `tol` unless given."""
STEPS: Final = 10
ROUNDOFF: Final = 2.0**-24

FLIGHTS: Final = ("dep_delay", "distance", "hour", "carrier", "origin", "wind", "gust_missing")


def flights_like(rows: int, seed: int) -> pl.DataFrame:
    """Delays with a long tail, hours that are whole numbers, categories of very different sizes, rare flags."""
    rng = np.random.default_rng(seed)
    delay = np.round(rng.exponential(25, rows) - 12)
    hour = rng.integers(5, 24, rows)
    carrier = np.minimum(rng.geometric(0.25, rows), 15)
    wind = np.round(rng.gamma(4, 2.5, rows), 1)
    missing = rng.random(rows) < 0.02
    arrival = 0.9 * delay + 0.8 * (hour - 12) + 4 * (carrier % 3) + 0.05 * wind**2 + rng.normal(0, 16, rows)
    return pl.DataFrame(
        {
            "dep_delay": delay.astype(np.float32),
            "distance": rng.choice([94, 187, 762, 1089, 2475], rows, p=[0.05, 0.2, 0.3, 0.3, 0.15]).astype(np.float32),
            "hour": hour.astype(np.int32),
            "carrier": carrier.astype(np.int32),
            "origin": rng.integers(0, 3, rows).astype(np.int32),
            "wind": wind.astype(np.float32),
            "gust_missing": missing,
            "late": (arrival > 30).astype(np.int8),
            "minutes": arrival,
        }
    )


def spread(scores: Sequence[float]) -> float:
    """The largest less the smallest: the tolerance between means over as many seeds."""
    return max(scores) - min(scores)


def agree(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Whether our scores lie on average within scikit-learn's own spread of its average."""
    return abs(float(np.mean(ours)) - float(np.mean(theirs))) <= spread(theirs)


def logistic_tolerance(columns: Floats, label: Floats, coefficients: Floats, intercept: float) -> float:
    """How far two logistic regressions with C = 1 on scaled columns may be apart, as the length of the difference."""
    rows = len(columns)
    with_one = np.column_stack([columns, np.ones(rows)])
    probability = 1 / (1 + np.exp(-(with_one @ np.append(coefficients, intercept))))
    shrink = np.diag(np.append(np.full(columns.shape[1], 1 / rows), 0))
    hessian = with_one.T @ (with_one * (probability * (1 - probability))[:, None]) / rows + shrink
    curvature = float(np.linalg.eigvalsh(hessian)[0])
    loss = float(-np.mean(np.where(label == 1, np.log(probability), np.log1p(-probability))))
    by_gradient = np.sqrt(with_one.shape[1]) * GRADIENT / curvature
    return float(by_gradient + np.sqrt(2 * STEPS * FALL * loss / curvature))


def ridge_tolerance(columns: Floats, alpha: float, coefficients: Floats) -> float:
    """How far two ridges on scaled columns may be apart in float32, as the length of the difference."""
    gram = columns.T @ columns + alpha * np.eye(columns.shape[1])
    return float(np.linalg.cond(gram) * np.sqrt(len(columns)) * ROUNDOFF * np.linalg.norm(coefficients))
