"""The lines of ours that train with cuML, with scikit-learn in its place: the same models in the same saved form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.pipelines import imitated_cuml
from tests.pipelines.made_shards import FEATURES, made, publish

from headrace.catalog.manifest import BaselineResult
from headrace.pipelines.baselines import train_baselines
from headrace.pipelines.cuml_trainer import CumlTrainer, convergence
from headrace.pipelines.estimators import Task
from headrace.pipelines.model import Baseline
from headrace.pipelines.models import ForestModel, LinearModel, load_model
from headrace.schemas.errors import DataError, PipelineError, RunError

pytest.importorskip("sklearn")

SMALL = {"n_estimators": 8, "max_depth": 6}
TRAINER = CumlTrainer(imitated_cuml.libraries())


@pytest.fixture
def splits(tmp_path: Path) -> dict[str, list[Path]]:
    return publish(tmp_path, {"train": made(2000, 0), "test": made(600, 1)})


def _train(splits: Any, baselines: list[Baseline], task: Task, build: Path, **more: Any) -> tuple[BaselineResult, ...]:
    target = "late" if task == "classification" else "minutes"
    return train_baselines(splits, baselines, FEATURES, target, task, build, **{"trainer": TRAINER, **more})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "estimator"),
    [
        ("classification", "logistic_regression"),
        ("classification", "random_forest"),
        ("regression", "ridge"),
        ("regression", "random_forest"),
        ("regression", "dummy"),
    ],
)
@pytest.mark.parametrize("max_rows", [10_000, 900])
def test_models_and_metrics_are_scikit_learns(
    splits: dict[str, list[Path]], tmp_path: Path, task: Task, estimator: Any, max_rows: int
) -> None:
    parameters = SMALL if estimator == "random_forest" else {}
    baseline = Baseline(estimator=estimator, parameters=parameters, max_rows=max_rows, seed=3)
    (theirs,) = _train(splits, [baseline], task, tmp_path / "cpu", trainer=None)
    (ours,) = _train(splits, [baseline], task, tmp_path / "gpu")
    for split in ("train", "test"):
        assert ours.metrics[split] == pytest.approx(theirs.metrics[split], rel=1e-4)
    same = ("parameters", "rows_trained", "rows_available", "features", "left_out", "model", "curves")
    assert [getattr(ours, name) for name in same] == [getattr(theirs, name) for name in same]
    saved = load_model(tmp_path / "gpu" / "baselines" / estimator)
    expected = load_model(tmp_path / "cpu" / "baselines" / estimator)
    matrix = expected.matrix(made(600, 1))
    assert saved.features == expected.features
    assert saved.predict(matrix) == pytest.approx(expected.predict(matrix), rel=1e-4)


def test_results_and_saved_models_say_who_trained_them(splits: dict[str, list[Path]], tmp_path: Path) -> None:
    results = _train(
        splits,
        [
            Baseline(estimator="dummy"),
            Baseline(estimator="logistic_regression"),
            Baseline(estimator="random_forest", parameters=SMALL, max_rows=500),
        ],
        "classification",
        tmp_path,
    )
    assert results[0].note == ""
    assert results[1].note == "trained by cuml imitated on a GPU"
    assert results[2].note.endswith("a seeded sample of 500 of 600 rows of test; trained by cuml imitated on a GPU")
    models = [load_model(tmp_path / f"baselines/{result.name}") for result in results]
    assert [model.library.split()[0] for model in models] == ["sklearn", "cuml", "cuml"]
    assert isinstance(models[1], LinearModel)
    assert isinstance(models[2], ForestModel)


def test_a_solver_that_used_up_its_iterations_is_said_once(splits: dict[str, list[Path]], tmp_path: Path) -> None:
    baseline = Baseline(estimator="logistic_regression", parameters={"max_iter": 1})
    (result,) = _train(splits, [baseline], "classification", tmp_path)
    assert "stopped after max_iter=1 iterations: it failed to converge" in result.note

    class Fitted:
        n_iter_: Any = np.array([7])

    assert convergence(Fitted(), {"max_iter": 8}) == ()
    assert convergence(Fitted(), {"max_iter": None}) == ()
    assert convergence(object(), {"max_iter": 7}) == ()
    Fitted.n_iter_ = None
    assert convergence(Fitted(), {"max_iter": 7}) == ()


def test_parameters_are_refused_before_a_row_is_read(tmp_path: Path) -> None:
    away = {"train": [tmp_path / "away.parquet"]}
    made(10, 0).write_parquet(tmp_path / "away.parquet")
    with pytest.raises(PipelineError, match="baseline 'Mine': cuML's RandomForestClassifier cannot do warm_start=True"):
        _train(
            away,
            [Baseline(estimator="random_forest", name="Mine", parameters={"warm_start": True})],
            "classification",
            tmp_path,
        )


def test_what_cuml_refuses_itself_names_the_baseline(
    splits: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: Any) -> None:
        raise ValueError("Only solver='qn' is supported")

    monkeypatch.setattr(imitated_cuml.Logistic, "fit", fit)
    with pytest.raises(PipelineError, match="baseline 'logistic_regression': cuML refused: Only solver"):
        _train(splits, [Baseline(estimator="logistic_regression")], "classification", tmp_path)


def test_coefficients_that_are_not_finite_are_an_error(
    splits: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(self: Any, columns: Any, _: Any) -> None:
        self.coef_, self.intercept_ = np.full(columns.shape[1], np.nan), 0.0

    monkeypatch.setattr(imitated_cuml.Ridge, "fit", fit)
    with pytest.raises(RunError, match="found no finite coefficients") as error:
        _train(splits, [Baseline(estimator="ridge")], "regression", tmp_path)
    assert error.value.where == "baseline 'ridge'"


def test_the_data_are_refused_as_on_the_host(tmp_path: Path) -> None:
    frame = made(600, 2).with_columns(delay=pl.lit(None, pl.Float32))
    splits = publish(tmp_path, {"train": made(600, 0), "test": frame})
    with pytest.raises(DataError, match=r"split 'test': 600 nulls in 1 column .* delay \(600\)"):
        _train(splits, [Baseline(estimator="ridge")], "regression", tmp_path)


def test_forests_predict_in_runs_of_rows(
    splits: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline = Baseline(estimator="random_forest", parameters=SMALL)
    (whole,) = _train(splits, [baseline], "classification", tmp_path / "whole")
    monkeypatch.setattr("headrace.pipelines.cuml_trainer._CHUNK", 77)
    (parts,) = _train(splits, [baseline], "classification", tmp_path / "parts")
    assert parts.metrics == whole.metrics
