"""ListLength, ListSlice and ListAgg against literals; the kernel's own tests have the corners of its contract."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Transform
from headrace.transforms.lists import ListAgg, ListLength, ListSlice

FRAME = pl.LazyFrame(
    {"items": [[3, 1, 2], [5], [], None], "words": [["a", "b"], [None], None, []]},
    schema={"items": pl.List(pl.Int32), "words": pl.List(pl.String)},
)


def applied(step: Transform) -> pl.DataFrame:
    return step.resolve(FRAME.collect_schema()).apply(FRAME, CpuEngine()).collect()


def test_lengths_stand_beside_the_lists() -> None:
    got = applied(ListLength(columns=["items", "words"]))
    assert got.columns == ["items", "words", "items_length", "words_length"]
    assert got["items_length"].to_list() == [3, 1, 0, None]
    assert got["words_length"].to_list() == [2, 1, None, 0]


def test_parts_take_the_place_of_the_lists() -> None:
    got = applied(ListSlice(columns=["items", "words"], start=-2))
    assert got.schema == FRAME.collect_schema()
    assert got["items"].to_list() == [[1, 2], [5], [], None]
    assert got["words"].to_list() == [["a", "b"], [None], None, []]


def test_padding_really_pads() -> None:
    got = applied(ListSlice(columns="items", end=2, pad=0, output="{column}_first"))
    assert got["items_first"].dtype == pl.List(pl.Int32)
    assert got["items_first"].to_list() == [[3, 1], [5, 0], [0, 0], [0, 0]]
    assert applied(ListSlice(columns="words", end=1, pad="-"))["words"].to_list() == [["a"], [None], ["-"], ["-"]]


def test_statistics_of_each_list() -> None:
    got = applied(ListAgg(columns="items", statistics=["length", "sum", "mean", "max"]))
    assert got["items_length"].to_list() == [3, 1, 0, None]
    assert got["items_sum"].to_list() == [6, 5, 0, None]
    assert got["items_mean"].to_list() == [2.0, 5.0, None, None]
    assert got["items_max"].to_list() == [3, 5, None, None]
    assert applied(ListAgg(columns="items"))["items_mean"].to_list() == [2.0, 5.0, None, None]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "takes every list whole"),
        ({"start": 2, "end": 2}, "start 2 is not before end 2"),
        ({"start": -1, "end": 1}, "start -1 counts from the end of the list and end 1 from its beginning"),
        ({"start": 1, "pad": 0}, "pad needs a width"),
        ({"start": 2**31}, "less than or equal to 2147483647"),
    ],
)
def test_parts_that_make_no_sense_are_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ListSlice(columns="items", **fields)


@pytest.mark.parametrize(
    ("schema", "pad", "problem"),
    [
        (pl.List(pl.Int8), 300, r"ListSlice\(pad=300\) does not fit column 'x' \(List\(Int8\)\): got 300, expected"),
        (pl.List(pl.Int8), "a", "got 'a', expected a whole number from -128 to 127"),
        (pl.List(pl.Date), "2020-01-31", "got lists of Date, expected a string, an integer, a float or a boolean"),
    ],
)
def test_padding_that_the_elements_cannot_hold_is_refused(schema: pl.DataType, pad: Any, problem: str) -> None:
    with pytest.raises(PipelineError, match=problem):
        ListSlice(columns="x", end=2, pad=pad).resolve(pl.Schema({"x": schema}))


@pytest.mark.parametrize(
    ("step", "dtype", "problem"),
    [
        (ListLength(columns="x"), pl.Int64(), "ListLength takes a list, got Int64 in column 'x'"),
        (ListSlice(columns="x", start=1), pl.Array(pl.Int8, 2), "ListSlice takes a list, got Array"),
        (ListAgg(columns="x"), pl.List(pl.String), "ListAgg takes a list of numbers or booleans, got List"),
        (ListAgg(columns="x"), pl.List(pl.List(pl.Int8)), "ListAgg takes a list of numbers or booleans"),
    ],
)
def test_other_columns_are_refused_by_name(step: Transform, dtype: pl.DataType, problem: str) -> None:
    with pytest.raises(PipelineError, match=problem):
        step.resolve(pl.Schema({"x": dtype}))


@pytest.mark.parametrize("fields", [{"statistics": ["sum", "sum"]}, {"statistics": ["sum", "max"], "output": "x"}])
def test_outputs_of_equal_names_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"named twice|need '\{statistic\}' in output"):
        ListAgg(columns="items", **fields)


def test_a_result_over_a_column_that_is_still_to_be_read_is_refused() -> None:
    schema = pl.Schema({"a": pl.List(pl.Int8), "a_length": pl.List(pl.Int8)})
    with pytest.raises(PipelineError, match="ListLength would write over column 'a_length' before it is read"):
        ListLength(columns=["a", "a_length"]).resolve(schema)
    ListLength(columns=["a_length", "a"]).resolve(schema)
    both = ListAgg(columns="sum", statistics=["sum", "max"], output="{statistic}")
    with pytest.raises(PipelineError, match="ListAgg would write over column 'sum' before it is read"):
        both.resolve(pl.Schema({"sum": pl.List(pl.Int8)}))
