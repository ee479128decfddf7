"""Baselines as a stage: here, or as a task of an executor; full devices and tries before this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.pipelines import imitated_cuml
from tests.pipelines.made_shards import FEATURES, made, publish

from headrace.engines.executor import InlineExecutor
from headrace.engines.open import EngineSpec
from headrace.pipelines import baseline_task
from headrace.pipelines.baseline_task import BaselineSpec, refuse_for_gpu, train
from headrace.pipelines.model import Baseline
from headrace.pipelines.models import load_model
from headrace.schemas.errors import GpuMemoryError, PipelineError, RunError

pytest.importorskip("sklearn")
pytest.importorskip("rmm", reason="RMM is not installed")

GPU = EngineSpec(name="gpu")


class Recording:
    """An executor that runs tasks here, and remembers what it was asked to run."""

    address = "recording"
    workers = 1

    def __init__(self) -> None:
        self.ran: list[str] = []

    def map(self, function: Callable[[Any], Any], specs: Sequence[Any], done: Any = None) -> list[Any]:
        self.ran.append(function.__name__)
        return InlineExecutor(1).map(function, specs, done)


@pytest.fixture
def imitated(monkeypatch: pytest.MonkeyPatch) -> list[EngineSpec]:
    opened: list[EngineSpec] = []
    monkeypatch.setattr(baseline_task, "open_engine", opened.append)
    monkeypatch.setattr(baseline_task, "installed", imitated_cuml.libraries)
    return opened


def _spec(folder: Path, engine: EngineSpec, *baselines: Baseline) -> BaselineSpec:
    splits = publish(folder, {"train": made(900, 0), "test": made(300, 1)})
    return BaselineSpec(
        splits={split: tuple(paths) for split, paths in splits.items()},
        baselines=baselines or (Baseline(estimator="ridge"),),
        features=FEATURES,
        label="minutes",
        task="regression",
        build=folder,
        categorical=("carrier",),
        engine=engine,
    )


def _library(folder: Path) -> str:
    return load_model(folder / "baselines" / "ridge").library.split()[0]


def test_the_cpu_engine_trains_in_this_process(tmp_path: Path) -> None:
    executor = Recording()
    (result,) = train(_spec(tmp_path, EngineSpec()), executor)
    assert executor.ran == []
    assert result.left_out == ("carrier",)
    assert _library(tmp_path) == "sklearn"


@pytest.mark.slow
def test_the_gpu_engine_trains_in_one_task(tmp_path: Path, imitated: list[EngineSpec]) -> None:
    executor = Recording()
    spec = _spec(tmp_path, GPU)
    (result,) = train(BaselineSpec.model_validate_json(spec.model_dump_json()), executor)
    assert executor.ran == ["train_on_gpu"]
    assert imitated == [GPU]
    assert "trained by cuml imitated on a GPU" in result.note
    assert _library(tmp_path) == "cuml"


@pytest.mark.usefixtures("imitated")
def test_parameters_are_refused_before_a_task_is_sent(tmp_path: Path) -> None:
    executor = Recording()
    baseline = Baseline(estimator="ridge", name="Mine", parameters={"positive": True})
    with pytest.raises(PipelineError, match="baseline 'Mine': cuML's Ridge cannot do positive=True"):
        train(_spec(tmp_path, GPU, baseline), executor)
    assert executor.ran == []
    with pytest.raises(PipelineError, match="no baseline 'ridge' for classification"):
        refuse_for_gpu([baseline], "classification")
    refuse_for_gpu([Baseline(estimator="dummy"), Baseline(estimator="random_forest")], "regression")


@pytest.mark.slow
@pytest.mark.usefixtures("imitated")
@pytest.mark.parametrize(
    "problem", [MemoryError("std::bad_alloc: out_of_memory"), RuntimeError("1 of 2 worker jobs failed: std::bad_alloc")]
)
def test_what_the_device_is_too_small_for_is_trained_on_the_cpu_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def fit(*_: Any) -> None:
        raise problem

    monkeypatch.setattr(imitated_cuml.ForestRegressor, "fit", fit)
    forest = Baseline(estimator="random_forest", parameters={"n_estimators": 2})
    spec = _spec(tmp_path, GPU, Baseline(estimator="ridge"), forest)
    results = train(spec, Recording())
    assert [result.note.split("; ")[-1] for result in results] == [
        "the GPU had no memory left for it: trained on the CPU"
    ] * 2
    assert _library(tmp_path) == "sklearn"
    with pytest.raises(GpuMemoryError, match="the device has no memory left"):
        train(spec.model_copy(update={"engine": EngineSpec(name="gpu", strict=True)}), Recording())


@pytest.mark.slow
@pytest.mark.usefixtures("imitated")
def test_other_failures_of_the_device_are_run_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(imitated_cuml.Ridge, "fit", fit)
    with pytest.raises(RunError, match="illegal memory access"):
        train(_spec(tmp_path, GPU), Recording())


@pytest.mark.slow
@pytest.mark.usefixtures("imitated")
def test_a_task_that_runs_again_replaces_what_its_first_try_saved(tmp_path: Path) -> None:
    spec = _spec(tmp_path, GPU)
    train(spec, Recording())
    other = spec.model_copy(update={"baselines": (Baseline(estimator="ridge", parameters={"alpha": 1000.0}),)})
    train(other, Recording())
    assert _library(tmp_path) == "cuml"


@pytest.mark.slow
@pytest.mark.usefixtures("imitated")
@pytest.mark.parametrize(("workers", "rows", "expected"), [(2, 100, "2 GPUs"), (2, 451, "a GPU"), (1, 100, "a GPU")])
def test_workers_train_together_where_there_are_several_and_rows_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, rows: int, expected: str
) -> None:
    from distributed import Client, LocalCluster

    from headrace.pipelines import cuml_workers

    monkeypatch.setattr(baseline_task, "ROWS_PER_WORKER", rows)
    monkeypatch.setattr(cuml_workers, "installed", imitated_cuml.libraries)
    monkeypatch.setattr(cuml_workers, "find", imitated_cuml.find)
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        found = client.submit(baseline_task.train_on_gpu, _spec(tmp_path, GPU)).result(timeout=60)
    assert f"trained by cuml imitated on {expected}" in found[0].note
