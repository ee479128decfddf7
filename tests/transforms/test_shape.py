"""Cast, Rename, Drop and Derive."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.expression import Expression
from headrace.transforms.shape import Cast, Derive, Drop, Rename

ENGINE = CpuEngine()


def test_cast_by_name_or_by_polars_type() -> None:
    frame = pl.LazyFrame({"a": [1, None], "d": [date(2020, 1, 2), None]})
    got = Cast(columns=["a"], dtype="Float32").apply(frame, ENGINE).collect()
    assert got["a"].to_list() == [1.0, None]
    assert got.schema["a"] == pl.Float32
    assert Cast(columns="a", dtype=pl.Float32) == Cast(columns="a", dtype="Float32")
    times = Cast(columns="d", dtype="Datetime[ms]").apply(frame, ENGINE).collect()
    assert times["d"].to_list() == [datetime(2020, 1, 2), None]


def test_a_value_that_does_not_fit_stops_the_run_or_becomes_null() -> None:
    frame = pl.LazyFrame({"a": [1.0, 300.0, math.nan]})
    assert Cast(columns="a", dtype="Int8", invalid="null").apply(frame, ENGINE).collect()["a"].to_list() == [
        1,
        None,
        None,
    ]
    with pytest.raises(pl.exceptions.InvalidOperationError):
        Cast(columns="a", dtype="Int8").apply(frame, ENGINE).collect()


def test_an_unknown_type_is_named_with_those_like_it() -> None:
    with pytest.raises(ValidationError, match="unknown type 'float23'; did you mean Float32"):
        Cast(columns="a", dtype="float23")
    with pytest.raises(ValidationError, match="unknown type 'Categorical'; the types are Boolean"):
        Cast(columns="a", dtype="Categorical")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (pl.Float64, "String"),
        (pl.String, "Date"),
        (pl.Date, "String"),
        (pl.List(pl.Float32), "String"),
        (pl.String, "Boolean"),
    ],
)
def test_casts_that_engines_do_differently_are_refused(source: Any, target: str) -> None:
    with pytest.raises(PipelineError, match=r"Cast cannot turn .* in column 'a'"):
        Cast(columns="a", dtype=target).resolve(pl.Schema({"a": source}))


def test_rename_keeps_places_and_may_swap() -> None:
    frame = pl.LazyFrame({"a": [1], "b": [2], "c": [3]})
    step = Rename(names={"a": "b", "b": "a", "c": "d"}).resolve(frame.collect_schema())
    assert step.apply(frame, ENGINE).collect().to_dict(as_series=False) == {"b": [1], "a": [2], "d": [3]}
    assert step.drops == ("c",)


def test_rename_refuses_to_make_two_columns_of_one_name() -> None:
    with pytest.raises(ValidationError, match="several columns would be called x"):
        Rename(names={"a": "x", "b": "x"})
    with pytest.raises(PipelineError, match="second column 'b'"):
        Rename(names={"a": "b"}).resolve(pl.Schema({"a": pl.Int8, "b": pl.Int8}))


def test_drop_leaves_columns_out_and_refuses_unknown_ones() -> None:
    frame = pl.LazyFrame({"a": [1], "b": [2]})
    assert Drop(columns=["a"]).resolve(frame.collect_schema()).apply(frame, ENGINE).collect().columns == ["b"]
    with pytest.raises(PipelineError, match="Drop reads 'z'"):
        Drop(columns=["z"]).resolve(frame.collect_schema())


def test_expressions_of_one_derive_see_the_columns_before_it() -> None:
    got = Derive(a="b", b=pl.col("a")).apply(pl.LazyFrame({"a": [1], "b": [2]}), ENGINE).collect()
    assert got.to_dict(as_series=False) == {"a": [2], "b": [1]}


def test_derive_takes_names_on_their_own_or_a_mapping() -> None:
    short = Derive(late="delay > 15")
    assert short == Derive(columns={"late": "delay > 15"})
    assert short == Derive.model_validate({"late": "delay > 15"})
    assert short.columns == {"late": Expression("delay > 15")}
    assert Derive(columns="a + 1").writes == ("columns",)
    assert Derive.model_validate(short.model_dump(mode="json")) == short
    with pytest.raises(ValidationError, match="at least one column"):
        Derive()


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("delay - AVG(delay)", "looks at other rows"),
        (pl.col("delay").shift(1), "looks at other rows"),
        ("delay || carrier + 1", "Derive of column 'x'"),
        ("nothing + 1", "reads 'nothing'"),
    ],
)
def test_expressions_that_do_not_fit_are_refused(expression: Any, words: str) -> None:
    with pytest.raises(PipelineError) as caught:
        Derive(x=expression).resolve(pl.Schema({"delay": pl.Int64, "carrier": pl.String}))
    assert words in caught.value.message
