"""What does not fit is an error before data is read, for every operator: it names step and column, got and expected.

The source of the pipelines here does not exist: nothing of it can be read.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

import annotated_types
import polars as pl
import pytest
from tests.transforms.examples import EXAMPLES, SCHEMA, TABLES

from headrace.pipelines.model import Pipeline, Source
from headrace.pipelines.resolve import resolve
from headrace.schemas.contract import Column, Contract
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import ANY, Join, Operator
from headrace.transforms.columns import Columns
from headrace.transforms.registry import OPERATORS, operator_from_plain

FIELDS: Final = {name: examples[0] for name, examples in EXAMPLES.items()}
KINDS: Final = list(OPERATORS.items())


class Bound(NamedTuple):
    """A field with a value beyond what it takes."""

    operator: str
    field: str
    value: float


def beyond() -> list[Any]:
    """For each bound of each number among the fields, the next value beyond it."""
    found = []
    for name, kind in KINDS:
        for field, info in kind.model_fields.items():
            for bound in info.metadata:
                match bound:
                    case annotated_types.Ge(ge=int() | float() as least):
                        value: float = least - 1
                    case annotated_types.Gt(gt=int() | float() as least):
                        value = least
                    case annotated_types.Le(le=int() | float() as most):
                        value = most + 1
                    case annotated_types.Lt(lt=int() | float() as most):
                        value = most
                    case _:
                        continue
                found.append(pytest.param(Bound(name, field, value), id=f"{name}-{field}-{value}"))
    return found


def choices() -> list[Any]:
    """Fields that take one of several words."""
    return [
        pytest.param(name, field, get_args(info.annotation), id=f"{name}-{field}")
        for name, kind in KINDS
        for field, info in kind.model_fields.items()
        if get_origin(info.annotation) is Literal
    ]


def of_columns(name: str) -> str | None:
    """The first field of type Columns that an operator must be given."""
    fields = OPERATORS[name].model_fields.items()
    return next((field for field, info in fields if info.annotation is Columns and info.is_required()), None)


WITH_COLUMNS: Final = [name for name in OPERATORS if of_columns(name)]
PARTICULAR: Final = [name for name, kind in KINDS if kind.accepts is not ANY]


def refused(name: str, **changes: Any) -> PipelineError:
    """The error of a pipeline with this one step."""
    with pytest.raises(PipelineError) as caught:
        checked(name, FIELDS[name] | changes)
    return caught.value


def checked(name: str, fields: dict[str, Any]) -> Operator:
    step = operator_from_plain({name: fields})
    contract = Contract(name="awkward", columns=tuple(Column(name=n, dtype=d) for n, d in SCHEMA.items()))
    pipeline = Pipeline(
        name="nowhere",
        source=Source(path="*.parquet", root="/nowhere", tables={name: f"{name}.parquet" for name in TABLES}),
        contract=contract,
        steps=(step,),
        target="constant",
        task="regression",
        split={"by": "fraction", "fractions": {"train": 0.8, "test": 0.2}},
        output={"features": ["number"] if name not in ("Rename",) else None},
    )
    return resolve(pipeline, TABLES).steps[0].step


@pytest.mark.parametrize("name", OPERATORS)
def test_an_unknown_name_is_answered_with_the_one_that_was_meant(name: str) -> None:
    with pytest.raises(PipelineError) as caught:
        operator_from_plain({name[:2] + name[3:]: FIELDS[name]})
    assert caught.value.message == f"unknown operator {name[:2] + name[3:]!r}"
    assert name in caught.value.hint


@pytest.mark.parametrize("name", [name for name in OPERATORS if name != "Derive"])  # its further fields are columns
def test_an_unknown_field_is_answered_with_the_one_that_was_meant(name: str) -> None:
    kind = OPERATORS[name]
    field = next(iter(kind.model_fields))
    with pytest.raises(PipelineError) as caught:
        operator_from_plain({name: {**FIELDS[name], f"{field}_": 1}})
    assert f"{field}_: is no field of {name}; did you mean {field}?" in caught.value.message
    assert caught.value.hint == f"the fields of {name} are {', '.join(kind.model_fields)}"


@pytest.mark.parametrize("name", OPERATORS)
def test_a_field_that_is_missing_is_named(name: str) -> None:
    required = [field for field, info in OPERATORS[name].model_fields.items() if info.is_required()]
    with pytest.raises(PipelineError) as caught:
        operator_from_plain({name: {}})
    assert caught.value.where == name
    said = "expected at least one column" if name == "Derive" else "is missing"
    assert all(f"{field}: {said}" in caught.value.message for field in required)


@pytest.mark.parametrize("name", WITH_COLUMNS)
def test_a_column_that_is_not_there_is_answered_with_one_like_it(name: str) -> None:
    field = of_columns(name)
    error = refused(name, **{str(field): ["numbr", "cty"]})
    assert error.where.startswith(f"step 1 {name}(")
    assert "'numbr'" in error.message
    assert "which the rows do not have here" in error.message
    assert "number" in error.hint


@pytest.mark.parametrize("name", WITH_COLUMNS)
def test_a_selector_that_matches_nothing_is_refused(name: str) -> None:
    error = refused(name, **{str(of_columns(name)): "^no such column$"})
    assert error.where.startswith(f"step 1 {name}(")
    assert "the selector '^no such column$' matches no column" in error.message
    assert error.hint.startswith("the columns here are number, ")


@pytest.mark.parametrize("name", WITH_COLUMNS)
def test_a_selector_does_not_match_the_target(name: str) -> None:
    error = refused(name, **{str(of_columns(name)): "^constant$"})
    assert "matches no column (target, key and split columns never match)" in error.message


@pytest.mark.parametrize("name", PARTICULAR)
def test_a_column_of_another_type_is_named_with_what_it_is_and_should_be(name: str) -> None:
    kind = OPERATORS[name]
    wrong = next(c for c, dtype in SCHEMA.items() if not kind.accepts.test(dtype))
    others = [c for c in FIELDS[name].get("columns", []) if isinstance(FIELDS[name]["columns"], list)][1:]
    error = refused(name, columns=[wrong, *others] if others else [wrong])
    assert error.where.startswith(f"step 1 {name}(")
    assert f"{name} takes {kind.accepts.words}, got {SCHEMA[wrong]} in column {wrong!r}" in error.message


@pytest.mark.parametrize("bound", beyond())
def test_a_number_out_of_range_is_refused_with_its_range(bound: Bound) -> None:
    with pytest.raises(PipelineError) as caught:
        operator_from_plain({bound.operator: FIELDS[bound.operator] | {bound.field: bound.value}})
    assert caught.value.where == bound.operator
    assert f"{bound.field}: should be " in caught.value.message
    assert caught.value.message.endswith(f"got {bound.value}")


@pytest.mark.parametrize(("name", "field", "words"), choices())
def test_a_word_that_is_none_of_the_choices_is_refused_with_them(name: str, field: str, words: tuple[str, ...]) -> None:
    with pytest.raises(PipelineError) as caught:
        operator_from_plain({name: FIELDS[name] | {field: "neither"}})
    assert f"{field}: should be " in caught.value.message
    assert all(repr(word) in caught.value.message for word in words)
    assert caught.value.message.splitlines()[0].endswith("got 'neither'")


@pytest.mark.parametrize("name", [name for name, kind in KINDS if issubclass(kind, Join)])
def test_a_table_that_the_source_does_not_have(name: str) -> None:
    error = refused(name, table="citys")
    assert error.where.startswith(f"step 1 {name}(")
    assert "'citys'" in error.message


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATORS)
def test_an_example_that_fits_is_not_refused(name: str) -> None:
    assert isinstance(checked(name, FIELDS[name]), Operator)


def test_the_awkward_columns_have_one_that_each_operator_refuses() -> None:
    assert {name for name in PARTICULAR if all(map(OPERATORS[name].accepts.test, SCHEMA.values()))} == set()
    assert SCHEMA["number"] == pl.Float64
