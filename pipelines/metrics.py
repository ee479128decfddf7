"""How good predictions are: the metrics and the curves of a split, from labels and predictions alone."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from headrace.pipelines.estimators import Task

Floats = npt.NDArray[np.float64]
Metrics = dict[str, float | None]

CALIBRATION_BINS: Final = 15
CURVE_POINTS: Final = 100

METRICS: Final[dict[Task, tuple[str, ...]]] = {
    "classification": ("auc", "average_precision", "log_loss", "brier", "calibration_error", "base_rate", "rows"),
    "regression": ("rmse", "mae", "r2", "target_mean", "rows"),
}
"""By task: the key of each metric, the leading one first."""


class _Points(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Curve(_Points):
    """A line in the unit square, at most 100 points."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class Calibration(_Points):
    """What was predicted against what was observed, in bins of equal numbers of rows."""

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    rows: tuple[int, ...]


class Evaluation(_Points):
    """One model on one split."""

    metrics: Metrics
    roc: Curve | None = None
    precision_recall: Curve | None = None
    calibration: Calibration | None = None


def evaluate(task: Task, label: Floats, predicted: Floats) -> Evaluation:
    """`classify` or `regress`."""
    return classify(label, predicted) if task == "classification" else regress(label, predicted)


def classify(label: Floats, probability: Floats) -> Evaluation:
    """Metrics of probabilities for labels of 0 and 1, of which both must occur.

    Area under the ROC curve with ties counted half, average precision (the step-wise sum, not interpolated), log loss
    in nats with probabilities kept one float64 epsilon from 0 and 1, Brier score, and the expected calibration error:
    the mean over bins of |mean prediction - share of ones|, weighted by rows (Naeini et al. 2015, with 15 bins of
    equal numbers of rows).

    Cost: one sort.
    """
    order = np.argsort(-probability, kind="stable")
    ranked, hits = probability[order], np.cumsum(label[order])
    last_of_ties = np.append(np.flatnonzero(np.diff(ranked)), label.size - 1)
    true = np.append(0.0, hits[last_of_ties])
    false = np.append(0.0, last_of_ties + 1.0) - true
    ones, zeros = true[-1], false[-1]
    recall, fallout = true / ones, false / zeros
    precision = true[1:] / (true[1:] + false[1:])

    epsilon = np.finfo(np.float64).eps
    clipped = np.clip(probability, epsilon, 1 - epsilon)
    bins = calibrate(label, probability)
    gaps = np.abs(np.subtract(bins.predicted, bins.observed))
    metrics: Metrics = {
        "auc": float(np.sum(np.diff(fallout) * (recall[1:] + recall[:-1]) / 2)),
        "average_precision": float(np.sum(np.diff(recall) * precision)),
        "log_loss": float(-np.mean(np.where(label == 1, np.log(clipped), np.log1p(-clipped)))),
        "brier": float(np.mean((probability - label) ** 2)),
        "calibration_error": float(np.average(gaps, weights=bins.rows)),
        "base_rate": float(np.mean(label)),
        "rows": float(label.size),
    }
    along = np.append(0.0, np.cumsum(np.diff(recall) + np.diff(fallout)))
    return Evaluation(
        metrics=metrics,
        roc=_curve(fallout, recall, along),
        precision_recall=_curve(recall[1:], precision, recall[1:]),
        calibration=_rounded(bins),
    )


def regress(label: Floats, predicted: Floats) -> Evaluation:
    """Root mean squared error, mean absolute error and R², which is None where the label does not vary."""
    residual = label - predicted
    total = float(np.sum((label - label.mean()) ** 2))
    metrics: Metrics = {
        "rmse": float(np.sqrt(np.mean(residual**2))),
        "mae": float(np.mean(np.abs(residual))),
        "r2": None if total == 0 else 1 - float(np.sum(residual**2)) / total,
        "target_mean": float(label.mean()),
        "rows": float(label.size),
    }
    return Evaluation(metrics=metrics, calibration=_rounded(calibrate(label, predicted)))


def calibrate(label: Floats, predicted: Floats, bins: int = CALIBRATION_BINS) -> Calibration:
    """Mean prediction and mean label in bins cut at the predictions' quantiles; equal predictions stay together."""
    inner = np.quantile(predicted, np.linspace(0, 1, bins + 1))[1:-1]
    place = np.searchsorted(inner, predicted)
    rows = np.bincount(place, minlength=bins)
    filled = rows > 0
    sums = (np.bincount(place, weights=values, minlength=bins)[filled] for values in (predicted, label))
    predicted_mean, observed_mean = (total / rows[filled] for total in sums)
    return Calibration(
        predicted=tuple(predicted_mean.tolist()),
        observed=tuple(observed_mean.tolist()),
        rows=tuple(rows[filled].tolist()),
    )


def _curve(x: Floats, y: Floats, along: Floats) -> Curve:
    """The points nearest to equal steps of `along`, which ascends."""
    if x.size > CURVE_POINTS:
        steps = np.linspace(along[0], along[-1], CURVE_POINTS)
        keep = np.unique(np.append(np.searchsorted(along, steps[:-1]), along.size - 1))
        x, y = x[keep], y[keep]
    return Curve(x=_short(x.tolist()), y=_short(y.tolist()))


def _rounded(bins: Calibration) -> Calibration:
    return Calibration(predicted=_short(bins.predicted), observed=_short(bins.observed), rows=bins.rows)


def _short(values: list[float] | tuple[float, ...]) -> tuple[float, ...]:
    """Six significant digits: enough to draw, and to read."""
    return tuple(float(f"{value:.6g}") for value in values)
