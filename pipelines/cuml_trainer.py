"""Baselines trained by cuML on this process's GPU. Not yet run on a GPU; what can be checked without one is.

Beside scikit-learn's: the same rows, the same scaling, the same objective, the same saved form. Other numbers come
from three sources: linear solvers stop elsewhere on the way to the same minimum and add in another order; a forest
looks for splits at 128 quantiles of a column (`n_bins`) instead of at all its values; its random numbers are others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from headrace.pipelines.cuml_forest import trees_of
from headrace.pipelines.cuml_libraries import Libraries
from headrace.pipelines.cuml_parameters import translate
from headrace.pipelines.matrix import Floats, Rows, read_part, refuse
from headrace.pipelines.models import ForestModel, LinearModel, Model
from headrace.pipelines.scaling import moments, scale_of, scaled
from headrace.pipelines.sklearn_trainer import SklearnTrainer
from headrace.pipelines.trainers import Job, Trained, fitting
from headrace.schemas.errors import RunError

_CHUNK: Final = 1 << 20
"""Rows that a forest predicts at once: it wants them row by row, so a copy is made."""


@dataclass(frozen=True)
class CumlTrainer:
    """cuML on one GPU. What cuML has no twin for, a constant, is scikit-learn's."""

    libraries: Libraries

    def refuse(self, job: Job, parameters: Mapping[str, Any]) -> None:
        if job.estimator.cuml:
            translate(job.estimator, parameters, job.where)

    def read(
        self, split: str, paths: Sequence[Path], features: Sequence[str], label: str, *, max_rows: int, seed: int
    ) -> Rows:
        place = self.libraries.place
        rows, found = read_part(split, paths, features, label, max_rows=max_rows, seed=seed, place=place)
        refuse(split, [found])
        return rows

    def train(self, job: Job, parameters: Mapping[str, Any], rows: Rows) -> Trained:
        if not job.estimator.cuml:
            return SklearnTrainer().train(job, parameters, rows)
        place = self.libraries.place
        columns = place.take(rows, job.columns)
        mean, scale = np.zeros(0), np.ones(0)
        if job.estimator.family == "linear":
            found = moments(columns)
            mean, scale = found.mean, scale_of(found)
            columns = scaled(columns, mean, scale)
        passed = keywords(job, parameters)
        estimator = self.libraries.find(job.estimator.cuml)(**passed)
        started = time.perf_counter()
        with fitting("cuML", job.where) as said:
            estimator.fit(columns, self.libraries.xp.asarray(target(job, rows.label)))
        seconds = time.perf_counter() - started
        model = exported(self.libraries, job, estimator, mean, scale)
        notes = (f"trained by {self.libraries.name} on a GPU", *said, *convergence(estimator, passed))
        return Trained(model, predictor(self.libraries, job, model, estimator), seconds, notes)


def keywords(job: Job, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What cuML's class is made with: the parameters in its words, and the seed."""
    # The matrix of a ridge is a scaled copy already, which its solver may overwrite.
    own: Mapping[str, Mapping[str, Any]] = {"ridge": {"copy_X": False}, "random_forest": {"random_state": job.seed}}
    return {**own.get(job.estimator.name, {}), **translate(job.estimator, parameters, job.where)}


def target(job: Job, label: Floats) -> Any:
    """A label in the type that cuML trains on: classes as int32, numbers as float32 like the features."""
    return label.astype(np.int32 if job.task == "classification" else np.float32)


def exported(libraries: Libraries, job: Job, estimator: Any, mean: Floats, scale: Floats) -> Model:
    """A fitted estimator of cuML as numbers, in the form that scikit-learn's are saved in.

    Raises
    ------
    RunError
        Coefficients that are not finite.
    """
    about = {**job.about, "library": libraries.name}
    if job.estimator.family == "forest":
        return ForestModel(**about, trees=trees_of(estimator.as_treelite(), len(job.columns)))
    numbers = [
        np.ravel(np.asarray(libraries.place.to_host(found), dtype=np.float64))
        for found in (estimator.coef_, estimator.intercept_)
    ]
    if not all(np.isfinite(found).all() for found in numbers):
        raise RunError(
            f"cuML's {job.estimator.name} found no finite coefficients",
            hint="run with --engine cpu, or leave out features that hardly vary",
            where=job.where,
        )
    return LinearModel(
        **about,
        coefficients=tuple(numbers[0].tolist()),
        intercept=float(numbers[1][0]),
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
    )


def predictor(libraries: Libraries, job: Job, model: Model, estimator: Any) -> Callable[[Rows], Floats]:
    """Predictions on the device: linear models by their saved form, in float64, forests by cuML's inference."""

    def predict(rows: Rows) -> Floats:
        columns = libraries.place.take(rows, job.columns)
        if model.kind != "forest":
            return np.asarray(libraries.place.to_host(model.predict(columns)))
        ask = estimator.predict_proba if job.task == "classification" else estimator.predict
        found = np.empty(len(columns))
        for start in range(0, len(columns), _CHUNK):
            values = ask(columns[start : start + _CHUNK])
            found[start : start + _CHUNK] = libraries.place.to_host(values[:, 1] if values.ndim == 2 else values)
        return found

    return predict


def convergence(estimator: Any, passed: Mapping[str, Any]) -> tuple[str, ...]:
    """What cuML only logs: a solver that stopped because its iterations were used up."""
    allowed, used = passed.get("max_iter"), getattr(estimator, "n_iter_", None)
    if allowed is None or used is None or int(np.max(used)) < allowed:
        return ()
    return (f"stopped after max_iter={allowed} iterations: it failed to converge",)
