"""Forests as Treelite tells them, saved and walked like scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.pipelines.imitated_cuml import Treelite

from headrace.pipelines.cuml_forest import together, trees_of
from headrace.pipelines.models import ForestModel, Trees
from headrace.schemas.errors import CapabilityError, DataError

pytest.importorskip("sklearn")

RNG = np.random.default_rng(11)
COLUMNS = RNG.normal(size=(400, 3)).astype(np.float32)
CLASSES = (COLUMNS[:, 0] + RNG.normal(size=400) > 0).astype(np.int32)


def _forest(task: str) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if task == "classification" else RandomForestRegressor
    return kind(n_estimators=4, max_depth=5, random_state=2).fit(
        COLUMNS, CLASSES if task == "classification" else COLUMNS[:, 1]
    )


def _told(forest: Any, how: str) -> Any:
    if how == "imitated":
        return Treelite(forest)
    return pytest.importorskip("treelite.sklearn", reason="Treelite is not installed").import_model(forest)


@pytest.mark.parametrize("how", ["imitated", "treelite"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_trees_predict_what_the_forest_predicts(task: Any, how: str) -> None:
    forest = _forest(task)
    model = ForestModel(
        estimator="random_forest",
        task=task,
        target="y",
        features=("a", "b", "c"),
        library="cuml",
        trees=trees_of(_told(forest, how), 3),
    )
    expected = forest.predict_proba(COLUMNS)[:, 1] if task == "classification" else forest.predict(COLUMNS)
    assert model.predict(COLUMNS) == pytest.approx(expected, rel=1e-12)


def _tree(left: list[int], right: list[int], value: list[float]) -> Trees:
    inner = np.array(left) >= 0
    return Trees(
        tree=np.zeros(len(left), dtype=np.int32),
        feature=np.where(inner, 0, -1).astype(np.int32),
        threshold=np.arange(len(left), dtype=np.float64),
        left=np.array(left, dtype=np.int32),
        right=np.array(right, dtype=np.int32),
        value=np.array(value),
    )


def test_nodes_are_renumbered_where_a_child_comes_before_its_parent() -> None:
    joined = together(
        [_tree([1, -1, -1], [2, -1, -1], [0, 1, 2]), _tree([4, -1, -1, -1, 1], [3, -1, -1, -1, 2], [9, 8, 7, 6, 5])], 1
    )
    assert joined.tree.tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert joined.left.tolist() == [1, -1, -1, 1, 3, -1, -1, -1]
    assert joined.right.tolist() == [2, -1, -1, 2, 4, -1, -1, -1]
    assert joined.value.tolist() == [0, 1, 2, 9, 5, 6, 8, 7]
    assert joined.threshold.tolist() == [0, 1, 2, 0, 4, 3, 1, 2]


def test_nodes_that_go_round_in_a_circle_are_refused() -> None:
    with pytest.raises(CapabilityError, match="do not form trees"):
        together([_tree([1, 0], [1, 0], [0, 0])], 1)
    with pytest.raises(DataError, match="do not form trees"):
        together([_tree([1, -1, -1], [7, -1, -1], [0, 0, 0])], 1)


def test_forests_of_another_kind_are_refused() -> None:
    from sklearn.ensemble import RandomForestClassifier

    with pytest.raises(CapabilityError, match="its trees are not averaged"):
        trees_of(Treelite(_forest("regression"), average_tree_output=[0]), 3)
    three = RandomForestClassifier(n_estimators=1, random_state=0).fit(COLUMNS, RNG.integers(0, 3, 400))
    with pytest.raises(CapabilityError, match="another number of classes than two"):
        trees_of(Treelite(three), 3)
    other = Treelite(_forest("regression"))
    other._trees[1].fields["cmp"] = np.where(other._trees[1].fields["cleft"] < 0, 0, 2)
    with pytest.raises(CapabilityError, match="its splits are not x <= threshold") as error:
        trees_of(other, 3)
    assert error.value.hint
