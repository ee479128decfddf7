"""FillNull and DropNull against literals and scikit-learn."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from sklearn.impute import SimpleImputer

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import UNIT
from headrace.transforms.missing import DropNull, FillNull

ENGINE = CpuEngine()
NEW_YORK = pl.Datetime("us", "America/New_York")


def fill(frame: pl.DataFrame, **fields: Any) -> pl.DataFrame:
    step = FillNull(**fields).resolve(frame.schema)
    total = step.measure(frame.lazy(), ENGINE).with_columns(pl.lit(0, pl.Int64).alias(UNIT)).collect()
    return step.learn(total).apply(frame.lazy(), ENGINE).collect()


def test_a_value_keeps_the_type_and_the_mask_says_where_it_stands() -> None:
    got = fill(pl.DataFrame({"a": pl.Series([1, None], dtype=pl.Int8)}), columns="a", value=0, mask=True)
    assert got.schema == {"a": pl.Int8, "a_isnull": pl.UInt8}
    assert got.rows() == [(1, 0), (0, 1)]


def test_dates_and_zoned_times_are_filled_from_iso_text_or_python_objects() -> None:
    frame = pl.DataFrame({"d": [None]}, schema={"d": pl.Date})
    assert fill(frame, columns="d", value="2020-02-29")["d"].to_list() == [date(2020, 2, 29)]
    assert fill(frame, columns="d", value=date(2020, 2, 29))["d"].to_list() == [date(2020, 2, 29)]
    zoned = pl.DataFrame({"t": [None]}, schema={"t": pl.Datetime("us", "America/New_York")})
    filled = fill(zoned, columns="t", value="2020-01-01")["t"].dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    assert filled.to_list() == [datetime(2020, 1, 1, 5)]


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_statistics_are_those_of_scikit_learn(statistic: str) -> None:
    values = np.random.default_rng(7).normal(50, 9, 500)
    values[::7] = np.nan
    expected = SimpleImputer(strategy=statistic).fit_transform(values.reshape(-1, 1))[:, 0]
    got = fill(pl.DataFrame({"x": values}).with_columns(pl.col("x").fill_nan(None)), columns="x", statistic=statistic)
    np.testing.assert_allclose(got["x"].to_numpy(), expected, rtol=1e-14)


def test_a_statistic_of_integers_and_booleans_is_float64_even_where_it_is_whole() -> None:
    got = fill(pl.DataFrame({"i": [1, None, 3], "b": [True, None, False]}), columns=["i", "b"], statistic="mean")
    assert got.schema == {"i": pl.Float64, "b": pl.Float64}
    assert got.rows() == [(1.0, 1.0), (2.0, 0.5), (3.0, 0.0)]


def test_float32_stays_and_nan_and_infinities_neither_count_nor_change() -> None:
    frame = pl.DataFrame({"x": pl.Series([1.0, math.nan, math.inf, None, 3.0], dtype=pl.Float32)})
    got = fill(frame, columns="x", statistic="median")
    assert got.schema == {"x": pl.Float32}
    assert str(got["x"].to_list()) == "[1.0, nan, inf, 2.0, 3.0]"


def test_a_column_with_nothing_to_learn_from_is_filled_with_zero() -> None:
    for statistic in ("mean", "median"):
        got = fill(pl.DataFrame({"x": [None, None]}, schema={"x": pl.Float64}), columns="x", statistic=statistic)
        assert got["x"].to_list() == [0.0, 0.0]


def test_a_constant_needs_no_pass() -> None:
    assert FillNull(columns="a", value=0).measured == ()
    assert FillNull(columns="a", statistic="mean").measured == ("a",)
    learned = FillNull(columns="a", value=0).learn(pl.DataFrame())
    assert learned.apply(pl.LazyFrame({"a": [None, 2]}), ENGINE).collect()["a"].to_list() == [0, 2]


@pytest.mark.parametrize("text", ["2020-07-01T04:00:00Z", "2020-07-01T06:00:00+02:00", "2020-07-01T00:00:00"])
def test_a_time_of_any_zone_fills_a_zoned_column(text: str) -> None:
    got = fill(pl.DataFrame({"t": [None]}, schema={"t": NEW_YORK}), columns="t", value=text)
    assert got.schema["t"] == NEW_YORK
    assert got["t"].dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_list() == [datetime(2020, 7, 1, 4)]


@pytest.mark.parametrize(
    ("dtype", "value", "words"),
    [
        (pl.Int8, 300, "got 300, expected a whole number from -128 to 127 (Int8)"),
        (pl.Int64, 0.5, "got 0.5, expected a whole number from -9223372036854775808 to 9223372036854775807 (Int64)"),
        (pl.Int64, True, "got True, expected a whole number from"),
        (pl.String, 0, "got 0, expected a value of String"),
        (pl.Boolean, 1, "got 1, expected a value of Boolean"),
        (pl.Date, "yesterday", "got 'yesterday', expected ISO 8601 text"),
        (pl.Struct({"b": pl.Int64}), 0, "got 0, expected nothing: Struct[b: Int64]"),
        (pl.Float32, 1e39, "got 1e+39, expected a value of Float32"),
        (NEW_YORK, "2020-03-08T02:30:00", "expected ISO 8601 text of a time that there is in America/New_York"),
    ],
)
def test_a_value_that_the_column_cannot_hold_is_refused(dtype: Any, value: Any, words: str) -> None:
    with pytest.raises(PipelineError) as caught:
        FillNull(columns="a", value=value).resolve(pl.Schema({"a": dtype}))
    assert words in caught.value.message
    assert "'a'" in caught.value.message


def test_a_statistic_of_text_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"FillNull\(mean\) takes a number or a boolean, got String in column 'a'"):
        FillNull(columns="a", statistic="mean").resolve(pl.Schema({"a": pl.String}))


@pytest.mark.parametrize("fields", [{}, {"value": 0, "statistic": "mean"}, {"statistic": "most"}, {"value": math.nan}])
def test_fields_that_do_not_go_together_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FillNull(columns="a", **fields)


@pytest.mark.parametrize(
    ("values", "dtype", "mode"),
    [
        (["b", "a", None, "b", "a", "c"], pl.String, "a"),  # of several the smallest, by UTF-8 bytes
        (["é", "z", None, "é"], pl.String, "é"),
        (["", None, "", "a"], pl.String, ""),
        ([3, None, -1, 3], pl.Int8, 3),
        ([2**53 + 1, 2**53, None, 2**53 + 1], pl.Int64, 2**53 + 1),
        ([2**64 - 1, None], pl.UInt64, 2**64 - 1),
        ([True, None, False, True], pl.Boolean, True),
        ([True, None, False], pl.Boolean, False),
        ([date(2020, 1, 2), None, date(1969, 12, 31)], pl.Date, date(1969, 12, 31)),
    ],
)
def test_the_mode_is_the_most_frequent_value_and_keeps_the_type(values: list[Any], dtype: Any, mode: Any) -> None:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    got = fill(frame, columns="x", statistic="mode", mask=True)
    assert got.schema == {"x": dtype, "x_isnull": pl.UInt8}
    assert got["x"].to_list() == [mode if v is None else v for v in values]
    assert got["x_isnull"].to_list() == [int(v is None) for v in values]


def test_the_mode_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    values: list[str | None] = [f"v{n}" for n in rng.integers(0, 40, 200)]
    values[::9] = [None] * len(values[::9])
    twin = SimpleImputer(strategy="most_frequent", missing_values=None)
    expected = twin.fit_transform(np.array(values, dtype=object).reshape(-1, 1))[:, 0]
    assert fill(pl.DataFrame({"x": values}), columns="x", statistic="mode")["x"].to_list() == expected.tolist()


def test_a_column_without_values_has_no_mode_and_keeps_its_nulls() -> None:
    frame = pl.DataFrame({"x": [None, None]}, schema={"x": pl.String})
    assert fill(frame, columns="x", statistic="mode")["x"].to_list() == [None, None]


def test_each_column_has_a_mode_of_its_own() -> None:
    frame = pl.DataFrame({"a": ["x", None], "b": [1, None]})
    step = FillNull(columns=["a", "b"], statistic="mode", mask=True).resolve(frame.schema)
    assert [part.writes for part in step.separate()] == [("a", "a_isnull"), ("b", "b_isnull")]
    with pytest.raises(PipelineError, match=r"FillNull\(mode\) of 2 columns .*separate"):
        step.measure(frame.lazy(), ENGINE)


def test_units_are_added_up_whatever_their_order() -> None:
    step = FillNull(columns=["x"], statistic="mode")
    tables = [
        step.measure(pl.LazyFrame({"x": values}), ENGINE).with_columns(pl.lit(unit, pl.Int64).alias(UNIT))
        for unit, values in enumerate((["a", "a"], ["b"], ["b", "b", None]))
    ]
    total = step.merge([step.merge([tables[2], tables[0]]), tables[1]]).collect()
    assert step.learn(total).apply(pl.LazyFrame({"x": [None]}, schema={"x": pl.String}), ENGINE).collect().item() == "b"


def test_a_mode_of_floats_is_refused() -> None:
    with pytest.raises(
        PipelineError, match=r"FillNull\(mode\) takes a string, an integer, .* got Float64 in column 'a'"
    ):
        FillNull(columns="a", statistic="mode").resolve(pl.Schema({"a": pl.Float64}))


def test_drop_null_drops_rows_with_a_null_in_any_column_and_keeps_nan() -> None:
    frame = pl.LazyFrame({"a": [1.0, None, math.nan], "b": ["x", "y", "z"], "c": [None, None, None]})
    got = DropNull(columns=["a", "b"]).apply(frame, ENGINE).collect()
    assert got["b"].to_list() == ["x", "z"]
    assert DropNull.filters
