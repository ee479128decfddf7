"""The tolerances between libraries, on the CPU: scikit-learn beside itself is inside them, worse models are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.pipelines.agreement import FLIGHTS, SEEDS, agree, flights_like, logistic_tolerance, ridge_tolerance, spread

from headrace.pipelines.metrics import evaluate

pytest.importorskip("sklearn")

TREES = {"n_estimators": 10, "max_depth": 8, "min_samples_leaf": 10, "max_samples": 0.5, "n_jobs": 1}


def _columns(frame: pl.DataFrame, names: tuple[str, ...] = FLIGHTS) -> Any:
    return np.column_stack([frame[name].cast(pl.Float32).to_numpy() for name in names])


def _scores(task: Any, seeds: tuple[int, ...], **parameters: Any) -> list[float]:
    """AUC or R2 of scikit-learn's forests on fresh rows, by seed."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    train, test = flights_like(3000, 1), flights_like(3000, 2)
    kind, target, metric = {
        "classification": (RandomForestClassifier, "late", "auc"),
        "regression": (RandomForestRegressor, "minutes", "r2"),
    }[task]
    scores = []
    for seed in seeds:
        forest = kind(**{**TREES, **parameters}, random_state=seed).fit(_columns(train), train[target].to_numpy())
        found = (
            forest.predict_proba(_columns(test))[:, 1] if task == "classification" else forest.predict(_columns(test))
        )
        scores.append(evaluate(task, test[target].cast(pl.Float64).to_numpy(), found).metrics[metric] or 0.0)
    return scores


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_forests_of_other_seeds_agree_and_forests_that_learn_less_do_not(task: str) -> None:
    theirs = _scores(task, SEEDS)
    assert 1e-4 < spread(theirs) < 0.02
    assert agree(_scores(task, tuple(range(100, 108))), theirs)
    assert not agree(_scores(task, SEEDS, max_depth=2), theirs)


def test_a_spread_is_the_largest_less_the_smallest() -> None:
    assert spread([0.5, 0.75, 0.625]) == 0.25
    assert agree([0.75, 1.0], [0.5, 0.75])
    assert not agree([0.875, 1.0], [0.5, 0.75])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_logistic_regression_that_stops_early_is_within_its_tolerance_and_another_penalty_is_not(seed: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    frame = flights_like(4000, seed)
    columns, label = StandardScaler().fit_transform(_columns(frame).astype(np.float64)), frame["late"].to_numpy()
    exact = LogisticRegression(solver="newton-cholesky", tol=1e-12).fit(columns, label)
    early = LogisticRegression(max_iter=200).fit(columns.astype(np.float32), label)
    other = LogisticRegression(C=1e-3, max_iter=200).fit(columns.astype(np.float32), label)
    allowed = logistic_tolerance(columns, label.astype(np.float64), exact.coef_[0], exact.intercept_[0])

    def apart(fitted: Any) -> float:
        return float(np.linalg.norm(np.append(fitted.coef_ - exact.coef_, fitted.intercept_ - exact.intercept_)))

    assert apart(early) <= allowed
    assert apart(other) > allowed
    assert allowed < 0.1 * np.linalg.norm(exact.coef_)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_ridge_in_float32_is_within_its_tolerance_and_another_penalty_is_not(seed: int) -> None:
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    frame = flights_like(4000, seed)
    columns, label = StandardScaler().fit_transform(_columns(frame).astype(np.float64)), frame["minutes"].to_numpy()
    exact = Ridge(solver="svd").fit(columns, label).coef_
    rounded = Ridge(solver="cholesky").fit(columns.astype(np.float32), label.astype(np.float32)).coef_
    other = Ridge(alpha=3.0).fit(columns, label).coef_
    allowed = ridge_tolerance(columns, 1.0, exact)
    assert np.linalg.norm(rounded - exact) <= allowed
    assert np.linalg.norm(other - exact) > allowed
    assert allowed < 1e-4 * np.linalg.norm(exact)
