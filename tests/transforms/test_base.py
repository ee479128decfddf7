"""What all steps share: resolution against a schema, and the form in YAML."""

from __future__ import annotations

import polars as pl
import pytest
from pydantic import ValidationError

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Transform, describe, to_plain
from headrace.transforms.columns import Columns
from headrace.transforms.hashing import HashBucket
from headrace.transforms.numeric import Clip, Log1p
from headrace.transforms.shape import Derive, Drop

SCHEMA = pl.Schema({"a": pl.Int64, "b": pl.Float64, "target": pl.Float64, "s": pl.String})


class Double(Transform):
    """Twice the value."""

    columns: Columns

    @property
    def reads(self) -> tuple[str, ...]:
        return self.columns.names

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(pl.col(c) * 2 for c in self.columns)


def test_resolve_gives_names_for_selectors_less_the_reserved() -> None:
    step = Log1p(columns="numeric").resolve(SCHEMA, frozenset({"target"}))
    assert step.reads == ("a", "b")
    assert step.resolve(SCHEMA) == step


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(PipelineError, match="Log1p reads 'nothing', 'other', which the rows do not have") as caught:
        Log1p(columns=["a", "nothing", "other"]).resolve(SCHEMA)
    assert caught.value.hint == "the columns here are a, b, target, s"


def test_a_column_that_is_only_dropped_must_be_there_too() -> None:
    with pytest.raises(PipelineError, match="Drop reads 'targe'") as caught:
        Drop(columns="targe").resolve(SCHEMA)
    assert caught.value.hint == "did you mean target?"


def test_a_column_of_another_type_is_named_with_what_it_got() -> None:
    with pytest.raises(PipelineError, match="Log1p takes a number or a boolean, got String in column 's'"):
        Log1p(columns=["a", "s"]).resolve(SCHEMA)


def test_names_of_headraces_own_are_not_written() -> None:
    with pytest.raises(PipelineError, match="Derive writes '__x'; names that begin with '__' are headrace's own"):
        Derive(__x="a + 1").resolve(SCHEMA)


def test_two_outputs_of_one_name_are_refused() -> None:
    with pytest.raises(PipelineError, match="HashBucket would write column 'x' more than once"):
        HashBucket(columns=["a", "s"], n=3, output="x").resolve(SCHEMA)


def test_a_step_never_changes() -> None:
    step = Clip(columns="a", lower=0)
    with pytest.raises(ValidationError, match="frozen"):
        step.lower = 1


def test_the_form_in_yaml_leaves_defaults_out() -> None:
    assert to_plain(Clip(columns="numeric", lower=0)) == {"Clip": {"columns": "numeric", "lower": 0}}


def test_an_operator_of_ones_own_goes_by_its_import_path() -> None:
    assert to_plain(Double(columns="a")) == {f"{__name__}:Double": {"columns": ["a"]}}


def test_a_step_in_one_line() -> None:
    assert describe(Log1p(columns=["a", "b"])) == "Log1p(a, b)"
    assert describe(Log1p(columns=list("abcde"))) == "Log1p(a, b, c, ... 5 columns)"
