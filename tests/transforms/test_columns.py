"""Columns by name, kind, pattern and selector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from pydantic import BaseModel, ValidationError
from tests.transforms.pickled import program

from headrace.schemas.errors import PipelineError
from headrace.transforms.columns import Columns

SCHEMA = pl.Schema({"delay": pl.Float64, "late": pl.Boolean, "n": pl.Int8, "text": pl.String, "__row": pl.Int64})


class Holder(BaseModel):
    columns: Columns


def columns(value: Any) -> Columns:
    return Holder.model_validate({"columns": value}).columns


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("delay", ("delay",)),
        (["text", "delay"], ("text", "delay")),
        ("numeric", ("delay", "n")),
        ("all", ("delay", "late", "n", "text")),
        ("^.*t.*$", ("late", "text")),
        (cs.float() | cs.string(), ("delay", "text")),
        (cs.by_name("n"), ("n",)),
        (["numeric"], ("numeric",)),
    ],
)
def test_each_way_to_name_columns(value: Any, names: tuple[str, ...]) -> None:
    chosen = columns(value)
    assert chosen.expand(SCHEMA).names == names
    assert columns(Holder(columns=chosen).model_dump(mode="json")["columns"]) == chosen


def test_a_selector_never_matches_reserved_columns() -> None:
    assert columns("all").expand(SCHEMA, reserved={"late", "n"}).names == ("delay", "text")


def test_a_selector_that_matches_nothing_is_refused() -> None:
    with pytest.raises(PipelineError, match="the selector 'temporal' matches no column"):
        columns("temporal").expand(SCHEMA)


def test_a_column_named_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="columns named twice: a"):
        columns(["a", "b", "a"])


def test_it_iterates_over_names() -> None:
    assert list(columns(["a", "b"])) == ["a", "b"]
    assert len(columns(["a", "b"])) == 2


@pytest.mark.parametrize(
    "text", ['{"Column":"n"}', '{"nothing', "{}", pl.col("n").name.map(str.upper).meta.serialize(format="json")]
)
def test_only_selectors_are_read_from_json(text: str) -> None:
    with pytest.raises(PipelineError, match="is no selector"):
        columns(text).expand(SCHEMA)


def test_a_pickled_function_in_a_selectors_place_is_never_loaded(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    text = program(pl.col("n").name.map(str.upper), f"open({str(trace)!r}, 'w').close()")
    with pytest.raises(PipelineError, match="is no selector"):
        columns(text).expand(SCHEMA)
    assert not trace.exists()


@pytest.mark.parametrize("text", ["^(", '{"Selector":{"ByName":{"names":["absent"],"strict":true}}}'])
def test_a_selector_that_polars_refuses_is_an_error_of_the_pipeline(text: str) -> None:
    with pytest.raises(PipelineError, match="does not work here"):
        columns(text).expand(SCHEMA)
