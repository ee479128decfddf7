"""What an encoding gives away of a row's own target, tried on targets that have nothing to do with the categories.

The bound. Let n targets be independent of everything, and the encoding of each row be made of other rows' targets. Then
n * covariance is a sum over pairs of rows of products of their targets, which are uncorrelated with each other, each
with expectation 0. Its standard deviation beside those of targets and encodings makes that of the correlation
sqrt(2 / n) where each row of a pair is encoded from the other (folds by key, leave-one-out), and sqrt(1 / n) where only
the later one is (time). 4 / sqrt(n) is 2.8 and 4 of these. Centring moves it by 1 / sqrt(n * categories) at most, where
there are categories enough that their means differ more than what is left out of them: not in a single one.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.transforms.fitting import transformed

from headrace.schemas.names import SPLIT
from headrace.transforms.target import TargetEncode

ROWS = 4_000
BOUND = 4 / math.sqrt(ROWS)
WAYS: dict[str, dict[str, Any]] = {
    "key": {"fold_on": ["id"]},
    "two folds": {"fold_on": ["id"], "folds": 2},
    "group": {"fold_on": ["customer"], "fold_by": "group"},
    "time": {"fold_on": ["day"], "fold_by": "time", "prior": 0.5},
    "leave one out": {"leave_one_out": True},
}


def random_rows(seed: int, categories: int = 1_000) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "c": random.integers(0, categories, ROWS),
            "id": np.arange(ROWS),
            "customer": random.integers(0, 1_000, ROWS),
            "day": pl.Series(random.integers(0, 700, ROWS).astype(np.int32)).cast(pl.Date),
            "y": random.integers(0, 2, ROWS).astype(bool),
            "amount": random.normal(1e6, 1.0, ROWS),
            "kind": random.choice(["u", "v", "w"], ROWS),
        }
    ).with_columns(pl.lit(0, pl.UInt8).alias(SPLIT))


def correlation(rows: pl.DataFrame, encoding: str, target: str) -> float:
    return float(np.corrcoef(rows[encoding].to_numpy(), rows[target].cast(pl.Float64).to_numpy())[0, 1])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("smoothing", [1.0, "auto"])
@pytest.mark.parametrize("way", WAYS)
def test_a_random_target_does_not_leak(way: str, smoothing: Any, seed: int) -> None:
    rows = random_rows(seed)
    fields = {"prior": 0.5, **WAYS[way]}
    for target in ("y", "amount"):
        step = TargetEncode(columns=["c"], target=target, smoothing=smoothing, **fields)
        assert abs(correlation(transformed(step, rows), "c_target", target)) < BOUND
    # The same rows encoded from themselves are far outside of the bound.
    leaked = transformed(step, rows.drop(SPLIT), train=rows)
    assert correlation(leaked, "c_target", "amount") > 0.4


@pytest.mark.parametrize("way", WAYS)
def test_random_classes_do_not_leak(way: str) -> None:
    rows = random_rows(7)
    step = TargetEncode(
        columns=["c"], target="kind", classes=["u", "v", "w"], output="{class}", **{"prior": 0.3, **WAYS[way]}
    )
    got = transformed(step, rows)
    for label in ("u", "v", "w"):
        flags = got.with_columns(flag=pl.col("kind") == label)
        assert abs(correlation(flags, label, "flag")) < BOUND


@pytest.mark.parametrize("seed", range(3))
def test_folds_by_group_do_not_leak_what_a_group_has_in_common(seed: int) -> None:
    random = np.random.default_rng(seed)
    customers = 1_000
    labels = random.integers(0, 2, customers).astype(bool)  # one target for all rows of a customer
    devices = random.integers(0, 600, customers)  # a device is of a customer or a few
    customer = np.repeat(np.arange(customers), 4)
    rows = pl.DataFrame(
        {"id": np.arange(ROWS), "customer": customer, "device": devices[customer], "y": labels[customer]}
    )
    rows = rows.with_columns(pl.lit(0, pl.UInt8).alias(SPLIT))
    of = {"columns": ["device"], "target": "y", "smoothing": 1}
    by_group = transformed(TargetEncode(**of, fold_on=["customer"], fold_by="group"), rows)
    # There are as many independent targets as customers.
    assert abs(correlation(by_group, "device_target", "y")) < 4 / math.sqrt(customers)
    for fields in ({"fold_on": ["id"]}, {"leave_one_out": True}):
        by_row = transformed(TargetEncode(**of, **fields), rows)
        assert correlation(by_row, "device_target", "y") > 0.5


def test_folds_by_time_see_nothing_of_the_same_period_or_later() -> None:
    rows = random_rows(1)
    step = TargetEncode(columns=["c"], target="amount", fold_on=["day"], fold_by="time", prior=1e6, smoothing="auto")
    changed = rows.with_columns(amount=pl.when(pl.col("day") >= date(1971, 3, 1)).then(0.0).otherwise(pl.col("amount")))
    until = pl.col("day") < date(1971, 4, 1)
    before, after = (transformed(step, f).filter(until)["c_target"] for f in (rows, changed))
    assert before.equals(after)


def test_folds_leave_a_single_category_within_the_bound() -> None:
    # Its encoding has as many values as there are folds: their differences are all that could be correlated.
    for seed in range(3):
        got = transformed(TargetEncode(columns=["c"], target="y", fold_on=["id"]), random_rows(seed, categories=1))
        assert abs(correlation(got, "c_target", "y")) < BOUND


@pytest.mark.parametrize("smoothing", [0.0, 10.0])
def test_leave_one_out_falls_with_the_own_target_within_a_category(smoothing: float) -> None:
    """Prokhorenkova et al. (2018), section 3.2: a column with one value gives a binary target away."""
    rows = random_rows(3, categories=1)
    step = TargetEncode(columns=["c"], target="y", leave_one_out=True, smoothing=smoothing, prior=0.5)
    # Float32, in which a published encoding is: with 4000 rows in a category the two values still differ.
    got = transformed(step, rows)
    assert correlation(got, "c_target", "y") == pytest.approx(-1.0, abs=1e-6)
    of_true, of_false = (got.filter(pl.col("y") == y)["c_target"].unique().to_list() for y in (True, False))
    assert len(of_true) == len(of_false) == 1
    assert of_true[0] < of_false[0]

    within = transformed(step, random_rows(3, categories=50))
    for _, category in within.group_by("c"):
        assert correlation(category, "c_target", "y") == pytest.approx(-1.0, abs=1e-6)
    assert abs(correlation(within, "c_target", "y")) < BOUND  # over all of them it does not show
