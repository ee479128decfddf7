"""Sequences as literals: order, ties, nulls, lengths, padding, and rows that are asked for one by one."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import ValidationError
from tests.transforms.fitting import applied, gpu_gaps

from headrace.engines.cpu import CpuEngine
from headrace.engines.translation import available
from headrace.schemas.errors import PipelineError
from headrace.transforms.registry import operator_from_plain
from headrace.transforms.sequences import Sequence

START = datetime(2020, 1, 1)
VISITS = pl.DataFrame(
    {
        "who": ["a", "b", "a", "a", None, "b", "a", "c", "a"],
        "at": [None if h is None else START + timedelta(hours=h) for h in (5, 1, 1, 3, 2, 9, None, None, 3)],
        "item": pl.Series([50, 10, 1, 30, 2, None, 7, 4, 31], dtype=pl.Int8),
        "price": [5.0, math.nan, None, 3.0, 2.0, 9.0, 7.0, 4.0, 3.5],
    }
)


def made(frame: pl.DataFrame = VISITS, **fields: Any) -> pl.DataFrame:
    step = Sequence(**{"columns": ["item"], "by": "who", "order": "at", "max_length": 10, **fields})
    return applied([step.resolve(frame.schema)], frame)


def test_the_last_row_of_an_entity_stays_with_the_values_up_to_it() -> None:
    got = made(columns=["item", "price"])
    assert got.columns == [*VISITS.columns, "item_list", "price_list"]
    assert got.schema["item_list"] == pl.List(pl.Int8)
    assert got.drop("price_list").rows() == [
        ("a", START + timedelta(hours=5), 50, 5.0, [1, 30, 31, 50]),  # the two of 3 o'clock in the order of the source
        ("b", START + timedelta(hours=9), None, 9.0, [10, None]),
    ]
    a, b = got["price_list"].to_list()
    assert a == [None, 3.0, 3.5, 5.0]
    assert math.isnan(b[0])
    assert b[1] == 9.0


def test_rows_without_entity_or_time_are_dropped_also_where_an_entity_has_no_other() -> None:
    assert made()["who"].to_list() == ["a", "b"]


def test_no_more_than_the_last_values() -> None:
    assert made(max_length=2)["item_list"].to_list() == [[31, 50], [10, None]]
    assert made(max_length=1)["item_list"].to_list() == [[50], [None]]


def test_padding_makes_lists_of_one_length() -> None:
    got = made(max_length=3, pad=-1)
    assert got["item_list"].to_list() == [[30, 31, 50], [10, None, -1]]
    assert got.schema["item_list"] == pl.List(pl.Int8)


def test_a_list_may_take_the_place_of_its_column() -> None:
    got = made(output="{column}", max_length=2)
    assert got.columns == VISITS.columns
    assert got["item"].to_list() == [[31, 50], [10, None]]


def test_several_columns_make_an_entity_and_a_number_the_order() -> None:
    frame = pl.DataFrame({"k": [1, 1, 1], "l": [True, False, True], "n": [2, 3, 1], "x": ["p", "q", "r"]})
    got = made(frame, columns="x", by=["k", "l"], order="n")
    assert got["x_list"].to_list() == [["r", "p"], ["q"]]
    assert got["n"].to_list() == [2, 3]


def test_integers_beyond_2_to_the_53_stay_what_they_are() -> None:
    frame = pl.DataFrame({"k": ["a"] * 3, "n": [2**53 + 1, 2**53, 2**63 - 1]})
    assert made(frame, columns="n", by="k", order="n")["n_list"].to_list() == [[2**53, 2**53 + 1, 2**63 - 1]]


@pytest.mark.parametrize("frame", [VISITS.clear(), VISITS.with_columns(who=pl.lit(None, pl.String))])
def test_nothing_gives_nothing_of_the_right_type(frame: pl.DataFrame) -> None:
    assert made(frame).schema == {**VISITS.schema, "item_list": pl.List(pl.Int8)}
    assert made(frame).height == 0


def test_one_row() -> None:
    assert made(VISITS.head(1), pad=0, max_length=3)["item_list"].to_list() == [[50, 0, 0]]


def test_each_row_that_is_asked_for_gets_the_list_that_ends_with_it() -> None:
    step = Sequence(columns=["item", "price"], by="who", order="at", max_length=3)
    asked = VISITS.with_columns(asked=pl.Series([False, True, False, True, True, False, True, False, True]))
    got = step.answer(asked.lazy(), "asked", CpuEngine()).collect()
    # b at 1; a at 3 twice, the later of the source with the earlier one before it; without an entity, without a time.
    assert got["item_list"].to_list() == [[10], [1, 30], None, None, [1, 30, 31]]
    assert got.drop("item_list", "price_list").equals(asked.filter("asked"))
    padded = step.model_copy(update={"pad": 0}).answer(asked.lazy(), "asked", CpuEngine()).collect()
    assert padded["item_list"].to_list() == [[10, 0, 0], [1, 30, 0], [0, 0, 0], [0, 0, 0], [1, 30, 31]]


def test_the_last_rows_are_answered_as_they_are_made() -> None:
    whole = made(VISITS.with_row_index("n").with_columns(asked=pl.lit(True)), max_length=2)
    step = Sequence(columns=["item"], by="who", order="at", max_length=2)
    frame = VISITS.with_row_index("n").with_columns(pl.col("n").is_in(whole["n"].implode()).alias("asked"))
    assert_frame_equal(step.answer(frame.lazy(), "asked", CpuEngine()).collect(), whole)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_length": 0}, "greater than or equal to 1"),
        ({"max_length": -3}, "greater than or equal to 1"),
        ({"columns": "numeric", "output": "x"}, "several columns"),
        ({"columns": ["a", "b"], "output": "x"}, "several columns"),
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Sequence(**{"columns": ["item"], "by": "who", "order": "at", "max_length": 5, **fields})


@pytest.mark.parametrize("field", ["columns", "by", "order", "max_length"])
def test_what_has_to_be_there(field: str) -> None:
    fields = {"columns": ["item"], "by": "who", "order": "at", "max_length": 5}
    del fields[field]
    with pytest.raises(PipelineError, match=f"Sequence: {field}: is missing"):
        operator_from_plain({"Sequence": fields})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"by": []}, "`by` must name at least one column"),
        ({"by": "price"}, r"`by` takes .* got Float64 in column 'price'"),
        ({"order": "who"}, "orders by a number or a time, got String in column 'who'"),
        ({"order": "when"}, "reads 'when', which the rows do not have"),
        ({"columns": "seen"}, r"takes a string.* got List\(Int64\) in column 'seen'"),
        ({"columns": "zoned"}, r"a datetime without a zone, got Datetime.* in column 'zoned'"),
        ({"pad": 1000}, r"pad=1000\) does not fit column 'item' \(Int8\)"),
        ({"pad": "x"}, r"pad='x'\) does not fit column 'item' \(Int8\)"),
        ({"columns": "at", "pad": 0}, "does not fit column 'at'.*expected a string, an integer, a float or a boolean"),
    ],
)
def test_columns_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    zoned = pl.col("at").dt.replace_time_zone("UTC").alias("zoned")
    frame = VISITS.with_columns(zoned, seen=pl.lit([1], pl.List(pl.Int64)))
    with pytest.raises(PipelineError, match=message):
        made(frame, **fields)


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
def test_run_on_the_gpu_but_for_the_kernel() -> None:
    step = Sequence(columns=["item", "who"], by="who", order="at", max_length=3)
    assert gpu_gaps(step, VISITS) == ([], {"lists"})
