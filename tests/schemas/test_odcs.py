import importlib.resources
import json
import math
import sys
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas.contract import Column, Contract, SqlRule
from headrace.schemas.errors import CapabilityError, ContractError
from headrace.schemas.odcs import dump_contract, load_contract, parse_contract

HEAD = """
apiVersion: v3.1.0
kind: DataContract
id: flights
version: 1.0.0
status: active
"""

FLIGHTS = (
    HEAD
    + """
name: Flights
description: {purpose: Departures from New York}
schema:
  - name: flights
    customProperties: [{property: extraColumns, value: ignore}]
    properties:
      - name: carrier
        description: two letters or digits
        logicalType: string
        required: true
        logicalTypeOptions: {minLength: 2, maxLength: 2, pattern: '^[A-Z0-9]+$', format: code}
        quality:
          - {type: library, metric: invalidValues, arguments: {validValues: [AA, B6]}, mustBe: 0}
          - {type: text, description: as the authority lists them}
      - name: flight
        physicalName: flight_number
        logicalType: integer
        logicalTypeOptions: {format: u16, minimum: 1}
        primaryKey: true
        primaryKeyPosition: 2
      - name: day
        logicalType: date
        logicalTypeOptions: {minimum: 2013-01-01}
        primaryKey: true
        primaryKeyPosition: 1
      - name: departs
        logicalType: timestamp
        physicalType: timestamp[us, tz=UTC]
        customProperties: [{property: role, value: time}, {property: other, value: 1}]
      - name: delay
        logicalType: number
        logicalTypeOptions: {exclusiveMinimum: -90, exclusiveMaximum: 3000}
        customProperties: [{property: allowNonFinite, value: true}]
        quality:
          - {name: delay_known, type: sql, query: 'SELECT COUNT(*) FROM ${table} WHERE ${column} IS NULL', mustBe: 0}
      - name: tail
        physicalType: varchar(6)
        quality:
          - {metric: nullValues, mustBe: 0}
          - {metric: duplicateValues, mustBe: 0}
    quality:
      - {name: sane, type: custom, engine: headrace, implementation: "delay > -60 OR carrier = 'AA'"}
      - {name: also, type: sql, mustBe: 0, query: "select count(*) from flights where not (delay < 9) ;"}
      - {name: both, type: sql, mustBe: 0, query: "SELECT COUNT(*) FROM flights WHERE NOT (delay < 9) AND (delay > 3)"}
      - {name: theirs, type: custom, engine: soda, implementation: anything}
"""
)

EXPECTED = Contract(
    name="Flights",
    version="1.0.0",
    table="flights",
    description="Departures from New York",
    extra="ignore",
    columns=(
        Column(
            name="carrier",
            dtype=pl.String,
            description="two letters or digits",
            required=True,
            min_length=2,
            max_length=2,
            pattern="^[A-Z0-9]+$",
            allowed=("AA", "B6"),
        ),
        Column(name="flight_number", dtype=pl.UInt16, minimum=1),
        Column(name="day", dtype=pl.Date, minimum=date(2013, 1, 1)),
        Column(name="departs", dtype=pl.Datetime("us", "UTC"), role="time"),
        Column(name="delay", dtype=pl.Float64, exclusive_minimum=-90, exclusive_maximum=3000, allow_non_finite=True),
        Column(name="tail", dtype=pl.String, required=True, unique=True),
    ),
    rules=(
        SqlRule(name="delay_known", sql='NOT ("delay" IS NULL)'),
        SqlRule(name="sane", sql="delay > -60 OR carrier = 'AA'"),
        SqlRule(name="also", sql="delay < 9"),
        SqlRule(name="both", sql="NOT (NOT (delay < 9) AND (delay > 3))"),
    ),
    primary_key=("day", "flight_number"),
)


def test_everything_that_is_read() -> None:
    assert parse_contract(FLIGHTS) == EXPECTED


