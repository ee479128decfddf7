"""Baselines by cuML beside scikit-learn's, within the tolerances of `agreement`. Not yet run on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.pipelines.agreement import FLIGHTS, SEEDS, agree, flights_like, logistic_tolerance, ridge_tolerance
from tests.pipelines.made_shards import FEATURES, made, publish

from headrace.catalog.manifest import BaselineResult
from headrace.engines.detect import gpus
from headrace.engines.executor import open_executor
from headrace.engines.open import EngineSpec
from headrace.pipelines.baseline_task import ROWS_PER_WORKER, BaselineSpec, train
from headrace.pipelines.matrix import read_part, read_rows
from headrace.pipelines.metrics import evaluate
from headrace.pipelines.model import Baseline
from headrace.pipelines.models import ForestModel, LinearModel, load_model
from headrace.pipelines.scaling import moments, scale_of, scaled

ROWS = 20_000
MADE = {"made": (made, FEATURES), "flights-like": (flights_like, FLIGHTS)}
GPU, CPU = EngineSpec(name="gpu"), EngineSpec()


def _publish(folder: Path, kind: str, seed: int) -> dict[str, tuple[Path, ...]]:
    rows, _ = MADE[kind]
    frames = {"train": rows(ROWS, seed), "test": rows(ROWS // 2, 1000 + seed)}
    return {split: tuple(paths) for split, paths in publish(folder, frames, shard_rows=7000).items()}


def _train(
    splits: Any, build: Path, kind: str, task: Any, engine: EngineSpec, *baselines: Baseline, cluster: str = "inline"
) -> tuple[BaselineResult, ...]:
    spec = BaselineSpec(
        splits=splits,
        baselines=baselines,
        features=MADE[kind][1],
        label="late" if task == "classification" else "minutes",
        task=task,
        build=build,
        engine=engine,
    )
    with open_executor(cluster, engine.name) as executor:
        return train(spec, executor)


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("max_rows", [10**6, 777])
def test_the_matrix_on_the_device_is_the_hosts(tmp_path: Path, kind: str, max_rows: int) -> None:
    from headrace.pipelines.cuml_libraries import installed

    paths, place = _publish(tmp_path, kind, 0)["train"], installed().place
    host = read_rows("train", paths, MADE[kind][1], "late", max_rows=max_rows, seed=3)
    rows, found = read_part("train", paths, MADE[kind][1], "late", max_rows=max_rows, seed=3, place=place)
    assert np.array_equal(place.to_host(rows.features), host.features)
    assert np.array_equal(rows.label, host.label)
    assert rows.features.flags.f_contiguous
    assert (dict(found.nulls), dict(found.not_finite)) == ({}, {})
    moved = moments(rows.features)
    expected = moments(host.features)
    assert moved.mean == pytest.approx(expected.mean, rel=1e-12, abs=1e-12)
    assert moved.deviation == pytest.approx(expected.deviation, rel=1e-9)


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize(("task", "metric"), [("classification", "auc"), ("regression", "r2")])
@pytest.mark.parametrize("data", [0, 1, 2])
def test_forests_score_within_scikit_learns_own_spread_over_seeds(
    tmp_path: Path, kind: str, task: str, metric: str, data: int
) -> None:
    splits = _publish(tmp_path, kind, data)
    baselines = [Baseline(estimator="random_forest", name=f"forest {seed}", seed=seed) for seed in SEEDS]
    ours, theirs = (
        [
            result.metrics["test"][metric] or 0.0
            for result in _train(splits, tmp_path / engine.name, kind, task, engine, *baselines)
        ]
        for engine in (GPU, CPU)
    )
    assert agree(ours, theirs), f"cuML {sorted(ours)}, scikit-learn {sorted(theirs)}"


def _linear(folder: Path, estimator: str) -> LinearModel:
    model = load_model(folder / "baselines" / estimator)
    assert isinstance(model, LinearModel)
    return model


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize(("task", "estimator"), [("classification", "logistic_regression"), ("regression", "ridge")])
@pytest.mark.parametrize("data", [0, 1, 2])
def test_linear_models_are_as_near_as_their_solvers_can_be(
    tmp_path: Path, kind: str, task: str, estimator: Any, data: int
) -> None:
    splits = _publish(tmp_path, kind, data)
    for engine in (GPU, CPU):
        _train(splits, tmp_path / engine.name, kind, task, engine, Baseline(estimator=estimator))
    ours, theirs = (_linear(tmp_path / name, estimator) for name in ("gpu", "cpu"))
    label = "late" if task == "classification" else "minutes"
    rows = read_rows("train", splits["train"], MADE[kind][1], label, max_rows=10**6, seed=0)
    found = moments(rows.features)
    columns = scaled(rows.features, found.mean, scale_of(found)).astype(np.float64)
    weights = np.array(theirs.coefficients)
    allowed = (
        logistic_tolerance(columns, rows.label, weights, theirs.intercept)
        if task == "classification"
        else ridge_tolerance(columns, 1.0, weights)
    )
    intercepts = [ours.intercept - theirs.intercept] if task == "classification" else []
    assert np.linalg.norm([*(np.array(ours.coefficients) - weights), *intercepts]) <= allowed
    # A prediction moves by no more than the weights do times the length of a row; a probability by a quarter of that.
    lengths = np.sqrt(1 + (columns**2).sum(axis=1))
    apart = np.abs(ours.predict(rows.features) - theirs.predict(rows.features))
    slack = 0.0 if task == "classification" else 1e-6 * float(np.abs(rows.label).max())  # the intercept in float32
    assert np.all(apart <= allowed * lengths * (0.25 if task == "classification" else 1.0) + slack)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_saved_forest_predicts_what_was_scored_on_the_device(tmp_path: Path, task: Any) -> None:
    splits = _publish(tmp_path, "flights-like", 5)
    (result,) = _train(splits, tmp_path, "flights-like", task, GPU, Baseline(estimator="random_forest"))
    model = load_model(tmp_path / "baselines" / "random_forest")
    assert isinstance(model, ForestModel)
    assert model.library.startswith("cuml 26.10")
    frame = pl.concat([pl.read_parquet(path) for path in splits["test"]])
    found = model.predict(model.matrix(frame))
    label = frame["late" if task == "classification" else "minutes"].cast(pl.Float64).to_numpy()
    saved = evaluate(task, label, found).metrics
    # The device adds 50 trees up in float32.
    assert result.metrics["test"] == pytest.approx(saved, rel=1e-4)
    assert "on a GPU" in result.note


def test_a_forest_too_large_for_the_device_is_an_error_of_ours_where_strict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace.pipelines.cuml_libraries import installed
    from headrace.schemas.errors import GpuMemoryError

    def too_much(_: Any, rows: int, columns: int) -> Any:
        return installed().xp.empty((1 << 50,), dtype="float32").reshape(rows, columns)

    monkeypatch.setattr("headrace.pipelines.gpu_matrix.DevicePlace.empty", too_much)
    splits = _publish(tmp_path, "made", 0)
    baseline = Baseline(estimator="ridge")
    with pytest.raises(GpuMemoryError):
        _train(splits, tmp_path, "made", "regression", EngineSpec(name="gpu", strict=True), baseline)
    (result,) = _train(splits, tmp_path, "made", "regression", GPU, baseline)
    assert result.note == "the GPU had no memory left for it: trained on the CPU"


@pytest.mark.skipif(len(gpus()) < 2, reason="needs two GPUs")
@pytest.mark.parametrize(
    ("task", "metric", "estimator"),
    [
        ("classification", "auc", "logistic_regression"),
        ("classification", "auc", "random_forest"),
        ("regression", "r2", "ridge"),
        ("regression", "r2", "random_forest"),
    ],
)
def test_several_gpus_train_a_model_as_good_as_one_does(tmp_path: Path, task: str, metric: str, estimator: Any) -> None:
    rows, _ = MADE["flights-like"]
    assert 2 * ROWS_PER_WORKER <= 250_000
    frames = {"train": rows(250_000, 0), "test": rows(ROWS, 1)}
    splits = {split: tuple(paths) for split, paths in publish(tmp_path, frames, shard_rows=50_000).items()}
    baselines = [Baseline(estimator=estimator, name=f"{estimator} {seed}", seed=seed) for seed in SEEDS]
    ours = _train(splits, tmp_path / "gpu", "flights-like", task, GPU, *baselines, cluster="cuda:2")
    theirs = _train(splits, tmp_path / "cpu", "flights-like", task, CPU, *baselines)
    assert "on 2 GPUs" in ours[0].note
    scores = [[result.metrics["test"][metric] or 0.0 for result in results] for results in (ours, theirs)]
    if estimator == "random_forest":
        assert agree(*scores)
    else:
        assert scores[0] == pytest.approx(scores[1], abs=1e-3)
