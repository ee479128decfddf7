"""Baselines: reference models trained and scored on the published shards, to know what the features are worth."""

from __future__ import annotations

import json
import re
import time
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from headrace.catalog.manifest import BaselineResult
from headrace.pipelines.estimators import Estimator, Task, find_estimator, make_estimator, merged_parameters
from headrace.pipelines.matrix import Floats, Matrix, Rows, number_columns, read_rows
from headrace.pipelines.metrics import Evaluation, evaluate
from headrace.pipelines.model import Baseline
from headrace.pipelines.models import MODEL_FILE, Model, export, save_model, write_once
from headrace.schemas.errors import DataError, PipelineError

CURVES_FILE: Final = "curves.json"
_CHUNK: Final = 16_384


def train_baselines(
    splits: Mapping[str, Sequence[Path]],
    baselines: Sequence[Baseline],
    features: Sequence[str],
    label: str,
    task: Task,
    build: Path,
    *,
    categorical: Collection[str] = (),
    on_done: Callable[[BaselineResult], None] | None = None,
) -> tuple[BaselineResult, ...]:
    """Train each baseline on the first split, score it on all of them, save it below `build/baselines/`.

    Linear models scale their columns to mean 0 and standard deviation 1 (of the rows trained on), and are not given
    categorical ids, which are numbers without an order, unless the baseline names them. Forests take ids as they are.
    Features that are neither numbers nor booleans are left out too. What was left out is said in the result.

    Parameters
    ----------
    splits
        Split name to its shards, in order. The first is trained on.
    features, categorical
        All published features, and those of them that hold ids of categories.
    label
        For a classification 0 and 1 or a boolean, both in every split.
    build
        The build's folder. `model` and `curves` of a result are relative to it.

    Raises
    ------
    DataError
        A split without rows; a target that has one class, or others than 0 and 1; nulls, NaN or infinities.
    PipelineError
        An estimator that does not fit the task, a parameter it does not have, a feature that is not published.
    CapabilityError
        scikit-learn is not installed.

    Notes
    -----
    The same shards, seeds and library versions give the same models and metrics for any number of threads, and
    however the rows are cut into shards. Cost: each split is read once for all baselines of one sample size and seed.
    """
    jobs = _jobs(splits, baselines, tuple(features), task, frozenset(categorical))
    results: dict[str, BaselineResult] = {}
    for sample in dict.fromkeys((job.baseline.max_rows, job.baseline.seed) for job in jobs):
        group = [job for job in jobs if (job.baseline.max_rows, job.baseline.seed) == sample]
        columns = [name for name in features if any(name in job.columns for job in group)]
        rows = {
            split: _check_label(
                split, read_rows(split, paths, columns, label, max_rows=sample[0], seed=sample[1]), task, label
            )
            for split, paths in splits.items()
        }
        for job in group:
            result = _train(job, rows, task, label, build)
            results[job.baseline.label] = result
            if on_done is not None:
                on_done(result)
    return tuple(results[baseline.label] for baseline in baselines)


@dataclass(frozen=True)
class _Job:
    baseline: Baseline
    estimator: Estimator
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    folder: str


def _jobs(
    splits: Mapping[str, Sequence[Path]],
    baselines: Sequence[Baseline],
    features: tuple[str, ...],
    task: Task,
    categorical: frozenset[str],
) -> list[_Job]:
    shards = [path for paths in splits.values() for path in paths]
    numbers = number_columns(shards[0]) if shards else frozenset(features)
    jobs: list[_Job] = []
    for baseline in baselines:
        estimator = find_estimator(baseline.estimator, task)
        if unknown := [name for name in baseline.features if name not in features]:
            raise PipelineError(
                f"{len(unknown)} features are not published: {', '.join(unknown[:12])}",
                where=f"baseline {baseline.label!r}",
            )
        ids = categorical if estimator.family == "linear" else frozenset()
        columns = baseline.features or tuple(name for name in features if name in numbers and name not in ids)
        if not columns and estimator.family != "constant":
            raise PipelineError(
                f"none of the {len(features)} features suits a {estimator.name}",
                hint="name columns in the baseline's `features`, or use random_forest, which takes ids of categories",
                where=f"baseline {baseline.label!r}",
            )
        if estimator.family == "constant":
            columns = ()
        left_out = () if baseline.features or not columns else tuple(n for n in features if n not in columns)
        jobs.append(_Job(baseline, estimator, columns, left_out, _folder(baseline.label, [j.folder for j in jobs])))
    return jobs


def _folder(label: str, taken: Sequence[str]) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", label.lower()).strip("-")[:60] or "baseline"
    while f"baselines/{name}" in taken:
        name += "-2"
    return f"baselines/{name}"


def _check_label(split: str, rows: Rows, task: Task, label: str) -> Rows:
    if task == "regression":
        return rows
    values = np.unique(rows.label)
    shown = ", ".join(f"{value:g}" for value in values[:8])
    if not set(values.tolist()) <= {0.0, 1.0}:
        raise DataError(
            f"a classification takes a target of 0 and 1, got {values.size} different values in {label!r}: {shown}"
            + (" ..." if values.size > 8 else ""),
            hint="derive it with a comparison, or set the pipeline's task to regression",
            where=f"split {split!r}",
        )
    if values.size == 1:
        read = "" if rows.label.size == rows.available else f" sampled of {rows.available:,}"
        raise DataError(
            f"the target {label!r} is {shown} in all {rows.label.size:,} rows{read}: there is nothing to tell apart",
            hint="check the step that makes the target, or the bounds of the splits",
            where=f"split {split!r}",
        )
    return rows