def test_what_is_written_is_read_back_and_follows_the_standard() -> None:
    text = dump_contract(EXPECTED)
    assert parse_contract(text) == EXPECTED
    assert yaml.safe_load(text)["apiVersion"] == "v3.1.0"
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((importlib.resources.files("open_data_contract_standard") / "schema.json").read_text())
    jsonschema.Draft201909Validator(schema).validate(yaml.safe_load(text))


def columns() -> st.SearchStrategy[dict[str, Any]]:
    integers = st.fixed_dictionaries(
        {"dtype": st.sampled_from([pl.Int64(), pl.Int16()]), "minimum": st.none() | st.integers(-9, 9)},
        optional={
            "allowed": st.lists(st.integers(-5, 5), min_size=1).map(tuple),
            "role": st.sampled_from(["key", "target"]),
        },
    )
    floats = st.fixed_dictionaries(
        {"dtype": st.just(pl.Float64()), "maximum": st.floats(allow_nan=False, allow_infinity=False)},
        optional={"allow_non_finite": st.booleans(), "exclusive_minimum": st.integers(-5, 5)},
    ).filter(lambda fields: fields.get("exclusive_minimum", -math.inf) < fields["maximum"])
    words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
    texts = st.fixed_dictionaries(
        {"dtype": st.just(pl.String()), "allowed": st.lists(words, min_size=1).map(tuple)},
        optional={
            "description": words,
            "max_length": st.integers(0, 9),
            "unique": st.booleans(),
            "required": st.booleans(),
        },
    )
    others = st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(
                [
                    pl.Date(),
                    pl.Datetime("ms", "Europe/Berlin"),
                    pl.Duration("us"),
                    pl.Decimal(9, 2),
                    pl.List(pl.List(pl.Int8)),
                    pl.Array(pl.Float32, 3),
                    pl.Struct({"a": pl.Int8, "b": pl.List(pl.Date)}),
                    pl.Binary(),
                    pl.Time(),
                ]
            )
        }
    )
    return integers | floats | texts | others


@pytest.mark.slow
@given(st.lists(columns(), min_size=1, max_size=5), st.booleans())
@settings(deadline=None, max_examples=60)
def test_round_trip(fields: list[dict[str, Any]], keyed: bool) -> None:
    built = tuple(Column(name=f"c {number}", **field) for number, field in enumerate(fields))
    contract = Contract(name="n", columns=built, primary_key=("c 0",) if keyed else ())
    assert parse_contract(dump_contract(contract)) == contract


def test_one_of_several_tables() -> None:
    tables = """
schema:
  - {name: a, properties: [{name: x, logicalType: integer}]}
  - {name: b, properties: [{name: y, logicalType: date}]}
"""
    assert parse_contract(HEAD + tables, table="b").names == ["y"]
    with pytest.raises(ContractError, match="schema: got a, b, expected one"):
        parse_contract(HEAD + tables)
    with pytest.raises(ContractError, match="schema: got a, b, expected 'c'"):
        parse_contract(HEAD + tables, table="c")


