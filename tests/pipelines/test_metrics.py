"""Metrics against scikit-learn's and against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.pipelines.metrics import CURVE_POINTS, METRICS, calibrate, classify, evaluate, regress


def _random(rows: int = 5000, decimals: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    probability = np.round(rng.beta(1, 4, rows), decimals)
    return (rng.random(rows) < probability).astype(np.float64), probability


@pytest.mark.parametrize("decimals", [8, 1])
def test_classification_metrics_are_those_of_scikit_learn_with_and_without_ties(decimals: int) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    label, probability = _random(decimals=decimals)
    metrics = classify(label, probability).metrics
    assert metrics["auc"] == pytest.approx(sk.roc_auc_score(label, probability), rel=1e-12)
    assert metrics["average_precision"] == pytest.approx(sk.average_precision_score(label, probability), rel=1e-12)
    assert metrics["log_loss"] == pytest.approx(sk.log_loss(label, probability), rel=1e-12)
    assert metrics["brier"] == pytest.approx(sk.brier_score_loss(label, probability), rel=1e-12)


def test_four_rows_by_hand() -> None:
    evaluation = classify(np.array([0.0, 1, 0, 1]), np.array([0.1, 0.4, 0.5, 0.9]))
    assert evaluation.metrics["auc"] == 0.75
    assert evaluation.metrics["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert evaluation.metrics["brier"] == pytest.approx((0.01 + 0.36 + 0.25 + 0.01) / 4)
    assert evaluation.metrics["base_rate"] == 0.5
    assert evaluation.metrics["rows"] == 4
    assert evaluation.roc is not None
    assert evaluation.roc.x == (0, 0, 0.5, 0.5, 1)
    assert evaluation.roc.y == (0, 0.5, 0.5, 1, 1)


def test_a_constant_prediction_ranks_nothing_and_is_calibrated() -> None:
    evaluation = classify(np.array([0.0, 0, 0, 1]), np.full(4, 0.25))
    assert evaluation.metrics["auc"] == 0.5
    assert evaluation.metrics["average_precision"] == 0.25
    assert evaluation.metrics["calibration_error"] == 0
    assert evaluation.calibration is not None
    assert evaluation.calibration.rows == (4,)


def test_certain_and_wrong_costs_a_finite_log_loss() -> None:
    assert classify(np.array([0.0, 1]), np.array([1.0, 0.0])).metrics["log_loss"] == pytest.approx(36.04, abs=0.01)


def test_calibration_bins_are_those_of_scikit_learn() -> None:
    sk = pytest.importorskip("sklearn.calibration")
    label, probability = _random()
    observed, predicted = sk.calibration_curve(label, probability, n_bins=15, strategy="quantile")
    bins = calibrate(label, probability)
    assert bins.predicted == pytest.approx(predicted)
    assert bins.observed == pytest.approx(observed)
    assert sum(bins.rows) == label.size


def test_the_calibration_error_is_the_weighted_gap() -> None:
    # two bins that hold data: 3 rows at 0.2 with one hit, 1 row at 0.9 that is a hit
    metrics = classify(np.array([0.0, 0, 1, 1]), np.array([0.2, 0.2, 0.2, 0.9])).metrics
    assert metrics["calibration_error"] == pytest.approx(0.75 * (1 / 3 - 0.2) + 0.25 * 0.1)


def test_curves_are_thin_and_keep_their_area_and_ends() -> None:
    label, probability = _random(rows=50_000)
    evaluation = classify(label, probability)
    assert evaluation.roc is not None
    assert evaluation.precision_recall is not None
    assert len(evaluation.roc.x) <= CURVE_POINTS
    assert len(evaluation.precision_recall.x) <= CURVE_POINTS
    assert (evaluation.roc.x[0], evaluation.roc.y[0]) == (0, 0)
    assert (evaluation.roc.x[-1], evaluation.roc.y[-1]) == (1, 1)
    assert np.trapezoid(evaluation.roc.y, evaluation.roc.x) == pytest.approx(evaluation.metrics["auc"], abs=2e-3)


def test_regression_metrics_are_those_of_scikit_learn() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    label = rng.normal(10, 3, 1000)
    predicted = label + rng.normal(0, 1, 1000)
    metrics = regress(label, predicted).metrics
    assert metrics["rmse"] == pytest.approx(sk.root_mean_squared_error(label, predicted))
    assert metrics["mae"] == pytest.approx(sk.mean_absolute_error(label, predicted))
    assert metrics["r2"] == pytest.approx(sk.r2_score(label, predicted))


def test_r2_of_a_label_that_does_not_vary_is_none() -> None:
    assert regress(np.full(3, 2.0), np.array([1.0, 2, 3])).metrics["r2"] is None


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_metric_has_a_name_for_reports(task: str) -> None:
    label = np.array([0.0, 1])
    assert set(evaluate(task, label, np.array([0.2, 0.7])).metrics) == set(METRICS[task])  # type: ignore[arg-type, index]
