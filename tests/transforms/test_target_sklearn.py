"""TargetEncode beside scikit-learn's TargetEncoder, where the definitions meet: no null category, one table of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import xxhash
from sklearn.preprocessing import TargetEncoder
from tests.transforms.fitting import transformed

from headrace.schemas.names import SPLIT
from headrace.transforms.target import TargetEncode

KINDS = {"flag": "binary", "amount": "continuous", "far": "continuous", "count": "continuous", "class": "multiclass"}
CLASSES = ["bus", "car", "train"]


def rows_of(rows: int, seed: int = 2, categories: int = 12) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    category = random.integers(0, categories, rows)
    return pl.DataFrame(
        {
            "c": [f"c{n}" for n in category],
            "d": random.integers(-3, 3, rows),
            "id": np.arange(rows),
            "flag": random.random(rows) < category / categories,
            "amount": random.normal(category, 3.0),
            "far": random.normal(1.6e9, 1.0, rows),
            "count": random.integers(-1000, 1000, rows),
            "class": random.choice(CLASSES, rows, p=[0.2, 0.5, 0.3]),
        }
    ).with_columns(pl.lit(0, pl.UInt8).alias(SPLIT))


def theirs(train: pl.DataFrame, rows: pl.DataFrame, columns: list[str], target: str, smooth: Any) -> npt.NDArray[Any]:
    """What scikit-learn, fitted on `train`, makes of `rows`: a column per column and class."""
    encoder = TargetEncoder(smooth=smooth, target_type=KINDS[target])
    encoder.fit(train.select(columns).to_numpy().astype(object), train[target].to_numpy())
    found: npt.NDArray[Any] = encoder.transform(rows.select(columns).to_numpy().astype(object))
    return found


def ours(columns: list[str], target: str, smooth: Any, **fields: Any) -> TargetEncode:
    if target == "class":
        fields |= {"classes": CLASSES, "output": "{column} {class}"}
    return TargetEncode(columns=columns, target=target, smoothing=smooth, **fields)


@pytest.mark.slow
@pytest.mark.parametrize("smooth", [0.0, 3.5, 1000.0, "auto"])
@pytest.mark.parametrize("target", KINDS)
def test_the_full_statistic(target: str, smooth: Any) -> None:
    rows, columns = rows_of(400), ["c", "d"]
    step = ours(columns, target, smooth, fold_on=["id"])
    got = transformed(step, rows.drop(SPLIT)).select(step.writes).to_numpy()
    assert got == pytest.approx(theirs(rows, rows, columns, target, smooth), rel=1e-6)


@pytest.mark.parametrize("target", KINDS)
def test_a_category_of_equal_targets_is_left_as_it_is_by_auto(target: str) -> None:
    rows = rows_of(30, seed=5)
    odd = pl.col("c").is_in(["c1", "c2"])
    rows = rows.with_columns(pl.when(odd).then(pl.col(target).first()).otherwise(pl.col(target)).alias(target))
    step = ours(["c"], target, "auto", fold_on=["id"])
    got = transformed(step, rows.drop(SPLIT)).select(step.writes).to_numpy()
    assert got == pytest.approx(theirs(rows, rows, ["c"], target, "auto"), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("smooth", [5.0, "auto"])
@pytest.mark.parametrize("target", ["flag", "amount", "class"])
def test_out_of_fold_is_theirs_fitted_on_the_other_folds(target: str, smooth: Any) -> None:
    rows = rows_of(500)
    step = ours(["c"], target, smooth, fold_on=["id"], folds=4)
    got = transformed(step, rows).select(step.writes).to_numpy()
    folds = np.array([xxhash.xxh64_intdigest(n.to_bytes(8, "little")) % 4 for n in range(500)])
    for number in range(4):
        inside, outside = rows.filter(folds == number), rows.filter(folds != number)
        assert got[folds == number] == pytest.approx(theirs(outside, inside, ["c"], target, smooth), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("smooth", [0.0, 5.0, "auto"])
@pytest.mark.parametrize("target", KINDS)
def test_left_out_is_theirs_fitted_on_the_other_rows(target: str, smooth: Any) -> None:
    rows = rows_of(24, categories=4)
    step = ours(["c"], target, smooth, leave_one_out=True)
    got = transformed(step, rows).select(step.writes).to_numpy()
    places = np.arange(rows.height)
    for n in range(rows.height):
        expected = theirs(rows.filter(places != n), rows[n], ["c"], target, smooth)
        assert got[n] == pytest.approx(expected[0], rel=1e-6)


def test_the_example_of_their_documentation() -> None:
    animals = ["dog"] * 20 + ["cat"] * 30 + ["snake"] * 38
    targets = [90.3] * 5 + [80.1] * 15 + [20.4] * 5 + [20.1] * 25 + [21.2] * 8 + [49.0] * 30
    rows = pl.DataFrame({"animal": animals, "id": range(88), "y": targets})
    asked = pl.DataFrame({"animal": ["cat", "dog", "snake", "cow"]})
    for smooth, expected in ((5000.0, [44.1, 44.4, 44.3, 44.3]), (1.0, [21.0, 80.8, 43.2, 44.3])):
        step = TargetEncode(columns=["animal"], target="y", fold_on=["id"], smoothing=smooth)
        got = transformed(step, asked, train=rows)["animal_target"]
        assert got.to_list() == pytest.approx(expected, abs=0.1)  # theirs are printed to three digits
