from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
import xxhash
from pydantic import ValidationError
from sklearn.preprocessing import TargetEncoder
from tests.transforms.fitting import applied, gpu_gaps, learned, saved_and_loaded, transformed

from headrace.engines.translation import available
from headrace.schemas.errors import PipelineError
from headrace.schemas.names import SPLIT
from headrace.transforms.target import TargetEncode


def fold(identity: int, folds: int) -> int:
    return xxhash.xxh64_intdigest(identity.to_bytes(8, "little")) % folds


def training(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.lit(0, pl.UInt8).alias(SPLIT))


def random_rows(rows: int, seed: int = 1, categories: int = 20) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "c": [f"c{n}" for n in random.integers(0, categories, rows)],
            "id": np.arange(rows),
            "y": random.integers(0, 2, rows).astype(bool),
            "amount": random.normal(1e6, 1.0, rows),
        }
    )


def test_by_hand_out_of_fold_and_full() -> None:
    frame = training(
        pl.DataFrame({"c": ["a", "a", "a", "b", "b", None], "id": range(6), "y": [1.0, 0.0, 1.0, 1.0, 0.5, 0.0]})
    )
    step = TargetEncode(columns=["c"], target="y", fold_on=["id"], folds=3, smoothing=2)
    rows = frame.select("c", "id", "y").rows()
    expected = []
    for category, identity, _ in rows:
        others = [r for r in rows if fold(r[1], 3) != fold(identity, 3)]
        prior = sum(r[2] for r in others) / len(others)
        same = [r[2] for r in others if r[0] == category and category is not None]
        expected.append((sum(same) + 2 * prior) / (len(same) + 2))
    got = transformed(step, frame)
    assert got["c_target"].dtype == pl.Float32
    assert got["c_target"].to_list() == pytest.approx(expected)

    served = transformed(
        step, pl.DataFrame({"c": ["a", "b", "new", None], "id": range(4), "y": [0.0] * 4}), train=frame
    )
    prior = 3.5 / 6
    assert served["c_target"].to_list() == pytest.approx([(2 + 2 * prior) / 5, (1.5 + 2 * prior) / 4, prior, prior])


def test_other_splits_get_the_full_statistic() -> None:
    rows = random_rows(200)
    step = TargetEncode(columns=["c"], target="y", fold_on=["id"])
    fitted = learned(step, training(rows))
    without = applied(fitted, rows)["c_target"]
    validation = applied(fitted, rows.with_columns(pl.lit(1, pl.UInt8).alias(SPLIT)))["c_target"]
    assert validation.equals(without)
    assert not applied(fitted, training(rows))["c_target"].equals(without)


@pytest.mark.parametrize(("target", "kind"), [("y", "binary"), ("amount", "continuous")])
def test_the_full_statistic_agrees_with_scikit_learn(target: str, kind: str) -> None:
    rows = random_rows(500)
    encoder = TargetEncoder(smooth=10.0, target_type=kind)  # its prior is the mean of all rows, as ours
    expected = encoder.fit(rows.select("c").to_numpy(), rows[target].to_numpy()).transform(rows.select("c").to_numpy())
    step = TargetEncode(columns=["c"], target=target, fold_on=["id"], smoothing=10.0)
    assert transformed(step, rows)["c_target"].to_list() == pytest.approx(expected[:, 0].tolist(), rel=1e-6)


def test_out_of_fold_agrees_with_scikit_learn_fitted_on_the_other_folds() -> None:
    rows = random_rows(500)
    step = TargetEncode(columns=["c"], target="amount", fold_on=["id"], folds=4, smoothing=3.0)
    got = transformed(step, training(rows))["c_target"].to_numpy()
    folds = np.array([fold(n, 4) for n in range(500)])
    for number in range(4):
        inside, outside = rows.filter(folds == number), rows.filter(folds != number)
        encoder = TargetEncoder(smooth=3.0, target_type="continuous").fit(
            outside.select("c").to_numpy(), outside["amount"].to_numpy()
        )
        expected = encoder.transform(inside.select("c").to_numpy())[:, 0]
        assert got[folds == number] == pytest.approx(expected, rel=1e-6)


