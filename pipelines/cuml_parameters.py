"""Parameters of baselines in cuML's words: what users write is scikit-learn's, on every engine.

Each parameter of scikit-learn's estimators stands in a table below: handed on, renamed, of no meaning on a GPU, or
possible with some values only. The mapping is that of cuML 26.10's own `from_sklearn`, but for a solver that it
silently exchanges for another objective, and for values that cuML would only find out about while it trains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.pipelines.estimators import Estimator
from headrace.schemas.errors import PipelineError

_HINT: Final = "leave it out, or run with --engine cpu"


@dataclass(frozen=True)
class Rule:
    """What becomes of one parameter.

    Parameters
    ----------
    takes, fits
        The values that cuML's estimator can do, in words and as a test.
    name
        cuML's name for it, where that is another.
    values
        cuML's values for some of scikit-learn's; others are handed on as they are.
    passed
        Whether cuML has such a parameter at all. Where not, the values that fit change nothing.
    """

    takes: str
    fits: Callable[[Any], bool]
    name: str = ""
    values: Mapping[Any, Any] = field(default_factory=dict)
    passed: bool = True


def translate(estimator: Estimator, parameters: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Keyword arguments for the cuML class of an estimator, from parameters of scikit-learn's class.

    Raises
    ------
    PipelineError
        A parameter that the estimator does not have, or a value that cuML's cannot do; the message names it and says
        what cuML has. Nothing is imported to find out, so a pipeline can be refused before it runs.
    """
    rules = _RULES[estimator.name, estimator.task]
    kind = estimator.path.rpartition(".")[2]
    if unknown := sorted(set(parameters) - set(rules)):
        raise PipelineError(
            f"{kind} has no parameter {', '.join(map(repr, unknown))}",
            hint=f"it has: {', '.join(sorted(rules))}",
            where=where,
        )
    for name, value in parameters.items():
        if not rules[name].fits(value):
            raise PipelineError(
                f"cuML's {kind} cannot do {name}={value!r}: it takes {rules[name].takes}", hint=_HINT, where=where
            )
    passed = {
        rule.name or name: rule.values.get(value, value) if isinstance(value, str | None) else value
        for name, value in parameters.items()
        if (rule := rules[name]).passed
    }
    if estimator.name == "logistic_regression":
        return _with_penalty(passed, where)
    if estimator.family == "forest" and parameters.get("bootstrap") is False and passed.get("max_samples", 1.0) != 1.0:
        raise PipelineError(
            f"{kind} draws no samples with bootstrap=False, got max_samples={parameters['max_samples']!r}",
            hint="set max_samples to null beside bootstrap: false",
            where=where,
        )
    return passed


def refuse_on_workers(estimator: Estimator, parameters: Mapping[str, Any], where: str) -> None:
    """Raise PipelineError for what cuML can do on one GPU, but not where several train one model together."""
    lacks = {"random_forest": "class_weight", "logistic_regression": "class_weight", "ridge": "solver"}
    name = lacks.get(estimator.name, "")
    value = parameters.get(name)
    if value == "lsqr" or (name == "class_weight" and value is not None):
        raise PipelineError(
            f"cuML's {estimator.path.rpartition('.')[2]} on several GPUs cannot do {name}={value!r}",
            hint=f"leave {name} out, or run on one GPU: --cluster cuda:1",
            where=where,
        )


def _with_penalty(passed: dict[str, Any], where: str) -> dict[str, Any]:
    """Scikit-learn says the penalty by `l1_ratio` alone from 1.8 on, by `penalty` before; cuML by both."""
    penalty = passed.pop("penalty", "deprecated")
    ratio = passed.pop("l1_ratio", None)
    if penalty == "deprecated":
        penalty, ratio = ("l2", None) if ratio in (None, 0) else ("elasticnet", ratio)
    if penalty == "elasticnet" and ratio is None:
        problem = "cuML's LogisticRegression needs l1_ratio for penalty='elasticnet'"
        raise PipelineError(problem, hint=_HINT, where=where)
    return {**passed, "penalty": penalty, "l1_ratio": ratio, "solver": "qn"}


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_share(value: Any, *, one: bool = True) -> bool:
    return isinstance(value, float) and (0 < value < 1 or (one and value == 1))


def _is_number(value: Any, least: float = 0.0) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= least


def _whole(least: int, *, none: bool = False, **more: Any) -> Rule:
    words = f"whole numbers from {least} on" + (", or none" if none else "")
    return Rule(words, lambda value: _is_whole(value, least) or (none and value is None), **more)