def _train(job: _Job, rows: Mapping[str, Rows], task: Task, label: str, build: Path) -> BaselineResult:
    from threadpoolctl import threadpool_limits

    training = next(iter(rows.values()))
    columns = training.take(job.columns)
    mean, scale = _scaling(columns) if job.estimator.family == "linear" else (np.zeros(0), np.ones(0))
    if job.estimator.family == "linear":
        columns = _scaled(columns, mean, scale)
    parameters = merged_parameters(job.estimator, job.baseline.parameters, training.label.size)
    estimator = make_estimator(job.estimator, parameters, job.baseline.seed)
    target = training.label.astype(np.int8) if task == "classification" else training.label
    started = time.perf_counter()
    with threadpool_limits(limits=1):  # sums in BLAS depend on the number of its threads
        note = _fit(estimator, columns, target, job.baseline.label)
        fitted = time.perf_counter()
        about = {
            "estimator": job.estimator.name,
            "task": task,
            "target": label,
            "features": job.columns,
            "library": _library(estimator),
        }
        model = export(estimator, job.estimator.family, about, mean, scale)
        del columns
        started_to_predict = time.perf_counter()
        predicted = {split: _predict(estimator, model, part.take(job.columns)) for split, part in rows.items()}
        predict_seconds = time.perf_counter() - started_to_predict
    scores = {split: evaluate(task, part.label, predicted[split]) for split, part in rows.items()}
    folder = build / job.folder
    save_model(model, folder)
    write_once(folder / CURVES_FILE, _curves(scores))
    return BaselineResult(
        name=job.baseline.label,
        estimator=job.estimator.name,
        task=task,
        target=label,
        metrics={split: score.metrics for split, score in scores.items()},
        rows_trained=training.label.size,
        rows_available=training.available,
        features=len(job.columns),
        left_out=job.left_out,
        seconds=fitted - started,
        predict_seconds=predict_seconds,
        parameters=parameters,
        model=f"{job.folder}/{MODEL_FILE}",
        curves=f"{job.folder}/{CURVES_FILE}",
        note="; ".join([*_statements(rows, job.left_out), *note]),
    )


def _scaling(columns: Matrix) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column, 1 for one that does not vary; in float64, a column at a time."""
    mean, scale = np.empty(columns.shape[1]), np.empty(columns.shape[1])
    for index in range(columns.shape[1]):
        values = columns[:, index].astype(np.float64)
        mean[index], scale[index] = values.mean(), values.std()
        if scale[index] <= abs(mean[index]) * 1e-12:
            scale[index] = 1.0
    return mean, scale


def _scaled(columns: Matrix, mean: Floats, scale: Floats) -> Matrix:
    scaled = np.empty_like(columns)
    for index in range(columns.shape[1]):
        scaled[:, index] = (columns[:, index].astype(np.float64) - mean[index]) / scale[index]
    return scaled


def _fit(estimator: Any, columns: Matrix, target: Any, where: str) -> list[str]:
    """Fit in place; what scikit-learn warns of on the way, such as no convergence, is returned."""
    if columns.shape[1] == 0:
        columns = np.zeros((len(columns), 1), dtype=np.float32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.fit(columns, target)
        except ValueError as error:
            raise PipelineError(
                f"scikit-learn refused: {error}", hint="check the baseline's parameters", where=f"baseline {where!r}"
            ) from error
    # Deprecations are not about this fit.
    said = [str(warning.message).splitlines()[0] for warning in caught if issubclass(warning.category, UserWarning)]
    return list(dict.fromkeys(said))


def _predict(estimator: Any, model: Model, columns: Matrix) -> Floats:
    """float64, a value a row. Forests through scikit-learn's compiled walk, in threads over runs of rows."""
    if model.kind != "forest":
        return model.predict(columns)
    # Its own threads add the trees up in whichever order they finish, and so differ in the last bits.
    estimator.set_params(n_jobs=1)
    ask = estimator.predict_proba if model.task == "classification" else estimator.predict
    with ThreadPoolExecutor() as pool:
        parts = list(pool.map(lambda start: ask(columns[start : start + _CHUNK]), range(0, len(columns), _CHUNK)))
    values = np.concatenate(parts)
    return values[:, 1] if values.ndim == 2 else values


def _statements(rows: Mapping[str, Rows], left_out: tuple[str, ...]) -> list[str]:
    said = [
        f"a seeded sample of {part.label.size:,} of {part.available:,} rows of {split}"
        for split, part in rows.items()
        if part.label.size < part.available
    ]
    if left_out:
        rest = f" and {len(left_out) - 12} more" if len(left_out) > 12 else ""
        said.append(f"{len(left_out)} features left out: {', '.join(left_out[:12])}{rest}")
    return said


def _library(estimator: Any) -> str:
    import sklearn

    name = type(estimator).__module__.partition(".")[0]
    return f"{name} {sklearn.__version__}"


def _curves(scores: Mapping[str, Evaluation]) -> bytes:
    plain = {split: score.model_dump(exclude={"metrics"}, exclude_none=True) for split, score in scores.items()}
    return (json.dumps({"format": 1, "splits": plain}, separators=(",", ":"), ensure_ascii=False) + "\n").encode()
