"""Several workers that train one model: the client's part, the parts' rows and what comes back, with threads of this
process for workers and scikit-learn in cuML's place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.pipelines import imitated_cuml
from tests.pipelines.made_shards import FEATURES, made, publish

from headrace.pipelines import cuml_workers
from headrace.pipelines.baselines import train_baselines
from headrace.pipelines.cuml_trainer import CumlTrainer
from headrace.pipelines.cuml_workers import Spread, WorkersTrainer, dask_path
from headrace.pipelines.estimators import TABLE, Task
from headrace.pipelines.matrix import read_rows
from headrace.pipelines.model import Baseline
from headrace.pipelines.models import load_model
from headrace.schemas.errors import DataError, PipelineError

pytest.importorskip("sklearn")
pytestmark = pytest.mark.slow

SMALL = {"n_estimators": 8, "max_depth": 6}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=3, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def trainer(client: Any, monkeypatch: pytest.MonkeyPatch) -> WorkersTrainer:
    libraries = imitated_cuml.libraries()
    monkeypatch.setattr(cuml_workers, "installed", lambda: libraries)
    monkeypatch.setattr(cuml_workers, "find", imitated_cuml.find)
    return WorkersTrainer(client, sorted(client.scheduler_info(n_workers=-1)["workers"]))


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
def test_a_model_of_several_is_the_model_of_one(
    trainer: WorkersTrainer, tmp_path: Path, task: Task, estimator: Any
) -> None:
    splits = publish(tmp_path, {"train": made(2000, 0), "test": made(600, 1)}, shard_rows=333)
    baseline = Baseline(estimator=estimator, parameters=SMALL if estimator == "random_forest" else {}, max_rows=1500)
    target = "late" if task == "classification" else "minutes"
    results = [
        train_baselines(splits, [baseline], FEATURES, target, task, tmp_path / folder, trainer=by)[0]
        for folder, by in (("one", CumlTrainer(imitated_cuml.libraries())), ("several", trainer))
    ]
    for split in ("train", "test"):
        assert results[1].metrics[split] == pytest.approx(results[0].metrics[split], rel=1e-5)
    assert results[1].rows_trained == 1500
    if estimator != "dummy":
        assert results[1].note.endswith("trained by cuml imitated on 3 GPUs")
    matrix = np.column_stack([made(50, 2)[name].cast(pl.Float32).to_numpy() for name in FEATURES])
    one, several = (load_model(tmp_path / folder / "baselines" / estimator) for folder in ("one", "several"))
    assert several.predict(matrix) == pytest.approx(one.predict(matrix), rel=1e-5)


def test_every_worker_holds_a_run_of_the_rows_and_none_is_empty(trainer: WorkersTrainer, tmp_path: Path) -> None:
    splits = publish(tmp_path, {"train": made(2000, 0)}, shard_rows=333)
    spread = trainer.read("train", splits["train"], FEATURES, "late", max_rows=1000, seed=5)
    assert isinstance(spread, Spread)
    whole = read_rows("train", splits["train"], FEATURES, "late", max_rows=1000, seed=5)
    assert np.array_equal(spread.label, whole.label)
    assert (spread.sizes, spread.available) == ((333, 333, 334), 2000)
    few = trainer.read("train", splits["train"], FEATURES, "late", max_rows=2, seed=5)
    assert few.sizes == (1, 1)
    assert len(few.parts) == 2


def test_what_parts_hold_that_cannot_be_used_is_counted_together(trainer: WorkersTrainer, tmp_path: Path) -> None:
    frame = made(900, 2).with_columns(hour=pl.when(pl.int_range(pl.len()) % 3 > 0).then("hour"))
    splits = publish(tmp_path, {"train": made(900, 0), "test": frame})
    with pytest.raises(DataError, match=r"split 'test': 300 nulls in 1 column .* hour \(300\)"):
        train_baselines(
            splits, [Baseline(estimator="ridge")], FEATURES, "minutes", "regression", tmp_path, trainer=trainer
        )
    with pytest.raises(DataError, match="1 columns are missing: speed"):
        trainer.read("train", splits["train"], ("speed",), "late", max_rows=10, seed=0)


def test_what_one_gpu_can_do_and_several_cannot_is_refused(trainer: WorkersTrainer, tmp_path: Path) -> None:
    splits = publish(tmp_path, {"train": made(900, 0)})
    baseline = Baseline(estimator="logistic_regression", parameters={"class_weight": "balanced"})
    with pytest.raises(
        PipelineError, match=r"baseline 'logistic_regression': .* on several GPUs cannot do class_weight"
    ):
        train_baselines(splits, [baseline], FEATURES, "late", "classification", tmp_path, trainer=trainer)


def test_classes_for_several_gpus_are_named_after_those_for_one() -> None:
    assert [dask_path(row) for row in TABLE if row.cuml] == [
        "cuml.dask.linear_model.LogisticRegression",
        "cuml.dask.linear_model.Ridge",
        "cuml.dask.ensemble.RandomForestClassifier",
        "cuml.dask.ensemble.RandomForestRegressor",
    ]
