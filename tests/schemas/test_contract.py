from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from headrace.schemas.contract import Column, Contract, SqlRule
from headrace.schemas.errors import ContractError


def test_contract_goes_through_json_unchanged() -> None:
    contract = Contract(
        name="flights",
        columns=(
            Column(name="id", dtype="UInt32", unique=True, role="key"),
            Column(name="day", dtype=pl.Date, minimum=date(2013, 1, 1), exclusive_maximum="2014-01-01"),
            Column(name="at", dtype=pl.Datetime("us", "America/New_York"), minimum=datetime(2013, 1, 1)),
            Column(name="price", dtype=pl.Decimal(10, 2), minimum=Decimal("1.5"), allowed=("1.50", 2)),
            Column(name="code", dtype=pl.String, allowed=["AA", "B6"], pattern="^[A-Z]", max_length=2),
            Column(name="flag", dtype=pl.Boolean, allowed=(True,)),
            Column(name="vector", dtype=pl.Array(pl.Float32, 4)),
        ),
        rules=(SqlRule(name="fine", sql="id > 3"),),
        primary_key=("id", "day"),
        extra="ignore",
    )
    again = Contract.model_validate_json(contract.model_dump_json())
    assert again == contract
    assert hash(again) == hash(contract)
    assert again.column("flag").allowed == (True,)
    assert again.dtypes["at"] == pl.Datetime("us", "America/New_York")


def test_contract_is_frozen() -> None:
    column = Column(name="a", dtype=pl.Int64)
    with pytest.raises(ValidationError, match="frozen"):
        column.required = True  # type: ignore[misc]
    with pytest.raises(ValidationError, match=r"[Ee]xtra"):
        Column(name="a", dtype=pl.Int64, requird=True)  # type: ignore[call-arg]


def test_keys_and_roles() -> None:
    contract = Contract(
        name="c",
        columns=(
            Column(name="a", dtype="Int64", unique=True),
            Column(name="b", dtype="Int64", role="feature"),
            Column(name="c", dtype="Int64", role="target"),
        ),
        primary_key=("b", "a"),
    )
    assert contract.unique_keys() == (("b", "a"), ("a",))
    assert contract.with_role("target") == ("c",)
    assert [contract.required(name) for name in "abc"] == [True, True, False]
    assert contract.model_copy(update={"primary_key": ("a",)}).unique_keys() == (("a",),)
    with pytest.raises(ContractError, match="no column 'd'"):
        contract.column("d")


def test_bounds_are_values_of_the_dtype() -> None:
    assert Column(name="a", dtype="Int8", minimum=3.0).bound("minimum") == 3
    assert Column(name="a", dtype="Date", maximum="2013-02-01").bound("maximum") == date(2013, 2, 1)
    moment = Column(name="a", dtype="Datetime[us, UTC]", minimum="2013-01-01T01:00:00+01:00").bound("minimum")
    assert moment == datetime(2013, 1, 1, tzinfo=UTC)
    assert Column(name="a", dtype="Decimal(5, 2)", minimum="1.25").bound("minimum") == Decimal("1.25")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "__row", "dtype": "Int64"}, "names that begin with '__' are reserved"),
        ({"name": "*", "dtype": "Int64"}, "Polars reads this name as a pattern"),
        ({"dtype": pl.Object}, "Object is no type of a contract"),
        ({"dtype": pl.Categorical}, "Categorical is no type of a contract"),
        ({"dtype": "Int8", "maximum": 128}, "maximum: got 128, expected a whole number from -128 to 127 (Int8)"),
        ({"dtype": "UInt8", "minimum": -1}, "minimum: got -1, expected a whole number from 0 to 255 (UInt8)"),
        ({"dtype": "UInt8", "minimum": 0.5}, "minimum: got 0.5, expected a whole number from 0 to 255 (UInt8)"),
        ({"dtype": "Int8", "minimum": True}, "minimum: got True, expected a whole number from -128 to 127 (Int8)"),
        ({"dtype": "Float64", "minimum": float("nan")}, "minimum: got nan, expected a value of Float64"),
        ({"dtype": "Float64", "minimum": "0"}, "minimum: got '0', expected a value of Float64"),
        ({"dtype": "Decimal(4, 1)", "minimum": 0.25}, "minimum: got 0.25, expected a value of Decimal(4, 1)"),
        (
            {"dtype": "Date", "minimum": "1.2.2013"},
            "minimum: got '1.2.2013', expected ISO 8601 text, such as '2013-01-31' or '2013-01-31T12:00:00' (Date)",
        ),
        (
            {"dtype": "Datetime[us]", "minimum": "2013-01-01T00:00:00Z"},
            "minimum: got '2013-01-01T00:00:00Z', expected ISO 8601 text without a zone, such as '2013-01-31T12:00:00' "
            "(Datetime[us])",
        ),
        ({"dtype": "String", "minimum": 3}, "minimum is for numbers, dates and times, not String"),
        ({"dtype": "List[Int64]", "maximum": 3}, "maximum is for numbers, dates and times, not List[Int64]"),
        ({"dtype": "String", "allowed": [False]}, "allowed: got False, expected a value of String"),
        ({"dtype": "String", "allowed": []}, "allowed values: the list is empty, so every row is bad"),
        (
            {"dtype": "List[Int64]", "allowed": [1]},
            "allowed: got 1, expected nothing: List[Int64] has no values that a contract can write",
        ),
        ({"dtype": "Int64", "pattern": "a"}, "pattern is for String columns, not Int64"),
        (
            {"dtype": "Int64", "minimum": 5, "maximum": 1},
            "minimum 5 and maximum 1 leave no value, so every row is bad",
        ),
        (
            {"dtype": "Date", "exclusive_minimum": "2020-01-01", "maximum": "2020-01-01"},
            "exclusive_minimum 2020-01-01 and maximum 2020-01-01 leave no value, so every row is bad",
        ),
        (
            {"dtype": "String", "min_length": 3, "max_length": 2},
            "min_length 3 is above max_length 2, so every row is bad",
        ),
        ({"dtype": "Int64", "allow_non_finite": True}, "allow_non_finite is for floats, not Int64"),
    ],
)
def test_wrong_columns_say_got_and_expected(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError) as caught:
        Column(**{"name": "x"} | fields)
    assert caught.value.message == message
    assert caught.value.where == fields.get("name", "x")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"columns": [{"name": "a", "dtype": "Int8"}] * 2}, "column named more than once: a"),
        ({"primary_key": ["z"]}, "primary key: no column z"),
        ({"primary_key": ["a", "a"]}, "primary key column named more than once: a"),
        ({"rules": [{"name": "r", "sql": "a > 1"}] * 2}, "rule named more than once: r"),
    ],
)
def test_names_that_do_not_agree(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError) as caught:
        Contract.model_validate({"name": "c", "columns": [{"name": "a", "dtype": "Int8"}]} | fields)
    assert caught.value.message == message
