"""The estimators that baselines may use: one table, from a name and a task to scikit-learn's class and cuML's twin."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from headrace.schemas.errors import CapabilityError, PipelineError

Task = Literal["classification", "regression"]
Family = Literal["constant", "linear", "forest"]
Parameters = Mapping[str, float | int | str | bool | None]

_ROWS_PER_TREE: Final = 10_000


@dataclass(frozen=True)
class Estimator:
    """One row of the table.

    Parameters
    ----------
    family
        What a fitted one is made of, and so how it is saved: see `headrace.pipelines.models`.
    path, cuml
        Where the class is imported from, on the CPU and on a GPU. `cuml` is empty where there is nothing to speed up.
    parameters
        Defaults that both take. They are chosen for a baseline that takes seconds, not for the last digit.
    """

    name: str
    task: Task
    family: Family
    path: str
    cuml: str
    parameters: Parameters


_FOREST: Final[Parameters] = {
    "n_estimators": 50,
    "max_depth": 16,
    "min_samples_leaf": 10,
    "max_samples": _ROWS_PER_TREE,
}

TABLE: Final[tuple[Estimator, ...]] = (
    Estimator("dummy", "classification", "constant", "sklearn.dummy.DummyClassifier", "", {"strategy": "prior"}),
    Estimator("dummy", "regression", "constant", "sklearn.dummy.DummyRegressor", "", {"strategy": "mean"}),
    Estimator(
        "logistic_regression",
        "classification",
        "linear",
        "sklearn.linear_model.LogisticRegression",
        "cuml.linear_model.LogisticRegression",
        {"C": 1.0, "max_iter": 200},
    ),
    Estimator("ridge", "regression", "linear", "sklearn.linear_model.Ridge", "cuml.linear_model.Ridge", {"alpha": 1.0}),
    Estimator(
        "random_forest",
        "classification",
        "forest",
        "sklearn.ensemble.RandomForestClassifier",
        "cuml.ensemble.RandomForestClassifier",
        {**_FOREST, "max_features": "sqrt"},
    ),
    Estimator(
        "random_forest",
        "regression",
        "forest",
        "sklearn.ensemble.RandomForestRegressor",
        "cuml.ensemble.RandomForestRegressor",
        {**_FOREST, "max_features": 1 / 3},
    ),
)


def find_estimator(name: str, task: Task) -> Estimator:
    """The row for a name and a task. Raises PipelineError if there is none; the message names what there is."""
    for row in TABLE:
        if (row.name, row.task) == (name, task):
            return row
    fitting = ", ".join(row.name for row in TABLE if row.task == task)
    raise PipelineError(f"no baseline {name!r} for {task}", hint=f"for {task} there are: {fitting}")


def merged_parameters(estimator: Estimator, given: Parameters, rows: int) -> dict[str, Any]:
    """The table's defaults under what the pipeline gives; a whole `max_samples` is made the share of `rows` it is.

    Raises PipelineError for parameters of `dummy`, whose saved form is one number.
    """
    if estimator.family == "constant" and given:
        raise PipelineError(f"a dummy takes no parameters, got {', '.join(given)}")
    merged: dict[str, Any] = {**estimator.parameters, **given}
    wanted = merged.get("max_samples")
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        merged["max_samples"] = min(1.0, wanted / rows)
    return merged


def make_estimator(estimator: Estimator, parameters: Mapping[str, Any], seed: int) -> Any:
    """A new, unfitted scikit-learn estimator.

    Raises
    ------
    PipelineError
        A parameter that the estimator does not have; the message lists those it has. (Wrong values are refused by
        scikit-learn's own check when it is fitted.)
    CapabilityError
        scikit-learn is not installed.
    """
    module, _, name = estimator.path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise CapabilityError(
            f"the baseline {estimator.name!r} needs scikit-learn: {error}", hint="pip install 'headrace[build]'"
        ) from error
    model = kind()
    known = model.get_params()
    if unknown := sorted(set(parameters) - set(known)):
        raise PipelineError(
            f"{name} has no parameter {', '.join(map(repr, unknown))}", hint=f"it has: {', '.join(sorted(known))}"
        )
    # Threads build whole trees, each from its own seed: their number does not change the result.
    own = {"random_state": seed, **({"n_jobs": -1} if estimator.family == "forest" else {})}
    return model.set_params(**{**{key: value for key, value in own.items() if key in known}, **parameters})
