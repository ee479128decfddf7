"""Scikit-learn's parameters in cuML's words, or refused by name: expected keywords are literals."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.pipelines.cuml_parameters import _RULES, refuse_on_workers, translate
from headrace.pipelines.estimators import TABLE, Estimator, Task, find_estimator, make_estimator, merged_parameters
from headrace.schemas.errors import PipelineError

FOREST = find_estimator("random_forest", "classification")
LOGISTIC = find_estimator("logistic_regression", "classification")
RIDGE = find_estimator("ridge", "regression")
TWINS = [row for row in TABLE if row.cuml]


def _name(row: Estimator) -> str:
    return row.path.rpartition(".")[2]


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [
        (
            "random_forest",
            "classification",
            {"n_estimators": 50, "max_depth": 16, "min_samples_leaf": 10, "max_samples": 0.2, "max_features": "sqrt"},
        ),
        (
            "random_forest",
            "regression",
            {"n_estimators": 50, "max_depth": 16, "min_samples_leaf": 10, "max_samples": 0.2, "max_features": 1 / 3},
        ),
        (
            "logistic_regression",
            "classification",
            {"C": 1.0, "max_iter": 200, "penalty": "l2", "l1_ratio": None, "solver": "qn"},
        ),
        ("ridge", "regression", {"alpha": 1.0}),
    ],
)
def test_the_tables_defaults_in_cumls_words(name: str, task: Task, expected: dict[str, Any]) -> None:
    estimator = find_estimator(name, task)
    assert translate(estimator, merged_parameters(estimator, {}, rows=50_000), "") == expected


@pytest.mark.parametrize(
    ("estimator", "given", "expected"),
    [
        (FOREST, {"criterion": "entropy", "max_leaf_nodes": None}, {"split_criterion": "entropy", "max_leaves": -1}),
        (FOREST, {"max_leaf_nodes": 64, "n_jobs": 4, "verbose": 2}, {"max_leaves": 64}),
        (FOREST, {"warm_start": False, "ccp_alpha": 0.0, "monotonic_cst": None}, {}),
        (FOREST, {"max_samples": None, "random_state": 3}, {"max_samples": 1.0, "random_state": 3}),
        (
            find_estimator("random_forest", "regression"),
            {"criterion": "squared_error", "max_features": 3, "max_depth": None},
            {"split_criterion": "mse", "max_features": 3, "max_depth": None},
        ),
        (LOGISTIC, {"penalty": "l1"}, {"penalty": "l1", "l1_ratio": None, "solver": "qn"}),
        (LOGISTIC, {"penalty": None, "tol": 0}, {"penalty": None, "tol": 0, "l1_ratio": None, "solver": "qn"}),
        (LOGISTIC, {"l1_ratio": 0.5}, {"penalty": "elasticnet", "l1_ratio": 0.5, "solver": "qn"}),
        (LOGISTIC, {"solver": "saga", "l1_ratio": 1}, {"penalty": "elasticnet", "l1_ratio": 1, "solver": "qn"}),
        (RIDGE, {"solver": "lsqr", "max_iter": None}, {"solver": "lsmr", "max_iter": None}),
        (RIDGE, {"solver": "cholesky", "copy_X": True, "random_state": 1}, {"solver": "auto"}),
    ],
)
def test_what_is_named_otherwise_or_means_nothing_on_a_gpu(
    estimator: Estimator, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert translate(estimator, given, "") == expected


@pytest.mark.parametrize(
    ("estimator", "given", "message"),
    [
        (FOREST, {"trees": 3}, "RandomForestClassifier has no parameter 'trees'"),
        (FOREST, {"n_bins": 256}, "RandomForestClassifier has no parameter 'n_bins'"),
        (FOREST, {"n_estimators": -3}, "cannot do n_estimators=-3: it takes whole numbers from 1 on"),
        (FOREST, {"n_estimators": True}, "cannot do n_estimators=True"),
        (FOREST, {"criterion": "log_loss"}, "cannot do criterion='log_loss': it takes 'gini' or 'entropy'"),
        (FOREST, {"warm_start": True}, "cannot do warm_start=True: it takes False"),
        (FOREST, {"ccp_alpha": 0.1}, r"cannot do ccp_alpha=0\.1: it takes 0"),
        (FOREST, {"class_weight": "balanced_subsample"}, "it takes None or 'balanced'"),
        (FOREST, {"min_samples_leaf": 0}, "whole numbers from 1 on and shares of the rows below 1"),
        (FOREST, {"max_features": "auto"}, "it takes 'sqrt', 'log2', none"),
        (FOREST, {"bootstrap": False, "max_samples": 0.5}, "draws no samples with bootstrap=False"),
        (LOGISTIC, {"C": 0}, "cannot do C=0: it takes numbers over 0"),
        (LOGISTIC, {"C": float("nan")}, "cannot do C=nan"),
        (LOGISTIC, {"solver": "liblinear"}, "cannot do solver='liblinear': it takes solvers that do not shrink"),
        (LOGISTIC, {"dual": True}, "cannot do dual=True"),
        (LOGISTIC, {"penalty": "elasticnet"}, "needs l1_ratio"),
        (RIDGE, {"positive": True}, "cannot do positive=True: it takes False"),
        (RIDGE, {"solver": "lbfgs"}, "cannot do solver='lbfgs': it takes 'auto' or 'svd'"),
        (RIDGE, {"alpha": -1.0}, r"cannot do alpha=-1\.0: it takes numbers from 0 on"),
    ],
)
def test_what_cuml_cannot_do_is_refused_by_name(estimator: Estimator, given: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=message) as error:
        translate(estimator, given, "baseline 'b'")
    assert error.value.where == "baseline 'b'"
    assert error.value.hint


@pytest.mark.parametrize(
    ("estimator", "given"),
    [(FOREST, {"class_weight": "balanced"}), (LOGISTIC, {"class_weight": "balanced"}), (RIDGE, {"solver": "lsqr"})],
)
def test_several_gpus_can_do_less_than_one(estimator: Estimator, given: dict[str, Any]) -> None:
    translate(estimator, given, "")
    with pytest.raises(PipelineError, match="on several GPUs cannot do") as error:
        refuse_on_workers(estimator, given, "")
    assert "--cluster cuda:1" in error.value.hint
    refuse_on_workers(estimator, estimator.parameters, "")


@pytest.mark.parametrize("row", TWINS, ids=_name)
def test_every_parameter_of_scikit_learns_class_has_a_rule_that_takes_its_default(row: Estimator) -> None:
    pytest.importorskip("sklearn")
    defaults = make_estimator(row, {}, 0).get_params()
    assert set(defaults) <= set(_RULES[row.name, row.task])
    # A logistic regression without iterations left over and a forest without a seed are not what a table row makes.
    translate(row, {name: value for name, value in defaults.items() if name != "random_state"}, "")


VARIANTS: list[tuple[Estimator, dict[str, Any]]] = [
    *((row, {}) for row in TWINS),
    (FOREST, {"criterion": "entropy", "max_leaf_nodes": 9, "max_samples": 0.25, "max_features": 2, "bootstrap": True}),
    (FOREST, {"min_samples_split": 0.1, "min_samples_leaf": 3, "class_weight": "balanced", "oob_score": True}),
    (find_estimator("random_forest", "regression"), {"criterion": "poisson", "min_impurity_decrease": 0.1}),
    (LOGISTIC, {"l1_ratio": 0.5, "solver": "saga", "C": 0.1, "tol": 1e-3, "fit_intercept": False}),
    (LOGISTIC, {"class_weight": "balanced", "max_iter": 7, "solver": "newton-cholesky"}),
    *((RIDGE, {"solver": solver}) for solver in ("svd", "lsqr", "cholesky", "sag", "saga", "sparse_cg")),
    (RIDGE, {"alpha": 0.0, "fit_intercept": False, "tol": 1e-6, "max_iter": 3}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("row", "given"), VARIANTS)
def test_the_translation_is_the_installed_cumls_own(row: Estimator, given: dict[str, Any]) -> None:
    """Beside `from_sklearn`'s mapping, whose later half needs a GPU: hence its private first half."""
    pytest.importorskip("cuml", reason="cuML is not installed")
    from headrace.pipelines.cuml_libraries import find

    theirs = find(row.cuml)._params_from_cpu(make_estimator(row, given, 0))
    ours = translate(row, given, "")
    assert {name: theirs[name] for name in ours} == ours


@pytest.mark.slow
@pytest.mark.parametrize(("row", "given"), VARIANTS)
def test_the_installed_cuml_takes_every_keyword(row: Estimator, given: dict[str, Any]) -> None:
    pytest.importorskip("cuml", reason="cuML is not installed")
    from headrace.pipelines.cuml_libraries import find

    keywords = translate(row, given, "")
    made = find(row.cuml)(**keywords)  # makes nothing on a device yet
    assert {name: made.get_params()[name] for name in keywords} == keywords
