"""From `{"Name": {fields}}` to an operator, and what is said where it does not fit."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Transform, to_plain
from headrace.transforms.numeric import Clip
from headrace.transforms.registry import FITTED, OPERATORS, operator_from_plain


class Nothing(Transform):
    """An operator of a user's own."""

    @property
    def reads(self) -> tuple[str, ...]:
        return ()

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame


@pytest.fixture
def own_module(monkeypatch: pytest.MonkeyPatch) -> str:
    module = types.ModuleType("own_operators")
    module.Nothing = Nothing  # type: ignore[attr-defined]
    module.answer = 42  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_operators", module)
    return "own_operators"


def refused(plain: Any, **options: Any) -> PipelineError:
    with pytest.raises(PipelineError) as caught:
        operator_from_plain(plain, **options)
    return caught.value


def test_a_name_and_its_fields_make_an_operator() -> None:
    assert operator_from_plain({"Clip": {"columns": ["a"], "lower": 0}}) == Clip(columns=["a"], lower=0)


def test_names_are_those_of_the_classes_and_no_name_is_twice() -> None:
    assert all(name == kind.__name__ for name, kind in [*OPERATORS.items(), *FITTED.items()])
    assert not set(OPERATORS) & set(FITTED)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Standardise", "Standardize"), ("fillnull", "FillNull"), ("Clipp", "Clip"), ("hash_bucket", "HashBucket")],
)
def test_an_unknown_name_is_answered_with_those_like_it(name: str, hint: str) -> None:
    error = refused({name: {}})
    assert error.message == f"unknown operator {name!r}"
    assert hint in error.hint


def test_a_name_like_no_other_is_answered_with_all() -> None:
    assert refused({"Xyzzy": {}}).hint.startswith("the operators are AsOfJoin, Bucketize")


def test_fields_that_do_not_fit_make_a_line_each() -> None:
    error = refused({"QuantileBucketize": {"n": "many", "nulls": "drop", "colums": ["a"]}})
    assert error.where == "QuantileBucketize"
    assert error.message.splitlines() == [
        "columns: is missing",
        "n: should be a valid integer, unable to parse string as an integer, got 'many'",
        "nulls: should be 'keep' or 'own', got 'drop'",
        "colums: is no field of QuantileBucketize; did you mean columns?",
    ]


def test_a_check_of_our_own_is_said_in_its_own_words() -> None:
    assert refused({"Clip": {"columns": "a", "lower": 2, "upper": 1}}).message == "lower 2 is above upper 1"
    assert refused({"DateParts": {"columns": "a", "parts": ["hours"]}}).message.startswith("parts.0: should be 'year'")


def test_sql_that_does_not_parse_is_an_error_with_its_step() -> None:
    error = refused({"Filter": {"where": "a >"}})
    assert error.where == "Filter"
    assert error.message.startswith("SQL that does not parse: 'a >'")


@pytest.mark.parametrize("plain", [{"Clip": {}, "Drop": {}}, {}, 7, ["Clip"], None])
def test_what_is_no_step_is_refused(plain: Any) -> None:
    assert refused(plain).message.startswith("a step is one operator's name with its fields, got")


def test_fields_that_are_no_mapping_are_refused() -> None:
    assert refused({"Clip": [1]}).message == "expected its fields by name, got [1]"


def test_what_does_not_fit_is_answered_with_the_fields_there_are() -> None:
    error = refused({"Clip": {"columns": "a", "minimum": 0}})
    assert error.message == "minimum: is no field of Clip"
    assert error.hint == "the fields of Clip are columns, lower, upper"


def test_an_operator_of_ones_own_comes_from_an_allowed_module(own_module: str) -> None:
    assert operator_from_plain({"own_operators:Nothing": None}, allowed=[own_module]) == Nothing()


def test_a_module_that_is_not_allowed_is_not_imported() -> None:
    error = refused({"antigravity:Nothing": {}}, allowed=["own_operators"])
    assert "may not be imported; allowed are own_operators" in error.message
    assert "antigravity" not in sys.modules


def test_a_path_that_leads_to_no_operator_is_refused(own_module: str) -> None:
    assert "is no operator" in refused({"own_operators:answer": {}}, allowed=[own_module]).message
    assert "cannot be imported" in refused({"own_operators:Missing": {}}, allowed=[own_module]).message
    assert "cannot be imported" in refused({"not_there:X": {}}, allowed=["not_there"]).message


def test_the_form_of_an_operator_of_ones_own_reads_back() -> None:
    plain = to_plain(Nothing())
    assert operator_from_plain(plain, allowed=[__name__]) == Nothing()


def test_the_documentation_lists_every_operator_with_its_fields() -> None:
    lines = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text().splitlines()
    for name, kind in OPERATORS.items():
        fields = ", ".join(f"`{f}`" if v.is_required() else f"*{f}*" for f, v in kind.model_fields.items())
        first = (kind.__doc__ or "").strip().splitlines()[0]
        assert f"| `{name}` | {fields} | {first} |" in lines