def test_time_folds_by_hand() -> None:
    frame = training(
        pl.DataFrame(
            {
                "c": ["a", "b", "a", "a", "b", "new", "a", None],
                "t": [date(2020, m, d) for m, d in [(1, 5), (1, 6), (2, 1), (2, 9), (3, 1), (3, 2), (5, 1), (5, 2)]],
                "y": [1.0, 0.0, 0.0, None, 1.0, 1.0, 0.0, 1.0],
            }
        )
    )
    step = TargetEncode(columns=["c"], target="y", fold_on=["t"], fold_by="time", prior=0.25, smoothing=1)
    # Priors: none, then (1 + 0) / 2, then 1 / 3, then 3 / 5.
    expected = [
        0.25, 0.25, (1 + 0.5) / 2, (1 + 0.5) / 2,
        (0 + 1 / 3) / 2, 1 / 3, (1 + 0.6) / 3, 0.6,
    ]  # fmt: skip
    got = transformed(step, frame.sample(fraction=1, shuffle=True, seed=3), train=frame).sort("t")
    assert got["c_target"].to_list() == pytest.approx(expected)


def test_time_folds_do_not_see_later_rows() -> None:
    rows = random_rows(400).with_columns(
        t=pl.Series([datetime(2020, 1, 1) + timedelta(hours=7 * n) for n in range(400)], dtype=pl.Datetime("us"))
    )
    step = TargetEncode(columns=["c"], target="y", fold_on=["t"], fold_by="time", every="1w", prior=0.5)
    before = transformed(step, training(rows)).head(150)
    changed = rows.with_columns(y=pl.when(pl.col("id") >= 150).then(~pl.col("y")).otherwise(pl.col("y")))
    assert transformed(step, training(changed)).head(150)["c_target"].equals(before["c_target"])
    assert transformed(step, training(rows.head(150)))["c_target"].equals(before["c_target"])


def test_rows_without_a_time_are_encoded_from_nothing() -> None:
    frame = training(
        pl.DataFrame({"c": ["a", "a", "a"], "t": [None, date(2020, 1, 1), date(2020, 2, 1)], "y": [9, 1, 3]})
    )
    step = TargetEncode(columns=["c"], target="y", fold_on=["t"], fold_by="time", prior=0.5, smoothing=0)
    assert transformed(step, frame)["c_target"].to_list() == [0.5, 0.5, 1.0]


@pytest.mark.parametrize("seed", range(3))
def test_a_random_target_does_not_leak(seed: int) -> None:
    rows = training(random_rows(4_000, seed, categories=1_500))
    step = TargetEncode(columns=["c"], target="y", fold_on=["id"], smoothing=1)
    target = rows["y"].cast(pl.Float64).to_numpy()
    got = transformed(step, rows)["c_target"].to_numpy()
    assert abs(np.corrcoef(got, target)[0, 1]) < 4 / np.sqrt(4_000)
    # The same rows encoded from themselves are far outside of that bound.
    leaked = transformed(step, rows.drop(SPLIT))["c_target"].to_numpy()
    assert np.corrcoef(leaked, target)[0, 1] > 0.4


@pytest.mark.slow
@pytest.mark.parametrize("target", ["y", "amount"])
@pytest.mark.parametrize("cuts", [(1,), (250,), (10, 20, 30, 300), (0, 500)])
def test_partitions_and_order_do_not_show(target: str, cuts: tuple[int, ...]) -> None:
    rows = random_rows(500)
    step = TargetEncode(columns=["c"], target=target, fold_on=["id"])
    whole = learned(step, rows)
    assert learned(step, rows, cuts) == whole
    assert learned(step, rows.sample(fraction=1, shuffle=True, seed=8), cuts) == whole
    encoded = applied(whole, training(rows))
    pieces = pl.concat([applied(whole, training(rows.slice(n, 100))) for n in range(0, 500, 100)])
    assert pieces.equals(encoded)


def test_targets_that_do_not_count() -> None:
    frame = pl.DataFrame({"c": ["a"] * 4, "id": range(4), "y": [1.0, None, float("nan"), float("inf")]})
    step = TargetEncode(columns=["c"], target="y", fold_on=["id"], smoothing=0)
    assert transformed(step, frame)["c_target"].to_list() == [1.0] * 4


def test_a_fold_with_nothing_outside_it_gets_the_given_prior_or_null() -> None:
    frame = training(pl.DataFrame({"c": ["a"], "id": [1], "y": [1.0]}))
    step = TargetEncode(columns=["c"], target="y", fold_on=["id"])
    assert transformed(step, frame)["c_target"].to_list() == [None]
    assert transformed(step.model_copy(update={"prior": 0.5}), frame)["c_target"].to_list() == [0.5]


