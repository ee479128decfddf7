"""The contract of the kernel, against literals and Python's own slices and sums."""

from __future__ import annotations

import math
from datetime import date
from typing import Any, get_args

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from headrace.engines.cpu import CpuEngine
from headrace.engines.kernels.lists import Contains, Lists, Operation, Reduce, Slice, Statistic, output_dtype

ENGINE = CpuEngine()
NAN, INF = math.nan, math.inf
ROWS = [[4, None, -1], [], None, [None], [7, 7, 7, 7]]
FLOATS = [[1.5, NAN], [NAN], [INF, 1.0], [INF, -INF], [NAN, None], [0.1, 0.2, 0.3], [1e8, 1.0, -1e8]]
OPERATIONS: list[Operation] = [
    Slice(1), Slice(-2), Slice(1, 3), Slice(1, -1), Slice(-3, -1), Slice(0, 3, pad=9),
    *map(Reduce, get_args(Statistic)), Contains(7),
]  # fmt: skip


def made(rows: list[Any], operation: Operation, element: Any = pl.Int16) -> pl.Series:
    frame = pl.LazyFrame({"x": rows, "row": range(len(rows))}, schema={"x": pl.List(element), "row": pl.Int64})
    result = ENGINE.kernel(frame, Lists("x", operation, "y")).collect()
    assert result["row"].to_list() == list(range(len(rows)))
    assert_series_equal(result["x"], frame.collect()["x"])
    return result["y"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Slice(1), [[None, -1], [], None, [], [7, 7, 7]]),
        (Slice(-2), [[None, -1], [], None, [None], [7, 7]]),
        (Slice(0, 2), [[4, None], [], None, [None], [7, 7]]),
        (Slice(1, -1), [[None], [], None, [], [7, 7]]),
        (Slice(0, 3, pad=0), [[4, None, -1], [0, 0, 0], [0, 0, 0], [None, 0, 0], [7, 7, 7]]),
        (Slice(-2, pad=-5), [[None, -1], [-5, -5], [-5, -5], [None, -5], [7, 7]]),
        (Slice(-4, -3, pad=1), [[1], [1], [1], [1], [7]]),
    ],
)
def test_parts_of_lists(part: Slice, expected: list[Any]) -> None:
    got = made(ROWS, part)
    assert got.dtype == pl.List(pl.Int16)
    assert got.to_list() == expected


@given(
    st.lists(st.none() | st.lists(st.none() | st.integers(-9, 9), max_size=6), max_size=5),
    st.integers(-8, 8),
    st.none() | st.integers(-8, 8),
)
def test_a_part_is_what_python_takes(rows: list[Any], start: int, end: int | None) -> None:
    try:
        part = Slice(start, end)
    except ValueError:
        return
    assert made(rows, part).to_list() == [None if row is None else row[start:end] for row in rows]
    if part.width is not None:
        padded = [((row or [])[start:end] + [99] * part.width)[: part.width] for row in rows]
        assert made(rows, Slice(start, end, pad=99)).to_list() == padded


@pytest.mark.parametrize(
    ("element", "pad", "expected"),
    [
        (pl.String, "?", [["a", "?"], ["?", "?"]]),
        (pl.Boolean, True, [[False, True], [True, True]]),
        (pl.Float32, 0.5, [[2.0, 0.5], [0.5, 0.5]]),
    ],
)
def test_padding_is_of_the_elements_type(element: Any, pad: Any, expected: list[Any]) -> None:
    got = made([expected[0][:1], None], Slice(0, 2, pad), element)
    assert got.dtype == pl.List(element)
    assert got.to_list() == expected


