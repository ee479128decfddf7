"""Baselines trained by `cuml.dask` on several GPUs at once. Not yet run on a GPU; what can be checked without one is.

This runs in a task on one of the workers, as their client: so that the process which started the run needs no CUDA
context, and what a model needs on the way stays between workers. Every worker reads a run of the rows, and keeps it
on its device while the baselines are trained; only labels and predictions come here, in the host's memory.

cuML documents a client outside of the workers. Inside, `distributed.worker_client` gives one that is the process's
default, which cuML's communicator asks for, and lets go of the worker's thread, so that a rank of the same model can
run there. A worker that dies inside of a collective step leaves the others waiting in NCCL; the run ends with its
cluster then.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headrace.engines.open import close_engines
from headrace.pipelines.cuml_libraries import find, installed
from headrace.pipelines.cuml_parameters import refuse_on_workers, translate
from headrace.pipelines.cuml_trainer import convergence, exported, keywords, predictor
from headrace.pipelines.estimators import Estimator
from headrace.pipelines.matrix import Floats, Refused, Rows, read_part, refuse
from headrace.pipelines.models import Model
from headrace.pipelines.scaling import Moments, combined, moments, scale_of, scaled
from headrace.pipelines.sklearn_trainer import SklearnTrainer
from headrace.pipelines.trainers import Job, Trained, fitting


@dataclass(frozen=True)
class Spread:
    """Rows of a split, part by part on workers.

    Parameters
    ----------
    parts
        Futures of `Rows`, by the address of the worker that holds them, in the order of the rows.
    """

    parts: Mapping[str, Any]
    sizes: tuple[int, ...]
    label: Floats
    available: int


class WorkersTrainer:
    """cuML on the GPUs of all workers together.

    Parameters
    ----------
    client
        A `distributed.Client`, that of a task.
    workers
        Addresses, one per GPU.
    """

    def __init__(self, client: Any, workers: Sequence[str]) -> None:
        self._client = client
        self._workers = tuple(workers)

    def refuse(self, job: Job, parameters: Mapping[str, Any]) -> None:
        if job.estimator.cuml:
            translate(job.estimator, parameters, job.where)
            refuse_on_workers(job.estimator, parameters, job.where)

    def read(
        self, split: str, paths: Sequence[Path], features: Sequence[str], label: str, *, max_rows: int, seed: int
    ) -> Spread:
        asked = (split, tuple(paths), tuple(features), label, max_rows, seed, len(self._workers))
        parts = {worker: self._on(worker, _read, *asked, part) for part, worker in enumerate(self._workers)}
        facts = self._client.gather([self._on(worker, _facts, held) for worker, held in parts.items()])
        refuse(split, [fact.refused for fact in facts])
        # A rank without rows would leave the others waiting for it.
        filled = {worker: fact for worker, fact in zip(parts, facts, strict=True) if fact.refused.rows}
        return Spread(
            {worker: self._on(worker, _rows, parts[worker]) for worker in filled},
            tuple(fact.refused.rows for fact in filled.values()),
            np.concatenate([fact.label for fact in filled.values()]),
            facts[0].available,
        )

    def train(self, job: Job, parameters: Mapping[str, Any], rows: Spread) -> Trained:
        if not job.estimator.cuml:
            return SklearnTrainer().train(job, parameters, rows)
        libraries = installed()
        scaling: Moments | None = None
        if job.estimator.family == "linear":
            found = [self._on(worker, _moments, part, job.columns) for worker, part in rows.parts.items()]
            scaling = combined(self._client.gather(found))
        columns = {worker: self._on(worker, _columns, part, job, scaling) for worker, part in rows.parts.items()}
        targets = {worker: self._on(worker, _target, part, job) for worker, part in rows.parts.items()}
        for held in (columns, targets):  # so that fitting alone is timed
            self._client.gather([self._on(worker, len, part) for worker, part in held.items()])
        passed = keywords(job, parameters)
        estimator = find(dask_path(job.estimator))(client=self._client, **passed)
        started = time.perf_counter()
        with fitting("cuML", job.where) as said:
            estimator.fit(
                _joined(columns, rows.sizes, (len(job.columns),), "float32", libraries.xp),
                _joined(targets, rows.sizes, (), target_type(job), libraries.xp),
            )
        seconds = time.perf_counter() - started
        fitted = estimator.get_combined_model()
        mean, scale = (scaling.mean, scale_of(scaling)) if scaling else (np.zeros(0), np.ones(0))
        model = exported(libraries, job, fitted, mean, scale)
        # One item of a list: a worker fetches it from here once.
        by = model.model_copy(update={"trees": None}) if model.kind == "forest" else model
        (sent,) = self._client.scatter([(job, by, fitted if model.kind == "forest" else None)], hash=False)

        def predict(part: Spread) -> Floats:
            asked = [self._on(worker, _predict, sent, held) for worker, held in part.parts.items()]
            return np.concatenate(self._client.gather(asked))

        where = f"trained by {libraries.name} on {len(rows.parts)} GPUs"
        return Trained(model, predict, seconds, (where, *said, *convergence(fitted, passed)))

    def _on(self, worker: str, function: Any, *arguments: Any) -> Any:
        """Run a function on one worker, which keeps the result."""
        return self._client.submit(function, *arguments, workers=[worker], allow_other_workers=False, pure=False)


def dask_path(estimator: Estimator) -> str:
    """Where the class for several GPUs is imported from: `cuml.dask` mirrors `cuml`."""
    return estimator.cuml.replace("cuml.", "cuml.dask.", 1)


def target_type(job: Job) -> str:
    """The type of a label: `cuml.dask` documents float32 for a logistic regression, where one GPU takes classes."""
    return "int32" if (job.estimator.family, job.task) == ("forest", "classification") else "float32"


@dataclass(frozen=True)
class _Facts:
    """What is known of the part of a split on a worker."""

    refused: Refused
    label: Floats
    available: int


def _read(
    split: str,
    paths: tuple[Path, ...],
    features: tuple[str, ...],
    label: str,
    max_rows: int,
    seed: int,
    parts: int,
    part: int,
) -> tuple[Rows, Refused]:
    close_engines()
    place = installed().place
    return read_part(split, paths, features, label, max_rows=max_rows, seed=seed, part=part, parts=parts, place=place)


def _facts(held: tuple[Rows, Refused]) -> _Facts:
    rows, refused = held
    return _Facts(refused, rows.label, rows.available)


def _rows(held: tuple[Rows, Refused]) -> Rows:
    return held[0]


def _moments(rows: Rows, names: tuple[str, ...]) -> Moments:
    return moments(installed().place.take(rows, names))


def _columns(rows: Rows, job: Job, scaling: Moments | None) -> Any:
    columns = installed().place.take(rows, job.columns)
    return columns if scaling is None else scaled(columns, scaling.mean, scale_of(scaling))


def _target(rows: Rows, job: Job) -> Any:
    return installed().xp.asarray(rows.label.astype(target_type(job)))


def _predict(sent: tuple[Job, Model, Any], rows: Rows) -> Floats:
    job, model, fitted = sent
    return predictor(installed(), job, model, fitted)(rows)


def _joined(parts: Mapping[str, Any], sizes: Sequence[int], shape: tuple[int, ...], dtype: Any, xp: Any) -> Any:
    """One Dask array of arrays that lie on workers."""
    array: Any = importlib.import_module("dask.array")  # it has no annotations
    meta = xp.empty((0,) * (1 + len(shape)), dtype=dtype)
    blocks = [
        array.from_delayed(part, (rows, *shape), dtype=dtype, meta=meta)
        for part, rows in zip(parts.values(), sizes, strict=True)
    ]
    return array.concatenate(blocks)