def _number(**more: Any) -> Rule:
    return Rule("numbers from 0 on", _is_number, **more)


def _one_of(*values: Any, **more: Any) -> Rule:
    shown = " or ".join(map(repr, values))
    return Rule(shown, lambda value: any(value is v if v is None else value == v for v in values), **more)


def _only(value: Any) -> Rule:
    """A parameter that cuML lacks: its default alone changes nothing."""
    return _one_of(value, passed=False)


_YES_OR_NO: Final = Rule("true or false", lambda value: isinstance(value, bool))
_NOTHING: Final = Rule("anything", lambda _: True, passed=False)
"""How many threads of the host, how much is printed: says nothing about the model."""

_FOREST: Final[Mapping[str, Rule]] = {
    "n_estimators": _whole(1),
    "max_depth": _whole(1, none=True),
    "min_samples_split": Rule(
        "whole numbers from 2 on and shares of the rows", lambda value: _is_whole(value, 2) or _is_share(value)
    ),
    "min_samples_leaf": Rule(
        "whole numbers from 1 on and shares of the rows below 1",
        lambda value: _is_whole(value, 1) or _is_share(value, one=False),
    ),
    "min_weight_fraction_leaf": _only(0),
    "max_features": Rule(
        "'sqrt', 'log2', none, whole numbers from 1 on and shares of the features",
        lambda value: value in ("sqrt", "log2", None) or _is_whole(value, 1) or _is_share(value),
    ),
    "max_leaf_nodes": _whole(2, none=True, name="max_leaves", values={None: -1}),
    "min_impurity_decrease": _number(),
    "bootstrap": _YES_OR_NO,
    "oob_score": _YES_OR_NO,
    "n_jobs": _NOTHING,
    "random_state": Rule("whole numbers below 2**32", lambda value: _is_whole(value, 0) and value < 2**32),
    "verbose": _NOTHING,
    "warm_start": _only(False),
    "ccp_alpha": _only(0),
    "max_samples": Rule(
        "whole numbers of rows and shares of them", lambda value: value is None or _is_share(value), values={None: 1.0}
    ),
    "monotonic_cst": _only(None),
}

_RULES: Final[Mapping[tuple[str, str], Mapping[str, Rule]]] = {
    ("random_forest", "classification"): {
        **_FOREST,
        "criterion": _one_of("gini", "entropy", name="split_criterion"),
        "class_weight": _one_of(None, "balanced"),
    },
    ("random_forest", "regression"): {
        **_FOREST,
        "criterion": _one_of("squared_error", "poisson", name="split_criterion", values={"squared_error": "mse"}),
    },
    ("logistic_regression", "classification"): {
        "C": Rule("numbers over 0", lambda value: _is_number(value) and value > 0),
        "penalty": _one_of("l1", "l2", "elasticnet", None, "deprecated"),
        "l1_ratio": Rule(
            "numbers from 0 to 1, or none", lambda value: value is None or (_is_number(value) and value <= 1)
        ),
        "dual": _only(False),
        "tol": _number(),
        "fit_intercept": _YES_OR_NO,
        "intercept_scaling": _only(1),
        "class_weight": _one_of(None, "balanced"),
        "random_state": _NOTHING,
        # Not liblinear: it shrinks the intercept as well, which is another model.
        "solver": Rule(
            "solvers that do not shrink the intercept: lbfgs, newton-cg, newton-cholesky, sag and saga, for which cuML "
            "has one of its own",
            lambda value: value in ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"),
            passed=False,
        ),
        "max_iter": _whole(1),
        "multi_class": _one_of("deprecated", "auto", passed=False),
        "n_jobs": _NOTHING,
        "verbose": _NOTHING,
        "warm_start": _only(False),
    },
    ("ridge", "regression"): {
        "alpha": _number(),
        "fit_intercept": _YES_OR_NO,
        "copy_X": _NOTHING,  # the matrix is a copy of its own
        "max_iter": _whole(1, none=True),
        "tol": _number(),
        "solver": _one_of(
            "auto",
            "svd",
            "cholesky",
            "lsqr",
            "sparse_cg",
            "sag",
            "saga",
            values={"lsqr": "lsmr", **dict.fromkeys(("cholesky", "sparse_cg", "sag", "saga"), "auto")},
        ),
        "positive": _only(False),
        "random_state": _NOTHING,
    },
}