@pytest.mark.parametrize(
    ("start", "end", "pad", "problem"),
    [
        (-1, 2, None, "start -1 counts from the end of the list and end 2 from its beginning"),
        (3, 3, None, "start 3 is not before end 3"),
        (-1, -2, None, "start -1 is not before end -2"),
        (1, None, 0, "pad needs a width, and start 1 with end None gives lists of any length"),
        (1, -1, 0, "pad needs a width, and start 1 with end -1"),
    ],
)
def test_parts_that_make_no_sense_are_refused(start: int, end: int | None, pad: int | None, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Slice(start, end, pad)


@pytest.mark.parametrize(
    ("statistic", "dtype", "expected"),
    [
        ("length", pl.Int32, [3, 0, None, 1, 4]),
        ("count", pl.Int32, [2, 0, None, 0, 4]),
        ("sum", pl.Int64, [3, 0, None, 0, 28]),
        ("mean", pl.Float64, [1.5, None, None, None, 7.0]),
        ("min", pl.Int16, [-1, None, None, None, 7]),
        ("max", pl.Int16, [4, None, None, None, 7]),
    ],
)
def test_statistics_of_integers(statistic: Statistic, dtype: Any, expected: list[Any]) -> None:
    got = made(ROWS, Reduce(statistic))
    assert got.dtype == dtype
    assert got.to_list() == expected


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("count", [2, 1, 2, 2, 1, 3, 3]),
        ("sum", [NAN, NAN, INF, NAN, NAN, 0.6, 1.0]),
        ("mean", [NAN, NAN, INF, NAN, NAN, 0.2, 1 / 3]),
        ("min", [1.5, None, 1.0, -INF, None, 0.1, -1e8]),
        ("max", [1.5, None, INF, INF, None, 0.3, 1e8]),
    ],
)
@pytest.mark.parametrize("element", [pl.Float32, pl.Float64])
def test_statistics_of_floats(statistic: Statistic, expected: list[Any], element: Any) -> None:
    got = made(FLOATS, Reduce(statistic), element)
    assert_series_equal(got, pl.Series("y", expected, dtype=output_dtype(Reduce(statistic), pl.List(element))))


def test_statistics_of_booleans() -> None:
    rows = [[True, False, None], [True], []]
    expected: dict[Statistic, list[Any]] = {
        "count": [2, 1, 0], "sum": [1, 1, 0], "mean": [0.5, 1.0, None], "min": [False, True, None],
        "max": [True, True, None],
    }  # fmt: skip
    for statistic, values in expected.items():
        assert made(rows, Reduce(statistic), pl.Boolean).to_list() == values, statistic


def test_sums_are_64_bits_wide() -> None:
    assert made([[127, 127]], Reduce("sum"), pl.Int8).to_list() == [254]
    assert made([[2**63, 5]], Reduce("sum"), pl.UInt64).to_list() == [2**63 + 5]
    assert made([[2**63 - 1, 1]], Reduce("sum"), pl.Int64).to_list() == [-(2**63)]


def test_the_length_of_lists_of_anything() -> None:
    assert made([["a", None], [], None], Reduce("length"), pl.String).to_list() == [2, 0, None]
    assert made([[[1], []], None], Reduce("length"), pl.List(pl.Int8)).to_list() == [2, None]


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
@pytest.mark.parametrize("rows", [[], [None, None], [[], []], [[None]], [[1, 2]]], ids=str)
def test_the_type_does_not_depend_on_the_rows(operation: Operation, rows: list[Any]) -> None:
    frame = pl.LazyFrame({"x": rows}, schema={"x": pl.List(pl.Float32)})
    expected = output_dtype(operation, pl.List(pl.Float32))
    assert made(rows, operation, pl.Float32).dtype == expected
    assert Lists("x", operation, "y").stand_in(frame, ENGINE).collect().schema["y"] == expected


@pytest.mark.parametrize(
    ("element", "rows", "value", "expected"),
    [
        (pl.Int16, ROWS, 7, [False, False, None, False, True]),
        (pl.Int16, ROWS, -1, [True, False, None, False, False]),
        (pl.String, [["a", None], ["ab"], [], None], "a", [True, False, False, None]),
        (pl.String, [[""], [None], []], "", [True, False, False]),
        (pl.Boolean, [[True, None], [False], [None]], True, [True, False, False]),
        (pl.Date, [[date(2024, 2, 29)], [None], None], date(2024, 2, 29), [True, False, None]),
        (pl.Int64, [[2**53], [2**53 + 1]], 2**53 + 1, [False, True]),
    ],
)
def test_whether_a_list_holds_a_value(element: Any, rows: list[Any], value: Any, expected: list[Any]) -> None:
    got = made(rows, Contains(value), element)
    assert got.dtype == pl.Boolean
    assert got.to_list() == expected


def test_in_place() -> None:
    frame = pl.LazyFrame({"x": [[1, 2, 3]]})
    assert ENGINE.kernel(frame, Lists("x", Slice(1), "x")).collect()["x"].to_list() == [[2, 3]]
    assert ENGINE.kernel(frame, Lists("x", Reduce("sum"), "x")).collect()["x"].to_list() == [6]