def test_integers_beyond_two_to_the_53() -> None:
    frame = pl.DataFrame({"c": ["a", "a", "b"], "id": [1, 2, 3], "y": [2**62, -(2**62), 2**53 + 1]})
    step = TargetEncode(columns=["c"], target="y", fold_on=["id"], smoothing=0)
    assert transformed(step, frame)["c_target"].to_list() == [0.0, 0.0, float(np.float32(2**53))]


def test_nothing_to_learn_from() -> None:
    empty = pl.DataFrame(schema={"c": pl.String, "id": pl.Int64, "y": pl.Float64, SPLIT: pl.UInt8})
    rows = pl.DataFrame({"c": ["a", None]})
    step = TargetEncode(columns=["c"], target="y", fold_on=["id"], prior=0.5)
    for fitted in (*learned(step, empty), step.learn(pl.DataFrame())):
        assert applied([fitted], rows)["c_target"].to_list() == [0.5, 0.5]
        trained = pl.DataFrame({"c": ["a"], "id": [1], SPLIT: pl.Series([0], dtype=pl.UInt8)})
        assert applied([fitted], trained)["c_target"].to_list() == [0.5]


def test_several_columns_apart_and_combined() -> None:
    frame = pl.DataFrame({"c": ["a", "a", "b"], "d": [1, 2, 1], "id": range(3), "y": [True, False, True]})
    apart = TargetEncode(columns=["c", "d"], target="y", fold_on=["id"], smoothing=0)
    got = transformed(apart, frame)
    assert got.select("c_target", "d_target").rows() == [(0.5, 1.0), (0.5, 0.0), (1.0, 1.0)]
    together = TargetEncode(columns=["c", "d"], target="y", fold_on=["id"], smoothing=0, combo=True, output="cd")
    assert transformed(together, frame)["cd"].to_list() == [1.0, 0.0, 1.0]


def test_saved_and_loaded() -> None:
    rows = random_rows(50)
    step = TargetEncode(columns=["c"], target="y", fold_on=["id"])
    assert TargetEncode.model_validate_json(step.model_dump_json()) == step
    (fitted,) = learned(step, rows)
    assert applied([saved_and_loaded(fitted)], training(rows)).equals(applied([fitted], training(rows)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fold_by": "time"}, "needs prior"),
        ({"fold_by": "time", "prior": 0.5, "fold_on": ["a", "b"]}, "takes one column"),
        ({"fold_on": []}, "at least one"),
        ({"columns": ["c", "d"], "output": "z"}, "several columns"),
        ({"columns": ["c", "d"], "combo": True}, "combo gives one column"),
        ({"folds": 1}, "greater than or equal to 2"),
        ({"smoothing": -1}, "greater than or equal to 0"),
        ({"every": "1m"}, "expected a calendar period"),
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TargetEncode(**{"columns": ["c"], "target": "y", "fold_on": ["id"], **fields})


def test_columns_that_do_not_fit() -> None:
    numbers = {"f": pl.Float64(), "y": pl.Float64()}
    schema = pl.Schema({"c": pl.String(), "d": pl.String(), **numbers, "l": pl.List(pl.Int64)})
    with pytest.raises(PipelineError, match="as target, got String in 'c'"):
        TargetEncode(columns=["d"], target="c", fold_on=["d"]).resolve(schema)
    with pytest.raises(PipelineError, match="got Float64 in column 'f'"):
        TargetEncode(columns=["c"], target="y", fold_on=["f"]).resolve(schema)
    with pytest.raises(PipelineError, match="a date or a datetime, got String"):
        TargetEncode(columns=["c"], target="y", fold_on=["c"], fold_by="time", prior=0).resolve(schema)
    with pytest.raises(PipelineError, match="separate"):
        TargetEncode(columns=["c", "d"], target="y", fold_on=["c"]).learn(pl.DataFrame())


@pytest.mark.slow
@pytest.mark.skipif(not available(), reason="needs cudf-polars")
@pytest.mark.parametrize("fields", [{"fold_on": ["id", "c"]}, {"fold_on": ["t"], "fold_by": "time", "prior": 0.5}])
@pytest.mark.parametrize("target", ["y", "amount"])
def test_runs_on_the_gpu_but_for_the_hash(fields: dict[str, Any], target: str) -> None:
    frame = training(random_rows(5)).with_columns(t=pl.lit(date(2020, 1, 1)))
    gaps, kernels = gpu_gaps(TargetEncode(columns=["c"], target=target, **fields), frame)
    assert gaps == []
    assert kernels <= {"hash64"}
