"""Baselines: reference models trained and scored on the published shards, to know what the features are worth."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from headrace.catalog.manifest import BaselineResult
from headrace.pipelines.estimators import Task, find_estimator, merged_parameters
from headrace.pipelines.matrix import number_columns
from headrace.pipelines.metrics import Evaluation, evaluate
from headrace.pipelines.model import Baseline
from headrace.pipelines.models import MODEL_FILE, save_model, write_once
from headrace.pipelines.sklearn_trainer import SklearnTrainer
from headrace.pipelines.trainers import Job, Scored, Trainer
from headrace.schemas.errors import DataError, PipelineError

CURVES_FILE: Final = "curves.json"


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
    trainer: Trainer[Any] | None = None,
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
    trainer
        What reads, fits and predicts; scikit-learn, unless given. Metrics are worked out from its predictions on the
        host, by the same lines for every trainer.

    Raises
    ------
    DataError
        A split without rows; a target that has one class, or others than 0 and 1; nulls, NaN or infinities.
    PipelineError
        An estimator that does not fit the task, a parameter it does not have, a feature that is not published.
    CapabilityError
        The trainer's library is not installed.

    Notes
    -----
    With scikit-learn the same shards, seeds and library versions give the same models and metrics for any number of
    threads, and however the rows are cut into shards; cuML does not promise that. Cost: each split is read once for all
    baselines of one sample size and seed.
    """
    trainer = trainer or SklearnTrainer()
    jobs = _jobs(splits, baselines, tuple(features), label, task, frozenset(categorical))
    for planned in jobs:
        trainer.refuse(planned.job, merged_parameters(planned.job.estimator, planned.baseline.parameters, rows=1))
    results: dict[str, BaselineResult] = {}
    for sample in dict.fromkeys(planned.sample for planned in jobs):
        group = [planned for planned in jobs if planned.sample == sample]
        columns = [name for name in features if any(name in planned.job.columns for planned in group)]
        rows = {
            split: _check_label(
                split, trainer.read(split, paths, columns, label, max_rows=sample[0], seed=sample[1]), task, label
            )
            for split, paths in splits.items()
        }
        for planned in group:
            result = _train(trainer, planned, rows, build)
            results[planned.baseline.label] = result
            if on_done is not None:
                on_done(result)
        del rows  # before the next sample is read: a device has room for one
    return tuple(results[baseline.label] for baseline in baselines)


@dataclass(frozen=True)
class _Planned:
    baseline: Baseline
    job: Job
    left_out: tuple[str, ...]
    folder: str

    @property
    def sample(self) -> tuple[int, int]:
        """Most rows and seed: what is read of the splits."""
        return self.baseline.max_rows, self.baseline.seed


def _jobs(
    splits: Mapping[str, Sequence[Path]],
    baselines: Sequence[Baseline],
    features: tuple[str, ...],
    label: str,
    task: Task,
    categorical: frozenset[str],
) -> list[_Planned]:
    shards = [path for paths in splits.values() for path in paths]
    numbers = number_columns(shards[0]) if shards else frozenset(features)
    jobs: list[_Planned] = []
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
        job = Job(estimator, columns, baseline.seed, task, label, f"baseline {baseline.label!r}")
        jobs.append(_Planned(baseline, job, left_out, _folder(baseline.label, [j.folder for j in jobs])))
    return jobs


def _folder(label: str, taken: Sequence[str]) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", label.lower()).strip("-")[:60] or "baseline"
    while f"baselines/{name}" in taken:
        name += "-2"
    return f"baselines/{name}"


def _check_label(split: str, rows: Scored, task: Task, label: str) -> Scored:
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


def _train(trainer: Trainer[Any], planned: _Planned, rows: Mapping[str, Scored], build: Path) -> BaselineResult:
    job, training = planned.job, next(iter(rows.values()))
    parameters = merged_parameters(job.estimator, planned.baseline.parameters, training.label.size)
    trained = trainer.train(job, parameters, training)
    started = time.perf_counter()
    predicted = {split: trained.predict(part) for split, part in rows.items()}
    predict_seconds = time.perf_counter() - started
    scores = {split: evaluate(job.task, part.label, predicted[split]) for split, part in rows.items()}
    folder = build / planned.folder
    save_model(trained.model, folder)
    write_once(folder / CURVES_FILE, _curves(scores))
    return BaselineResult(
        name=planned.baseline.label,
        estimator=job.estimator.name,
        task=job.task,
        target=job.target,
        metrics={split: score.metrics for split, score in scores.items()},
        rows_trained=training.label.size,
        rows_available=training.available,
        features=len(job.columns),
        left_out=planned.left_out,
        seconds=trained.seconds,
        predict_seconds=predict_seconds,
        parameters=parameters,
        model=f"{planned.folder}/{MODEL_FILE}",
        curves=f"{planned.folder}/{CURVES_FILE}",
        note="; ".join([*_statements(rows, planned.left_out), *trained.notes]),
    )


def _statements(rows: Mapping[str, Scored], left_out: tuple[str, ...]) -> list[str]:
    said = [
        f"a seeded sample of {part.label.size:,} of {part.available:,} rows of {split}"
        for split, part in rows.items()
        if part.label.size < part.available
    ]
    if left_out:
        rest = f" and {len(left_out) - 12} more" if len(left_out) > 12 else ""
        said.append(f"{len(left_out)} features left out: {', '.join(left_out[:12])}{rest}")
    return said


def _curves(scores: Mapping[str, Evaluation]) -> bytes:
    plain = {split: score.model_dump(exclude={"metrics"}, exclude_none=True) for split, score in scores.items()}
    return (json.dumps({"format": 1, "splits": plain}, separators=(",", ":"), ensure_ascii=False) + "\n").encode()
