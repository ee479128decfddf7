"""Hash buckets against the xxhash library."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest
import xxhash
from pydantic import ValidationError

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Ids
from headrace.transforms.hashing import HashBucket, HashCross

ENGINE = CpuEngine()
NULL = 0x9E3779B97F4A7C15


def reference(value: Any, seed: int = 0) -> int:
    if value is None:
        return NULL
    if isinstance(value, str):
        return xxhash.xxh64_intdigest(value.encode(), seed)
    whole = (value - date(1970, 1, 1)).days if isinstance(value, date) else int(value)
    return xxhash.xxh64_intdigest((whole % 2**64).to_bytes(8, "little"), seed)


def crossed(values: tuple[Any, ...], seed: int = 0) -> int:
    total = reference(values[0], seed)
    for value in values[1:]:
        both = total.to_bytes(8, "little") + reference(value, seed).to_bytes(8, "little")
        total = xxhash.xxh64_intdigest(both, seed)
    return total


FRAME = pl.DataFrame(
    {
        "text": ["", "a", "日本", None, "x" * 5000],
        "big": [2**53 + 1, -1, None, -(2**63), 2**63 - 1],
        "flag": [True, False, None, True, False],
        "day": [date(1969, 12, 31), date(2024, 2, 29), None, date(1970, 1, 1), date(2013, 1, 1)],
    }
)


@pytest.mark.parametrize("seed", [0, 42, 2**64 - 1])
def test_buckets_are_xxh64_modulo_n(seed: int) -> None:
    step = HashBucket(columns="all", n=1000, seed=seed).resolve(FRAME.schema)
    got = step.apply(FRAME.lazy(), ENGINE).collect()
    assert got.dtypes == [pl.Int32] * 4
    for column in FRAME.columns:
        assert got[column].to_list() == [reference(v, seed) % 1000 for v in FRAME[column]]
    assert step.ids == {c: Ids(1000) for c in FRAME.columns}


def test_equal_integers_share_a_bucket_whatever_their_type() -> None:
    frame = pl.LazyFrame({"a": pl.Series([7], dtype=pl.Int8), "b": pl.Series([7], dtype=pl.UInt64)})
    got = HashBucket(columns=["a", "b"], n=10**6).apply(frame, ENGINE).collect()
    assert got["a"].item() == got["b"].item()


@pytest.mark.parametrize("columns", [["text", "big"], ["text", "big", "flag", "day"]])
def test_a_cross_folds_pairs_of_hashes_in_order(columns: list[str]) -> None:
    n = 2**31 - 1
    step = HashCross(columns=columns, n=n, output="cross", seed=3).resolve(FRAME.schema)
    got = step.apply(FRAME.lazy(), ENGINE).collect()
    assert got.columns == [*FRAME.columns, "cross"]
    assert got["cross"].to_list() == [crossed(row, 3) % n for row in FRAME.select(columns).rows()]


def test_a_cross_is_ordered_and_equal_values_do_not_cancel() -> None:
    frame = pl.LazyFrame({"a": ["x", "y", "x", "y"], "b": ["y", "x", "x", "y"]})
    got = HashCross(columns=["a", "b"], n=2**31 - 1, output="c").apply(frame, ENGINE).collect()["c"]
    assert got.n_unique() == 4
    assert 0 not in got


def test_buckets_are_even() -> None:
    frame = pl.LazyFrame({"id": range(100_000)})
    counts = HashBucket(columns="id", n=10).apply(frame, ENGINE).collect()["id"].value_counts()["count"]
    assert counts.len() == 10
    assert counts.is_between(9_600, 10_400).all()


def test_floats_and_single_columns_are_refused() -> None:
    schema = pl.Schema({"x": pl.Float64, "s": pl.String})
    with pytest.raises(PipelineError, match="HashBucket takes a string, an integer, a boolean or a date, got Float64"):
        HashBucket(columns="x", n=2).resolve(schema)
    with pytest.raises(PipelineError, match="two or more columns, got 1"):
        HashCross(columns="s", n=2, output="c").resolve(schema)


@pytest.mark.parametrize("n", [0, -3, 2**31])
def test_a_number_of_buckets_out_of_range_is_refused(n: int) -> None:
    with pytest.raises(ValidationError):
        HashBucket(columns="s", n=n)
