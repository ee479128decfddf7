"""Buckets against literals and scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from sklearn.preprocessing import KBinsDiscretizer

from headrace.engines.cpu import CpuEngine
from headrace.transforms.base import UNIT, Ids
from headrace.transforms.buckets import Bucketize, QuantileBucketize, QuantileBucketized
from headrace.transforms.columns import Columns

ENGINE = CpuEngine()


def buckets(values: Any, dtype: Any, **fields: Any) -> list[int | None]:
    frame = pl.LazyFrame({"x": pl.Series(values, dtype=dtype)})
    got = Bucketize(columns="x", **fields).apply(frame, ENGINE).collect()
    assert got.schema == {"x": pl.Int32}
    return got["x"].to_list()


def test_a_boundary_belongs_to_the_bucket_above_it() -> None:
    assert buckets([-math.inf, 0.9, 1.0, 1.5, 2.0, math.inf], pl.Float64, boundaries=[1, 2]) == [0, 0, 1, 1, 2, 2]


def test_null_and_nan_stay_null_or_get_a_bucket_of_their_own() -> None:
    assert buckets([None, math.nan, 0.0], pl.Float64, boundaries=[1, 2]) == [None, None, 0]
    assert buckets([None, math.nan, 0.0], pl.Float64, boundaries=[1, 2], nulls="own") == [3, 3, 0]


def test_integers_beyond_2_to_the_53_are_compared_without_rounding() -> None:
    values = [2**53, 2**53 + 1, 2**53 + 2, None, -(2**63), 2**63 - 1]
    assert buckets(values, pl.Int64, boundaries=[2**53 + 1, 2**53 + 2]) == [0, 1, 2, None, 0, 2]


def test_boundaries_between_and_beyond_the_integers_of_a_type() -> None:
    assert buckets([-128, 0, 1, 127, None], pl.Int8, boundaries=[-1000, 0.5, 1000]) == [1, 1, 2, 2, None]
    assert buckets([0, 2**64 - 1], pl.UInt64, boundaries=[-1, 2**64 - 1]) == [1, 2]
    assert buckets([1, None], pl.Int8, boundaries=[300, 400]) == [0, None]


def test_booleans_and_float32() -> None:
    assert buckets([False, True, None], pl.Boolean, boundaries=[0.5]) == [0, 1, None]
    assert buckets([0.25, 0.5], pl.Float32, boundaries=[0.5]) == [0, 1]


@pytest.mark.parametrize("boundaries", [[], [2, 1], [1, 1], [math.nan], [0, math.inf]])
def test_boundaries_that_do_not_rise_are_refused(boundaries: list[float]) -> None:
    with pytest.raises(ValidationError):
        Bucketize(columns="x", boundaries=boundaries)


def test_ids_say_how_many_buckets_there_are() -> None:
    assert Bucketize(columns=["x"], boundaries=[1, 2], output="{column}_b").ids == {"x_b": Ids(3)}
    assert Bucketize(columns=["x"], boundaries=[1, 2], nulls="own").ids == {"x": Ids(4, null_id=3)}


def learned(values: Any, n: int, **fields: Any) -> QuantileBucketized:
    step = QuantileBucketize(columns=Columns(names=("x",)), n=n, **fields)
    table = step.measure(pl.LazyFrame({"x": values}), ENGINE).with_columns(pl.lit(0, pl.Int64).alias(UNIT))
    fitted = step.learn(step.merge([table]).collect())
    assert isinstance(fitted, QuantileBucketized)
    return fitted


@pytest.mark.parametrize("n", [2, 4, 10])
def test_quantile_buckets_are_those_of_scikit_learn(n: int) -> None:
    values = np.random.default_rng(n).normal(size=1000)
    twin = KBinsDiscretizer(
        n, encode="ordinal", strategy="quantile", quantile_method="averaged_inverted_cdf", subsample=None
    )
    expected = twin.fit_transform(values.reshape(-1, 1))[:, 0]
    got = learned(values, n).apply(pl.LazyFrame({"x": values}), ENGINE).collect()["x"]
    np.testing.assert_array_equal(got.to_numpy(), expected)


def test_equal_quantiles_make_one_boundary_and_null_has_the_id_after_the_last() -> None:
    fitted = learned([1.0] * 90 + [2.0] * 10, 4, nulls="own")
    assert fitted.boundaries == ((1.0,),)
    got = fitted.apply(pl.LazyFrame({"x": [0.0, 1.0, None]}), ENGINE).collect()
    assert got["x"].to_list() == [0, 1, 4]
    assert fitted.ids == {"x": Ids(5, null_id=4)}


def test_nothing_to_learn_from_gives_bucket_zero() -> None:
    fitted = learned(pl.Series([None], dtype=pl.Float64), 4)
    assert fitted.boundaries == ((),)
    assert fitted.apply(pl.LazyFrame({"x": [5.0, None]}), ENGINE).collect()["x"].to_list() == [0, None]


@pytest.mark.parametrize("n", [0, -1, 65537])
def test_a_number_of_buckets_out_of_range_is_refused(n: int) -> None:
    with pytest.raises(ValidationError):
        QuantileBucketize(columns="x", n=n)
