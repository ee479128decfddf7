"""Baselines trained by scikit-learn, in the host's memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from headrace.pipelines.estimators import make_estimator
from headrace.pipelines.matrix import Floats, Rows, read_rows
from headrace.pipelines.models import Model, export
from headrace.pipelines.places import Matrix
from headrace.pipelines.scaling import moments, scale_of, scaled
from headrace.pipelines.trainers import Job, Scored, Trained, fitting

_CHUNK: Final = 16_384


class SklearnTrainer:
    """Scikit-learn on this process's threads; the number of threads does not change a model."""

    def refuse(self, job: Job, parameters: Mapping[str, Any]) -> None:
        """Nothing: scikit-learn checks parameters itself when it fits."""

    def read(
        self, split: str, paths: Sequence[Path], features: Sequence[str], label: str, *, max_rows: int, seed: int
    ) -> Rows:
        return read_rows(split, paths, features, label, max_rows=max_rows, seed=seed)

    def train(self, job: Job, parameters: Mapping[str, Any], rows: Scored) -> Trained:
        columns = _columns(rows, job.columns)
        mean, scale = np.zeros(0), np.ones(0)
        if job.estimator.family == "linear":
            found = moments(columns)
            mean, scale = found.mean, scale_of(found)
            columns = scaled(columns, mean, scale)
        estimator = make_estimator(job.estimator, parameters, job.seed)
        target = rows.label.astype(np.int8) if job.task == "classification" else rows.label
        started = time.perf_counter()
        with _one_thread(), fitting("scikit-learn", job.where) as said:
            estimator.fit(columns if job.columns else np.zeros((rows.label.size, 1), dtype=np.float32), target)
        seconds = time.perf_counter() - started
        about = {**job.about, "library": _library(estimator)}
        model = export(estimator, job.estimator.family, about, mean, scale)

        def predict(part: Scored) -> Floats:
            with _one_thread():
                return _predict(estimator, model, _columns(part, job.columns))

        return Trained(model, predict, seconds, tuple(said))


def _one_thread() -> Any:
    """For BLAS: its sums depend on the number of its threads."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)


def _columns(rows: Scored, names: Sequence[str]) -> Matrix:
    """A constant is given none, wherever the features are."""
    if not names:
        return np.empty((rows.label.size, 0), dtype=np.float32)
    assert isinstance(rows, Rows)
    return rows.take(names)


def _predict(estimator: Any, model: Model, columns: Matrix) -> Floats:
    """float64, a value a row. Forests through scikit-learn's compiled walk, in threads over runs of rows."""
    if model.kind != "forest":
        return model.predict(columns)
    # Its own threads add the trees up in whichever order they finish, and so differ in the last bits.
    estimator.set_params(n_jobs=1)
    ask = estimator.predict_proba if model.task == "classification" else estimator.predict
    with ThreadPoolExecutor() as pool:
        parts = list(pool.map(lambda start: ask(columns[start : start + _CHUNK]), range(0, len(columns), _CHUNK)))
    values: Floats = np.concatenate(parts)
    return values[:, 1] if values.ndim == 2 else values


def _library(estimator: Any) -> str:
    import sklearn

    name = type(estimator).__module__.partition(".")[0]
    return f"{name} {sklearn.__version__}"
