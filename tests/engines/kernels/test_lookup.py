from __future__ import annotations

import gc
from datetime import date
from typing import Any

import polars as pl
import pytest

from headrace.engines.cpu import CpuEngine
from headrace.engines.kernels import lookup
from headrace.engines.kernels.lookup import Lookup

ENGINE = CpuEngine()
DAYS = [date(2020, 1, n) for n in (1, 2, 3)]


def looked_up(column: list[Any], vocabulary: list[Any], dtype: pl.DataType | None = None, **how: int) -> pl.Series:
    frame = pl.LazyFrame({"x": pl.Series(column, dtype=dtype), "row": range(len(column))})
    table = pl.DataFrame({"value": pl.Series(vocabulary, dtype=dtype), "count": [1] * len(vocabulary)})
    result = ENGINE.collect([ENGINE.kernel(frame, Lookup("x", table, "id", **how))])[0]
    assert result["row"].to_list() == list(range(len(column)))
    assert result["x"].to_list() == column
    return result["id"]


@pytest.mark.parametrize(
    ("column", "vocabulary"),
    [
        (["b", None, "c", "a", "b"], ["a", "b"]),
        ([20, None, 30, 10, 20], [10, 20]),
        ([DAYS[1], None, DAYS[2], DAYS[0], DAYS[1]], [DAYS[0], DAYS[1]]),
    ],
)
def test_gives_the_row_of_the_vocabulary(column: list[Any], vocabulary: list[Any]) -> None:
    plain = looked_up(column, vocabulary)
    assert plain.dtype == pl.Int32
    assert plain.to_list() == [1, None, None, 0, 1]
    assert looked_up(column, vocabulary, first=5).to_list() == [6, None, None, 5, 6]
    assert looked_up(column, vocabulary, first=5, missing=2, null=1).to_list() == [6, 1, 2, 5, 6]
    assert looked_up(column, vocabulary, missing=9).to_list() == [1, None, 9, 0, 1]


def test_booleans() -> None:
    assert looked_up([True, False, None], [True], missing=7, null=8).to_list() == [0, 7, 8]


@pytest.mark.parametrize("dtype", [pl.String, pl.Int64])
def test_an_empty_vocabulary_has_nothing(dtype: pl.DataType) -> None:
    column = ["a", None] if dtype == pl.String else [1, None]
    found = looked_up(column, [], dtype, missing=2, null=1)
    assert found.dtype == pl.Int32
    assert found.to_list() == [2, 1]


def test_empty_frames_keep_the_type() -> None:
    assert looked_up([], ["a"], pl.String, missing=2, null=1).dtype == pl.Int32


def test_more_values_than_a_byte_or_two_can_count() -> None:
    values = [str(number) for number in range(70_000)]
    found = looked_up(["255", "256", "65535", "65536", "69999"], values)
    assert found.to_list() == [255, 256, 65535, 65536, 69999]


def test_in_place() -> None:
    table = pl.DataFrame({"value": ["a"]})
    frame = pl.LazyFrame({"x": ["a", "b", None]})
    assert ENGINE.kernel(frame, Lookup("x", table, "x", missing=5, null=6)).collect()["x"].to_list() == [0, 5, 6]


def test_lookups_of_many_columns_are_one_step_of_the_query() -> None:
    table = pl.DataFrame({"value": ["a"]})
    frame = pl.LazyFrame({"x": ["a"], "y": ["b"]})
    for column in ("x", "y"):
        frame = ENGINE.kernel(frame, Lookup(column, table, column, missing=5, null=6))
    assert frame.explain().count("WITH_COLUMNS") == 1


@pytest.mark.slow
def test_the_index_of_a_vocabulary_is_built_once_and_goes_with_it() -> None:
    table = pl.DataFrame({"value": ["gone"]})
    before = len(lookup._enums)
    for _ in range(2):
        ENGINE.kernel(pl.LazyFrame({"x": ["gone"]}), Lookup("x", table, "id")).collect()
    assert len(lookup._enums) == before + 1
    del table
    gc.collect()
    assert len(lookup._enums) == before


def test_the_stand_in_has_the_output_type() -> None:
    kernel = Lookup("x", pl.DataFrame({"value": ["a"]}), "id")
    assert kernel.stand_in(pl.LazyFrame({"x": ["a"]}), ENGINE).collect_schema()["id"] == pl.Int32
