"""ReduceDtypes against literals."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from headrace.engines.cpu import CpuEngine
from headrace.schemas.contract import Column
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Transform
from headrace.transforms.elements import parts
from headrace.transforms.narrow import Range, ReduceDtypes, declared_ranges

ENGINE = CpuEngine()


def reduced(dtype: Any, low: int, high: int, values: list[int | None]) -> pl.Series:
    frame = pl.LazyFrame({"x": pl.Series(values, dtype=dtype)})
    step = ReduceDtypes(columns="x", ranges={"x": (low, high)}).resolve(frame.collect_schema())
    return step.apply(frame, ENGINE).collect()["x"]


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 127, pl.Int8),
        (-128, 127, pl.Int8),
        (0, 128, pl.UInt8),
        (0, 255, pl.UInt8),
        (-1, 128, pl.Int16),
        (0, 256, pl.Int16),
        (0, 65535, pl.UInt16),
        (-1, 65535, pl.Int32),
        (0, 2**32 - 1, pl.UInt32),
        (-1, 2**32 - 1, pl.Int64),
        (-(2**63), 2**63 - 1, pl.Int64),
    ],
)
def test_the_smallest_type_that_holds_the_range(low: int, high: int, dtype: Any) -> None:
    got = reduced(pl.Int64, low, high, [low, high, None])
    assert got.dtype == dtype
    assert got.to_list() == [low, high, None]


def test_no_type_becomes_larger_or_another_as_large() -> None:
    assert reduced(pl.UInt8, 0, 100, [1]).dtype == pl.UInt8
    assert reduced(pl.Int8, 0, 255, [1]).dtype == pl.Int8
    assert reduced(pl.UInt64, 0, 2**64 - 1, [2**64 - 1]).to_list() == [2**64 - 1]
    assert reduced(pl.UInt64, 0, 2**63 - 1, [2**63 - 1]).dtype == pl.UInt64


def test_a_value_that_the_type_cannot_hold_is_an_error_and_never_wraps() -> None:
    with pytest.raises(pl.exceptions.InvalidOperationError, match="300"):
        reduced(pl.Int64, 0, 100, [1, 300])


def test_what_a_kind_matches_without_a_range_stays_as_it_is() -> None:
    schema = pl.Schema({"a": pl.Int64, "b": pl.Int64, "f": pl.Float64})
    step = ReduceDtypes(columns="numeric").within({"a": Range(0, 9), "f": Range(0, 9)}, schema).resolve(schema)
    assert step.apply(pl.LazyFrame(schema=schema), ENGINE).collect_schema() == {**schema, "a": pl.Int8}


def test_its_own_ranges_come_before_those_that_are_known() -> None:
    schema = pl.Schema({"a": pl.Int64})
    step = ReduceDtypes(columns=["a"], ranges={"a": (0, 1000)}).within({"a": Range(0, 9)}, schema)
    assert step.apply(pl.LazyFrame(schema=schema), ENGINE).collect_schema() == {"a": pl.Int16}


def test_columns_without_a_range_are_refused() -> None:
    with pytest.raises(PipelineError, match="knows no range of column 'b'"):
        ReduceDtypes(columns=["a", "b"]).within({"a": Range(0, 1)}, pl.Schema({"a": pl.Int64, "b": pl.Int64}))
    with pytest.raises(PipelineError, match="knows the range of none of 1 columns"):
        ReduceDtypes(columns="integer").resolve(pl.Schema({"a": pl.Int64}))
    with pytest.raises(PipelineError, match="or they are no integers"):
        ReduceDtypes(columns="x", ranges={"x": (0, 1)}).resolve(pl.Schema({"x": pl.Float64}))
    with pytest.raises(PipelineError, match="ReduceDtypes takes a number, got String in column 'x'"):
        ReduceDtypes(columns="x", ranges={"x": (0, 1)}).resolve(pl.Schema({"x": pl.String}))


def test_a_range_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValidationError, match="low 2 is above high 1"):
        ReduceDtypes(columns="x", ranges={"x": (2, 1)})


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"minimum": 0, "maximum": 9}, (0, 9)),
        ({"exclusive_minimum": 0, "exclusive_maximum": 9}, (1, 8)),
        ({"minimum": -5, "exclusive_minimum": 0, "maximum": 9, "exclusive_maximum": 100}, (1, 9)),
        ({"allowed": [3, 1, 2]}, (1, 3)),
        ({"allowed": [3, 1, 200], "maximum": 50}, (1, 50)),
        ({"minimum": 0}, None),
        ({}, None),
    ],
)
def test_the_range_that_a_contract_declares(rules: dict[str, Any], expected: tuple[int, int] | None) -> None:
    found = declared_ranges([Column(name="x", dtype=pl.Int64(), **rules), Column(name="s", dtype=pl.String())])
    assert found == ({} if expected is None else {"x": expected})


def test_floats_have_no_range() -> None:
    assert declared_ranges([Column(name="x", dtype=pl.Float64(), minimum=0, maximum=9)]) == {}


def test_elements_of_lists() -> None:
    frame = pl.DataFrame({"x": [[1, None, 200], [], None]})
    [step] = parts(ReduceDtypes(columns="x", ranges={"x": (0, 255)}), frame.schema)
    assert isinstance(step, Transform)
    got = step.apply(frame.lazy(), ENGINE).collect()["x"]
    assert (got.dtype, got.to_list()) == (pl.List(pl.UInt8), [[1, None, 200], [], None])