def column(text: str) -> str:
    return HEAD + "schema: [{name: t, properties: [{name: x, " + text + "}]}]"


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("logicalType: integer", pl.Int64()),
        ("logicalType: number", pl.Float64()),
        ("logicalType: number, logicalTypeOptions: {format: f32}", pl.Float32()),
        ("logicalType: number, physicalType: Int32", pl.Int32()),
        ("logicalType: timestamp", pl.Datetime("us")),
        ("logicalType: timestamp, logicalTypeOptions: {timezone: true}", pl.Datetime("us", "UTC")),
        (
            "logicalType: timestamp, logicalTypeOptions: {timezone: true, defaultTimezone: Europe/Berlin}",
            pl.Datetime("us", "Europe/Berlin"),
        ),
        ("logicalType: array, items: {logicalType: number}", pl.List(pl.Float64)),
        ("logicalType: object, properties: [{name: a, logicalType: boolean}]", pl.Struct({"a": pl.Boolean})),
        ("logicalType: vector, logicalTypeOptions: {dimensions: 8}", pl.Array(pl.Float32, 8)),
    ],
)
def test_types(text: str, dtype: pl.DataType) -> None:
    assert parse_contract(column(text)).column("x").dtype == dtype


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\na: 2", "not YAML: the key 'a' stands twice"),
        ("? [a]\n: 1", "not YAML: a key is no text"),
        ("- 1", "got list, expected a mapping with apiVersion, kind, id"),
        ("", "got NoneType, expected a mapping with apiVersion, kind, id"),
        ("kind: Pipeline", "kind, apiVersion: got 'Pipeline', None, expected 'DataContract', 'v3.1.0'"),
        (HEAD.replace("v3.1.0", "v2.2.2"), "got 'DataContract', 'v2.2.2', expected 'DataContract', 'v3.1.0'"),
        (HEAD, "missing: schema"),
        (HEAD + "shema: []", "shema: got [], extra inputs are not permitted"),
        (HEAD + "schema: [{name: t}]", "properties: got none, expected the table's columns"),
        (HEAD.replace("1.0.0", "1.0") + "schema: []", "version: got 1.0, input should be a valid string"),
        (column("logicalType: integer, requird: true"), "schema[t].properties[x]: the standard has no requird"),
        (
            column("logicalType: decimal"),
            "logicalType: got 'decimal', expected one of integer, number, boolean, string",
        ),
        (column("required: true"), "got neither physicalType nor logicalType, expected one"),
        (column("physicalType: geography"), "physicalType: 'geography' is no type known here; expected one of Int8"),
        (
            column("logicalType: string, physicalType: Int64"),
            "logicalType: got 'string', which physicalType 'Int64' (Int64) is not",
        ),
        (
            column("logicalType: integer, logicalTypeOptions: {format: f32}"),
            "format: got 'f32', expected one of integer",
        ),
        (column("logicalType: integer, required: often"), "required: got 'often', input should be a valid boolean"),
        (
            column("logicalType: integer, logicalTypeOptions: {minimum: low}"),
            "minimum: got 'low', expected a whole number",
        ),
        (
            column("logicalType: integer, logicalTypeOptions: {multipleOf: 5}"),
            "logicalTypeOptions.multipleOf: headrace has no such",
        ),
        (
            column("logicalType: integer, customProperties: [{property: role, value: boss}]"),
            "columns.0.role: got 'boss'",
        ),
        (
            column(
                "logicalType: string, quality: [{metric: invalidValues, mustBeLessThan: 5, arguments: {pattern: a}}]"
            ),
            "headrace checks row by row and cannot check this number",
        ),
        (
            column("logicalType: string, quality: [{metric: rowCount, mustBe: 0}]"),
            "metric: headrace cannot check 'rowCount'",
        ),
        (
            column("logicalType: string, quality: [{type: sql, mustBe: 0, name: r, query: SELECT MAX(x) FROM t}]"),
            "query: got 'SELECT MAX(x) FROM t', expected 'SELECT COUNT(*) FROM <table> WHERE NOT (<condition>)'",
        ),
        (
            column("logicalType: string, quality: [{type: custom, engine: headrace, implementation: x > 1}]"),
            "got name None and condition 'x > 1', expected a name",
        ),
        (
            HEAD + "schema: [{name: t, properties: [{logicalType: integer}]}]",
            "name: got nothing, expected the column's name",
        ),
    ],
)
def test_wrong_contracts_say_what_and_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.odcs.yaml"
    path.write_text(text)
    with pytest.raises(ContractError) as caught:
        load_contract(path)
    assert message in caught.value.message
    assert caught.value.where.startswith(str(path))


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="the contract cannot be read: No such file or directory"):
        load_contract(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ContractError, match="the contract cannot be read: it is not UTF-8 text"):
        load_contract(tmp_path / "b.yaml")


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_data_contract_standard.model", None)
    with pytest.raises(CapabilityError) as caught:
        parse_contract(FLIGHTS)
    assert 'pip install "headrace[build]"' in caught.value.hint
