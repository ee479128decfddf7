"""What joins have in common: keys as they are written, the names that are brought, what does not fit."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from pydantic import TypeAdapter, ValidationError

from headrace.schemas.errors import PipelineError
from headrace.transforms.columns import Columns
from headrace.transforms.joins import LookupJoin
from headrace.transforms.table import Table
from headrace.transforms.tables import Keys, brought_columns, check_fit, table_of

KEYS: TypeAdapter[dict[str, str]] = TypeAdapter(Keys)
PLANES = pl.DataFrame({"tail": ["N1"], "seats": [10], "year": [1999]})
STEP = LookupJoin(table="planes", on="tail")


@pytest.mark.parametrize(
    ("written", "expected"),
    [("a", {"a": "a"}), (["a", "b"], {"a": "a", "b": "b"}), ({"a": "k"}, {"a": "k"})],
)
def test_each_way_to_write_a_key(written: Any, expected: dict[str, str]) -> None:
    assert KEYS.validate_python(written) == expected


def test_two_columns_of_the_rows_are_not_one_of_the_table() -> None:
    with pytest.raises(ValidationError, match="two columns of the rows with one of the table"):
        KEYS.validate_python({"a": "k", "b": "k"})


def test_all_but_the_key_is_brought_or_what_is_chosen() -> None:
    assert brought_columns(STEP, PLANES, ("tail",), ("tail",), None, "", "_x") == {"seats": "seats_x", "year": "year_x"}
    assert brought_columns(STEP, PLANES, ("tail",), ("tail",), Columns(names=("year",)), "", "") == {"year": "year"}


def test_a_table_is_found_by_name() -> None:
    assert table_of(STEP, {"planes": Table(PLANES)}) is PLANES
    with pytest.raises(PipelineError, match="LookupJoin: the source has no table 'planes'"):
        table_of(STEP, {})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"tail": pl.Int64()}, "the key 'tail' is Int64 in the rows and String in table 'planes'"),
        ({"tail": pl.String(), "seats": pl.Int8()}, "brings 'seats', which the rows already have"),
    ],
)
def test_what_does_not_fit_is_refused(rows: dict[str, pl.DataType], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        check_fit("LookupJoin", "planes", pl.Schema(rows), PLANES.schema, ("tail",), ("seats", "year"))
