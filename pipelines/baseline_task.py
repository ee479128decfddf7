"""Baselines as a stage of a run: here for the CPU engine, as one task on a worker for the GPU engine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from headrace.catalog.manifest import BaselineResult
from headrace.engines.executor import Executor
from headrace.engines.open import EngineSpec, close_engines, open_engine
from headrace.pipelines.baselines import train_baselines
from headrace.pipelines.cuml_libraries import installed
from headrace.pipelines.cuml_parameters import translate
from headrace.pipelines.cuml_trainer import CumlTrainer
from headrace.pipelines.cuml_workers import WorkersTrainer
from headrace.pipelines.estimators import Task, find_estimator, merged_parameters
from headrace.pipelines.model import Baseline
from headrace.pipelines.trainers import Trainer
from headrace.schemas.errors import GpuMemoryError

ROWS_PER_WORKER: Final = 100_000
"""Fewer rows than two of these train on one GPU: an estimate of what collective steps are worth, not measured yet."""

_FULL: Final = "the GPU had no memory left for it: trained on the CPU"


class BaselineSpec(BaseModel):
    """What to train, small enough to be sent to a worker; shards and models go through files.

    Parameters
    ----------
    splits, baselines, features, label, task, build, categorical
        As `headrace.pipelines.baselines.train_baselines` takes them.
    engine
        `gpu` trains with cuML.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    splits: dict[str, tuple[Path, ...]]
    baselines: tuple[Baseline, ...]
    features: tuple[str, ...]
    label: str
    task: Task
    build: Path
    categorical: tuple[str, ...] = ()
    engine: EngineSpec


def train(spec: BaselineSpec, executor: Executor) -> tuple[BaselineResult, ...]:
    """Train and score the baselines on the engine of the spec.

    With the CPU engine they train in this process, with the GPU engine in a task on a worker, so that this process
    needs no CUDA context. What does not fit into the GPU's memory is trained on the CPU, and its result says so.

    Raises
    ------
    HeadraceError
        As `train_baselines`.
    GpuMemoryError
        The device has no memory left, and the engine is strict.
    """
    if spec.engine.name == "cpu":
        return _train(spec, None)
    refuse_for_gpu(spec.baselines, spec.task)
    try:
        return executor.map(train_on_gpu, [spec])[0]
    except GpuMemoryError:
        if spec.engine.strict:
            raise
    _clear(spec)
    results = _train(spec, None)
    return tuple(
        result.model_copy(update={"note": "; ".join(filter(None, (result.note, _FULL)))}) for result in results
    )


def refuse_for_gpu(baselines: Sequence[Baseline], task: Task) -> None:
    """Raise PipelineError for parameters that cuML does not have; reads and imports nothing."""
    for baseline in baselines:
        estimator = find_estimator(baseline.estimator, task)
        parameters = merged_parameters(estimator, baseline.parameters, rows=1)
        if estimator.cuml:
            translate(estimator, parameters, f"baseline {baseline.label!r}")


def train_on_gpu(spec: BaselineSpec) -> tuple[BaselineResult, ...]:
    """The task: train with cuML in this process, or from here on the GPUs of all workers.

    Raises
    ------
    GpuMemoryError
        The device has no memory left; what cuML holds cannot be spilled.
    RunError
        Any other failure of the device or its libraries.
    """
    # What queries have left on the device is not needed any more, and cuML's own buffers cannot be moved off it.
    close_engines()
    open_engine(spec.engine)
    from headrace.engines.gpu.memory import device_errors

    _clear(spec)
    with device_errors(), _trainer(spec) as trainer:
        return _train(spec, trainer)


@contextmanager
def _trainer(spec: BaselineSpec) -> Iterator[Trainer[Any]]:
    """All workers together, if this is a task on one of several and there are rows enough; else this process alone."""
    if not _in_a_worker() or _training_rows(spec) < 2 * ROWS_PER_WORKER:
        yield CumlTrainer(installed())
        return
    from distributed import worker_client

    with worker_client() as client:
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        yield WorkersTrainer(client, workers) if len(workers) > 1 else CumlTrainer(installed())


def _in_a_worker() -> bool:
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def _training_rows(spec: BaselineSpec) -> int:
    training = next(iter(spec.splits.values()), ())
    available = sum(int(pq.read_metadata(path).num_rows) for path in training)
    return min(available, max(baseline.max_rows for baseline in spec.baselines))


def _clear(spec: BaselineSpec) -> None:
    """Remove what a try before this one has saved: cuML's numbers are not the same each time."""
    shutil.rmtree(spec.build / "baselines", ignore_errors=True)


def _train(spec: BaselineSpec, trainer: Trainer[Any] | None) -> tuple[BaselineResult, ...]:
    return train_baselines(
        spec.splits,
        spec.baselines,
        features=spec.features,
        label=spec.label,
        task=spec.task,
        build=spec.build,
        categorical=spec.categorical,
        trainer=trainer,
    )
