"""What every window over an entity's rows refuses before data is read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.transforms.fitting import applied

from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Window
from headrace.transforms.joins import AsOfJoin
from headrace.transforms.registry import OPERATORS, operator_from_plain
from headrace.transforms.table import Table

SCHEMA: Final = pl.Schema(
    {"plane": pl.String, "at": pl.Datetime("us"), "delay": pl.Int64, "share": pl.Float64, "tags": pl.List(pl.String)}
)
FIELDS: Final[dict[str, dict[str, Any]]] = {
    "Lag": {"columns": ["delay"], "by": ["plane"], "order": "at"},
    "Diff": {"columns": ["delay"], "by": ["plane"], "order": "at"},
    "TimeSinceLast": {"by": ["plane"], "order": "at"},
    "Expanding": {"columns": ["delay"], "by": ["plane"], "order": "at"},
    "RollingStats": {"columns": ["delay"], "by": ["plane"], "order": "at", "window": "7d"},
    "Sequence": {"columns": ["delay"], "by": ["plane"], "order": "at", "max_length": 3},
    "Deduplicate": {"by": ["plane"], "order": "at"},
}


def refused(name: str, **fields: Any) -> str:
    with pytest.raises(PipelineError) as caught:
        operator_from_plain({name: {**FIELDS[name], **fields}}).resolve(SCHEMA)
    return caught.value.message


def test_every_window_is_tried_here() -> None:
    assert {name for name, kind in OPERATORS.items() if issubclass(kind, Window)} == set(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_a_window_without_an_entity(name: str) -> None:
    assert refused(name, by=[]) == f"{name}: `by` must name at least one column"
    without = {field: value for field, value in FIELDS[name].items() if field != "by"}
    with pytest.raises(PipelineError, match=f"{name}: by: is missing"):
        operator_from_plain({name: without})


@pytest.mark.parametrize("name", FIELDS)
def test_an_entity_that_is_not_there_or_none(name: str) -> None:
    assert refused(name, by=["plan"]) == f"{name} reads 'plan', which the rows do not have here"
    for column in ("share", "tags"):
        assert f"got {SCHEMA[column]} in column {column!r}" in refused(name, by=[column])


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "Deduplicate"])
def test_a_window_without_an_order(name: str) -> None:
    without = {field: value for field, value in FIELDS[name].items() if field != "order"}
    with pytest.raises(PipelineError, match=f"{name}: order: is missing"):
        operator_from_plain({name: without})


@pytest.mark.parametrize("name", FIELDS)
def test_an_order_that_is_not_there_or_none(name: str) -> None:
    assert refused(name, order="when") == f"{name} reads 'when', which the rows do not have here"
    assert "got String in" in refused(name, order="plane")
    assert "got List(String) in" in refused(name, order="tags")


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("Lag", {"n": 0}, "greater than or equal to 1"),
        ("Lag", {"n": -1}, "greater than or equal to 1"),  # the row after: the future
        ("Diff", {"n": 0}, "greater than or equal to 1"),
        ("Diff", {"n": -2}, "greater than or equal to 1"),
        ("Sequence", {"max_length": 0}, "greater than or equal to 1"),
        ("RollingStats", {"window": "0"}, "window must be longer than 0"),
        ("RollingStats", {"window": timedelta(days=-1)}, "negative duration"),
        ("RollingStats", {"window": "-7d"}, "expected a duration such as"),
        ("RollingStats", {"window": "7"}, "expected a duration such as"),
        ("RollingStats", {"order": "delay"}, "takes a date or a datetime as `order`, got Int64"),
        ("TimeSinceLast", {"order": "delay"}, "takes a date or a datetime as `order`, got Int64"),
        ("Expanding", {"order": "share"}, "orders by an integer, a date or a datetime, got Float64"),
        ("RollingStats", {"known_at": "delay"}, "known_at and order must be of one dtype"),
        ("Lag", {"known_at": "nowhere"}, "reads 'nowhere', which the rows do not have"),
    ],
)
def test_lengths_and_times_that_make_no_sense(name: str, fields: dict[str, Any], words: str) -> None:
    assert words in refused(name, **fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"table": "w"}, "on: is missing"),
        ({"table": "w", "on": "at", "direction": "forward"}, "looks into the future"),
        ({"table": "w", "on": "at", "direction": "nearest"}, "direction"),
        ({"table": "w", "on": "at", "lag": "-1h"}, "expected a duration such as"),
        ({"table": "w", "on": "at", "lag": timedelta(hours=-1)}, "negative duration"),
        ({"table": "w", "on": "at", "lag": "2h", "tolerance": "1h"}, "nothing could match"),
    ],
)
def test_an_as_of_join_without_order_or_into_the_future(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(PipelineError) as caught:
        operator_from_plain({"AsOfJoin": fields})
    assert words in caught.value.message


@pytest.mark.parametrize("name", FIELDS)
def test_the_order_of_rows_does_not_matter_where_times_differ(name: str) -> None:
    rows = pl.DataFrame(
        {"plane": ["a", "b"] * 20, "at": range(40), "delay": range(0, 80, 2), "number": range(40)}
    ).with_columns(pl.col("at").cast(pl.Datetime("us")))
    step: Any = operator_from_plain({name: FIELDS[name]}).resolve(rows.schema)
    late = rows.sample(fraction=1.0, shuffle=True, seed=3)
    assert_frame_equal(applied([step], late).sort("number"), applied([step], rows))


def test_the_hour_that_comes_twice_when_the_clocks_go_back() -> None:
    # In New York 01:30 of 3 November 2013 was 05:30 UTC and again 06:30 UTC. The rows come the later one first.
    utc = [datetime(2013, 11, 3, 6, 30), datetime(2013, 11, 3, 5, 30), datetime(2013, 11, 4, 5, 30)]
    times = pl.Series(utc).dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    rows = pl.DataFrame({"k": ["a"] * 3, "at": times, "x": [1, 2, 4]})
    assert rows["at"].dt.hour().to_list() == [1, 1, 0]
    by: dict[str, Any] = {"by": "k", "order": "at"}
    expected: dict[str, tuple[dict[str, Any], list[Any]]] = {
        "Lag": ({"columns": "x"}, [2, None, 1]),
        "Diff": ({"columns": "x"}, [-1, None, 3]),
        "TimeSinceLast": ({}, [3600.0, None, 82800.0]),
        "Expanding": ({"columns": "x", "statistics": "count"}, [1, 0, 2]),
        "RollingStats": ({"columns": "x", "window": "1d", "statistics": "sum"}, [2.0, 0.0, 3.0]),
        "Sequence": ({"columns": "x", "max_length": 3}, [[2, 1, 4]]),
    }
    for name, (fields, values) in expected.items():
        step: Any = operator_from_plain({name: {**fields, **by}}).resolve(rows.schema)
        assert applied([step], rows)[step.writes[0]].to_list() == values, name
    first: Any = operator_from_plain({"Deduplicate": {**by, "keep": "first"}}).resolve(rows.schema)
    assert applied([first], rows)["x"].to_list() == [2]
    readings = Table(rows.select("at", wind=pl.col("x")))
    as_of = AsOfJoin(table="w", on="at", lag="1h").bind({"w": readings})
    assert applied([as_of], rows)["wind"].to_list() == [2, None, 1]
