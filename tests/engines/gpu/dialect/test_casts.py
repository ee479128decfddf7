from __future__ import annotations

import math
from datetime import date, datetime

import polars as pl
import pytest
from cudf_polars.dsl import expr
from polars.testing import assert_series_equal
from tests.engines.gpu.dialect.libcudf import computed, refusals, translated

NAN, INF = math.nan, math.inf
INTEGERS = [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64]
FLOATS = [NAN, INF, -INF, None, 0.0, -0.9, 1.9, -1.9, 255.5, 256.0, 2.0**31, -(2.0**31), -(2.0**31) - 0.5, 2.0**63]
FLOATS += [-(2.0**63), 2.0**64, 2.0**31 - 0.5, 1e300, -1.0]


def limits(dtype: type[pl.DataType]) -> list[int | None]:
    low, high = pl.select(low=dtype.min(), high=dtype.max()).row(0)
    return [low, high, 0, 1, 127, 128, 2**31, 2**31 - 1, -1, None]


def column(dtype: type[pl.DataType]) -> pl.DataFrame:
    low, high = pl.select(low=dtype.min(), high=dtype.max()).row(0)
    kept = [v for v in limits(dtype) if v is None or low <= v <= high]
    return pl.DataFrame({"x": kept}, schema={"x": dtype})


def assert_same(frame: pl.DataFrame, expression: pl.Expr) -> None:
    assert_series_equal(computed(frame, expression), frame.select(expression).to_series(), check_exact=True)


@pytest.mark.parametrize("target", INTEGERS)
@pytest.mark.parametrize("source", INTEGERS)
def test_integers_that_do_not_fit_are_null(source: type[pl.DataType], target: type[pl.DataType]) -> None:
    assert_same(column(source), pl.col("x").cast(target, strict=False))


@pytest.mark.parametrize("target", INTEGERS)
@pytest.mark.parametrize("source", [pl.Float64, pl.Float32])
def test_floats_that_do_not_fit_are_null(source: type[pl.DataType], target: type[pl.DataType]) -> None:
    assert_same(pl.DataFrame({"x": FLOATS}, schema={"x": source}), pl.col("x").cast(target, strict=False))


@pytest.mark.parametrize("target", [pl.Int32, pl.Int64, pl.UInt8])
def test_texts_that_are_no_such_integer_are_null(target: type[pl.DataType]) -> None:
    texts = ["5", "+5", "-5", " 5", "", "5.0", "1e3", "x", None, "300", "99999999999", "9" * 30, "٣"]
    assert_same(pl.DataFrame({"x": texts}), pl.col("x").cast(target, strict=False))


@pytest.mark.parametrize(
    ("values", "dtype", "target", "fails"),
    [
        ([1, 2**31 - 1, None], pl.Int64, pl.Int32, False),
        ([1, 2**31], pl.Int64, pl.Int32, True),
        ([-1], pl.Int64, pl.UInt64, True),
        ([1.9, None], pl.Float64, pl.Int32, False),
        ([NAN], pl.Float64, pl.Int32, True),
        ([2.0**63], pl.Float64, pl.Int64, True),
        (["12", None], pl.String, pl.Int32, False),
        (["12", "99999999999"], pl.String, pl.Int32, True),
        ([2**31], pl.Int64, pl.Date, True),
        ([date(2500, 1, 1)], pl.Date, pl.Datetime("ns"), True),
        ([datetime(2500, 1, 1)], pl.Datetime("us"), pl.Datetime("ns"), False),
        ([datetime(2200, 1, 1)], pl.Datetime("us"), pl.Datetime("ns"), False),
        ([datetime(2024, 1, 1)], pl.Datetime("us"), pl.Int32, True),
    ],
)
def test_a_strict_cast_fails_where_that_of_polars_does(
    values: list[object], dtype: pl.DataType, target: pl.DataType, fails: bool
) -> None:
    frame = pl.DataFrame({"x": values}, schema={"x": dtype})
    if not fails:
        assert_same(frame, pl.col("x").cast(target))
        return
    with pytest.raises(pl.exceptions.InvalidOperationError):
        frame.select(pl.col("x").cast(target))
    [node] = translated(frame.lazy().select(pl.col("x").cast(target)))
    assert type(node).__name__ == "Checked"
    with pytest.raises(pl.exceptions.InvalidOperationError, match=r"conversion from .* to .* failed: .*strict=False"):
        computed_without_polars(frame, node)


def computed_without_polars(frame: pl.DataFrame, node: expr.Expr) -> None:
    from tests.engines.gpu.dialect.libcudf import physical, value

    for x in frame["x"]:
        value(node, {"x": physical(x, frame.schema["x"])})


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt32])
def test_days_as_integers_become_dates(dtype: type[pl.DataType]) -> None:
    assert_same(column(dtype), pl.col("x").cast(pl.Date, strict=False))


def test_times_become_integers_and_other_times() -> None:
    days = pl.DataFrame({"x": [date(1969, 12, 31), date(2024, 2, 29), date(2500, 1, 1), None]})
    moments = [datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(2024, 2, 29, 1), datetime(2500, 1, 1), None]
    times = pl.DataFrame({"x": moments}, schema={"x": pl.Datetime("us")})
    for frame in (days, times):
        for target in (pl.Int16, pl.Int32, pl.Int64, pl.UInt64, pl.Datetime("ns"), pl.Datetime("ms"), pl.Date):
            assert_same(frame, pl.col("x").cast(target, strict=False))


def test_the_text_of_floats_is_left_to_the_cpu() -> None:
    frame = pl.LazyFrame(schema={"x": pl.Float64, "n": pl.Int64})
    assert refusals(frame.select(pl.col("x").cast(pl.String))) == ["the text of a float is another one in cuDF"]
    assert refusals(frame.select(pl.col("n").cast(pl.String))) == []


def test_casts_that_hold_every_value_or_are_said_to_stay_as_they_are() -> None:
    frame = pl.LazyFrame(schema={"n": pl.Int32, "u": pl.UInt64, "x": pl.Float64, "b": pl.Boolean, "t": pl.Datetime})
    casts = [
        pl.col("n").cast(pl.Int64),
        pl.col("n").cast(pl.Float32),
        pl.col("x").cast(pl.Float32),
        pl.col("b").cast(pl.UInt8),
        pl.col("t").cast(pl.Int64),
        pl.col("u").cast(pl.Int32, wrap_numerical=True),
        pl.col("x").cast(pl.Int64, wrap_numerical=True),
    ]
    made = translated(frame.select(e.alias(str(i)) for i, e in enumerate(casts)))
    assert {type(node).__name__ for node in made} == {"Cast"}
