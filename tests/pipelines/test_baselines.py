"""Baselines on small published shards: values against scikit-learn, determinism, saved forms, refusals."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from tests.pipelines.made_shards import FEATURES, made, publish

from headrace.pipelines.baselines import train_baselines
from headrace.pipelines.estimators import TABLE, Task, find_estimator
from headrace.pipelines.matrix import read_rows
from headrace.pipelines.model import Baseline
from headrace.pipelines.models import ForestModel, LinearModel, load_model
from headrace.schemas.errors import DataError, PipelineError

SMALL = {"n_estimators": 8, "max_depth": 6}

pytest.importorskip("sklearn")


@pytest.fixture
def frames() -> dict[str, pl.DataFrame]:
    return {"train": made(2000, 0), "validation": made(600, 1), "test": made(600, 2)}


@pytest.fixture
def splits(frames: dict[str, pl.DataFrame], tmp_path: Path) -> dict[str, list[Path]]:
    return publish(tmp_path, frames)


def test_logistic_regression_is_scikit_learns_on_scaled_columns(
    frames: dict[str, pl.DataFrame], splits: dict[str, list[Path]], tmp_path: Path
) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = ("delay", "distance", "hour")
    (result,) = train_baselines(
        splits,
        [Baseline(estimator="logistic_regression", features=names)],
        FEATURES,
        "late",
        "classification",
        tmp_path,
    )
    reference = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    reference.fit(frames["train"].select(names).to_numpy(), frames["train"]["late"].to_numpy())
    expected = reference.predict_proba(frames["test"].select(names).to_numpy())[:, 1]
    model = load_model(tmp_path / "baselines/logistic_regression")
    assert isinstance(model, LinearModel)
    assert model.features == names
    assert model.predict(model.matrix(frames["test"])) == pytest.approx(expected, abs=2e-4)
    auc = roc_auc_score(frames["test"]["late"].to_numpy(), expected)
    assert result.metrics["test"]["auc"] == pytest.approx(auc, abs=1e-3)
    assert auc > 0.75


@pytest.mark.slow
def test_a_saved_forest_predicts_what_scikit_learn_predicts(
    frames: dict[str, pl.DataFrame], splits: dict[str, list[Path]], tmp_path: Path
) -> None:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    cases: list[tuple[Task, str, Any]] = [
        ("classification", "late", RandomForestClassifier),
        ("regression", "minutes", RandomForestRegressor),
    ]
    for task, target, kind in cases:
        build = tmp_path / task
        train_baselines(
            splits,
            [Baseline(estimator="random_forest", parameters=SMALL, seed=5)],
            FEATURES,
            target,
            task,
            build,
        )
        matrices = {
            split: np.column_stack([frame[name].cast(pl.Float32).to_numpy() for name in FEATURES])
            for split, frame in frames.items()
        }
        estimator = kind(
            n_estimators=8,
            max_depth=6,
            min_samples_leaf=10,
            max_samples=1.0,
            max_features="sqrt" if task == "classification" else 1 / 3,
            random_state=5,
        ).fit(matrices["train"], frames["train"][target].to_numpy())
        ask = estimator.predict_proba if task == "classification" else estimator.predict
        expected = ask(matrices["test"]).reshape(600, -1)[:, -1]
        model = load_model(build / "baselines/random_forest")
        assert isinstance(model, ForestModel)
        assert model.predict(matrices["test"]) == pytest.approx(expected, rel=1e-12)


def test_a_dummy_says_the_base_rate_and_ridge_the_line(splits: dict[str, list[Path]], tmp_path: Path) -> None:
    dummy, ridge = train_baselines(
        splits, [Baseline(estimator="dummy"), Baseline(estimator="ridge")], FEATURES, "minutes", "regression", tmp_path
    )
    assert dummy.metrics["train"]["r2"] == pytest.approx(0)
    assert dummy.features == 0
    assert dummy.left_out == ()
    assert ridge.metrics["test"]["r2"] == pytest.approx(0.68, abs=0.05)  # carriers' parity is not linear in the id
    assert set(ridge.metrics) == {"train", "validation", "test"}


@pytest.mark.slow
def test_linear_models_leave_categories_out_unless_named_and_forests_do_not(
    splits: dict[str, list[Path]], tmp_path: Path
) -> None:
    results = train_baselines(
        splits,
        [
            Baseline(estimator="logistic_regression"),
            Baseline(estimator="logistic_regression", name="Named it!", features=("carrier", "delay")),
            Baseline(estimator="random_forest", parameters=SMALL),
        ],
        FEATURES,
        "late",
        "classification",
        tmp_path,
        categorical={"carrier"},
    )
    assert [result.left_out for result in results] == [("carrier",), (), ()]
    assert [result.features for result in results] == [4, 2, 5]
    assert "1 features left out: carrier" in results[0].note
    assert results[1].model == "baselines/named-it/model.json"


@pytest.mark.slow
def test_models_and_metrics_do_not_depend_on_the_shards_or_on_the_run(
    frames: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    baselines = [
        Baseline(estimator="random_forest", parameters=SMALL, max_rows=900),
        Baseline(estimator="logistic_regression", max_rows=900),
    ]
    outcomes = []
    for name, shard_rows in (("a", 700), ("b", 700), ("c", 123)):
        build = tmp_path / name
        results = train_baselines(
            publish(build, frames, shard_rows), baselines, FEATURES, "late", "classification", build
        )
        files = {path.name: path.read_bytes() for path in sorted(build.glob("baselines/*/*"))}
        outcomes.append(([result.metrics for result in results], files))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_the_sample_is_stated_and_in_order(splits: dict[str, list[Path]], tmp_path: Path) -> None:
    (result,) = train_baselines(
        splits, [Baseline(estimator="dummy", max_rows=500)], FEATURES, "late", "classification", tmp_path
    )
    assert (result.rows_trained, result.rows_available) == (500, 2000)
    assert result.metrics["test"]["rows"] == 500
    assert "a seeded sample of 500 of 2,000 rows of train" in result.note
    one, two = (
        read_rows("train", splits["train"], ["distance"], "late", max_rows=500, seed=seed).features for seed in (0, 1)
    )
    assert not np.array_equal(one, two)


@pytest.mark.slow
def test_results_say_what_was_measured(splits: dict[str, list[Path]], tmp_path: Path) -> None:
    done: list[str] = []
    results = train_baselines(
        splits,
        [Baseline(estimator="random_forest", parameters=SMALL), Baseline(estimator="dummy")],
        FEATURES,
        "late",
        "classification",
        tmp_path,
        on_done=lambda result: done.append(result.name),
    )
    assert done == ["random_forest", "dummy"]
    assert results[1].metrics["test"]["auc"] == 0.5
    forest = results[0]
    assert forest.seconds is not None
    assert forest.predict_seconds is not None
    assert forest.parameters["max_samples"] == 1.0
    assert (forest.metrics["test"]["auc"] or 0) > 0.8
    assert forest.curves is not None
    curves = json.loads((tmp_path / forest.curves).read_text())
    assert set(curves["splits"]["test"]) == {"roc", "precision_recall", "calibration"}


def test_what_does_not_converge_is_said(splits: dict[str, list[Path]], tmp_path: Path) -> None:
    (result,) = train_baselines(
        splits,
        [Baseline(estimator="logistic_regression", parameters={"max_iter": 1})],
        FEATURES,
        "late",
        "classification",
        tmp_path,
    )
    assert "failed to converge" in result.note


@pytest.mark.parametrize(
    ("change", "estimator", "message"),
    [
        (pl.lit(None, pl.Float32).alias("delay"), "ridge", r"split 'test': 600 nulls in 1 column .* delay \(600\)"),
        (pl.lit(float("nan"), pl.Float32).alias("delay"), "ridge", r"600 values that are NaN.*delay \(600\)"),
        (pl.lit(1e39).alias("distance"), "ridge", r"too large for float32 in 1 column that .* distance \(600\)"),
        (pl.lit(0, pl.Int8).alias("late"), "dummy", r"split 'test': the target 'late' is 0 in all 600 rows"),
        (pl.lit(3, pl.Int8).alias("late"), "dummy", r"0 and 1, got 1 different values in 'late': 3"),
    ],
)
def test_values_that_cannot_be_used_are_refused_with_split_column_and_count(
    frames: dict[str, pl.DataFrame], tmp_path: Path, change: pl.Expr, estimator: str, message: str
) -> None:
    frames["test"] = frames["test"].with_columns(change)
    splits = publish(tmp_path, frames)
    task: Task = "regression" if estimator == "ridge" else "classification"
    baseline = Baseline.model_validate({"estimator": estimator})
    with pytest.raises(DataError, match=message) as error:
        train_baselines(splits, [baseline], FEATURES, "late", task, tmp_path)
    assert error.value.hint


def test_an_empty_split_is_refused(frames: dict[str, pl.DataFrame], tmp_path: Path) -> None:
    frames["validation"] = frames["validation"].head(0)
    for splits in (publish(tmp_path, frames), {"train": [tmp_path / "train/part-00000.parquet"], "validation": []}):
        with pytest.raises(DataError, match="split 'validation' has no rows"):
            train_baselines(splits, [Baseline(estimator="dummy")], FEATURES, "late", "classification", tmp_path)


def test_text_is_left_out_and_refused_when_named(frames: dict[str, pl.DataFrame], tmp_path: Path) -> None:
    splits = publish(tmp_path, {k: f.with_columns(name=pl.lit("x")) for k, f in frames.items()})
    features = (*FEATURES, "name")
    (result,) = train_baselines(
        splits, [Baseline(estimator="logistic_regression")], features, "late", "classification", tmp_path
    )
    assert result.left_out == ("name",)
    with pytest.raises(DataError, match=r"numbers and booleans, got name \(large_string\)"):
        train_baselines(
            splits,
            [Baseline(estimator="logistic_regression", features=("name",))],
            features,
            "late",
            "classification",
            tmp_path,
        )


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (Baseline(estimator="ridge"), "no baseline 'ridge' for classification"),
        (Baseline(estimator="logistic_regression", features=("speed",)), "1 features are not published: speed"),
        (Baseline(estimator="random_forest", parameters={"trees": 3}), "no parameter 'trees'"),
        (Baseline(estimator="random_forest", parameters={"n_estimators": -3}), "n_estimators"),
        (Baseline(estimator="dummy", parameters={"strategy": "stratified"}), "a dummy takes no parameters"),
    ],
)
def test_a_wrong_baseline_is_a_pipeline_error(
    splits: dict[str, list[Path]], tmp_path: Path, baseline: Baseline, message: str
) -> None:
    with pytest.raises(PipelineError, match=message):
        train_baselines(splits, [baseline], FEATURES, "late", "classification", tmp_path)


def test_a_linear_model_without_a_feature_is_refused(splits: dict[str, list[Path]], tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="none of the 5 features suits a logistic_regression"):
        train_baselines(
            splits,
            [Baseline(estimator="logistic_regression")],
            FEATURES,
            "late",
            "classification",
            tmp_path,
            categorical=FEATURES,
        )


def test_loading_refuses_pickles_and_trees_that_do_not_end(splits: dict[str, list[Path]], tmp_path: Path) -> None:
    train_baselines(
        splits,
        [Baseline(estimator="random_forest", parameters=SMALL)],
        FEATURES,
        "late",
        "classification",
        tmp_path,
    )
    folder = tmp_path / "baselines/random_forest"
    table = pl.read_parquet(folder / "trees.parquet")
    (folder / "trees.parquet").unlink()
    table.with_columns(left=pl.when(pl.col("left") >= 0).then(0).otherwise(-1).cast(pl.Int32)).write_parquet(
        folder / "trees.parquet"
    )
    with pytest.raises(DataError, match="its nodes do not form trees"):
        load_model(folder)
    (folder / "trees.parquet").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(DataError, match="is no saved forest"):
        load_model(folder)
    (folder / "model.json").unlink()
    (folder / "model.json").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(DataError, match="is no saved baseline"):
        load_model(folder)


def test_the_table_names_a_twin_on_the_gpu_for_all_that_takes_time() -> None:
    assert {(row.name, row.task) for row in TABLE if not row.cuml} == {
        ("dummy", "classification"),
        ("dummy", "regression"),
    }
    assert find_estimator("logistic_regression", "classification").cuml == "cuml.linear_model.LogisticRegression"


def test_only_the_columns_asked_for_are_read(splits: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda self, group, columns: asked.append(columns) or original(self, group, columns=columns),
    )
    read_rows("test", splits["test"], ["hour"], "late", max_rows=10, seed=0)
    assert asked == [["hour", "late"]]
