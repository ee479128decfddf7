"""Expressions whose meaning cuDF has another idea of, on the device beside Polars."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from itertools import product

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headrace.engines.engine import TaskEngine
from headrace.engines.open import EngineSpec, open_engine

NAN, INF = math.nan, math.inf
FLOATS = [NAN, INF, -INF, None, 0.0, -0.0, 1.5, -1.5, 2.0, 1e300, 7.25]
WHOLE = [None, 0, 1, 2, -7, 127, 128, 2**31 - 1, 2**31, -(2**31), 2**62 + 1, 2**63 - 1, -(2**63)]
TEXTS = ["5", "+5", "-5", " 5", "", "5.0", "x", None, "300", "99999999999", "9" * 30]
PAIRS = pl.DataFrame(list(product(FLOATS, FLOATS)), schema={"a": pl.Float64, "b": pl.Float64}, orient="row")
INTEGERS = pl.DataFrame(list(product(WHOLE, WHOLE)), schema={"a": pl.Int64, "b": pl.Int64}, orient="row")
COMPARISONS = ["__gt__", "__ge__", "__lt__", "__le__", "__eq__", "__ne__", "eq_missing", "ne_missing"]
TARGETS = [pl.Int8, pl.Int32, pl.Int64, pl.UInt8, pl.UInt64]
HOURS = pl.datetime_range(datetime(1900, 1, 1), datetime(2090, 1, 1), "31d5h", time_unit="us", eager=True)


@pytest.fixture
def gpu() -> TaskEngine:
    return open_engine(EngineSpec(name="gpu", strict=True))


def assert_same(engine: TaskEngine, rows: pl.DataFrame, *expressions: pl.Expr) -> None:
    query = rows.lazy().select(e.alias(str(number)) for number, e in enumerate(expressions))
    assert_frame_equal(engine.collect([query])[0], query.collect(), check_exact=True)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32])
def test_comparisons_with_nan(gpu: TaskEngine, dtype: type[pl.DataType]) -> None:
    a, b = pl.col("a"), pl.col("b")
    assert_same(gpu, PAIRS.cast(dtype), *(getattr(a, name)(b) for name in COMPARISONS))
    assert_same(gpu, PAIRS.cast(dtype), *(getattr(a, name)(pl.lit(1.5, dtype)) for name in COMPARISONS))
    assert_same(gpu, PAIRS.cast(dtype), a.is_between(-1.5, 2.0), a.is_between(b, INF))


@pytest.mark.parametrize("rows", [PAIRS.head(0), PAIRS.head(1)], ids=["no rows", "one row"])
def test_no_rows_and_one(gpu: TaskEngine, rows: pl.DataFrame) -> None:
    a, b = pl.col("a"), pl.col("b")
    assert_same(gpu, rows, a > b, a > 1.5, a % b, a.cast(pl.Int32, strict=False), a.log1p())


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32])
def test_remainders_of_floats(gpu: TaskEngine, dtype: type[pl.DataType]) -> None:
    assert_same(gpu, PAIRS.cast(dtype), pl.col("a") % pl.col("b"), pl.col("a") // pl.col("b"), pl.col("a") % 0.1)


def test_remainders_and_powers_of_integers(gpu: TaskEngine) -> None:
    rows = INTEGERS.filter(pl.col("b").is_null() | (pl.col("b") != -1))  # -2^63 by -1 overflows
    a, b = pl.col("a"), pl.col("b")
    assert_same(gpu, rows, a % b, a // b, a % (2**63 - 1), a % 3, a**2)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32])
def test_rounding(gpu: TaskEngine, dtype: type[pl.DataType]) -> None:
    ties = pl.DataFrame(
        {"a": [n / 8 for n in range(-40, 41)] + [n / 1000 for n in range(0, 4000, 5)] + [1e308, NAN, INF]}
    )
    assert_same(gpu, ties.cast(dtype), *(pl.col("a").round(decimals) for decimals in (0, 1, 2, 8)))


@pytest.mark.parametrize("target", TARGETS)
def test_casts_of_what_does_not_fit_give_null(gpu: TaskEngine, target: type[pl.DataType]) -> None:
    assert_same(
        gpu, PAIRS, pl.col("a").cast(target, strict=False), pl.col("a").cast(pl.Float32).cast(target, strict=False)
    )
    assert_same(gpu, INTEGERS, pl.col("a").cast(target, strict=False))
    assert_same(gpu, pl.DataFrame({"a": TEXTS}), pl.col("a").cast(target, strict=False))


@pytest.mark.parametrize("values", [[1, 2**31], [NAN, 1.0], ["1", "99999999999"]])
def test_strict_casts_of_what_does_not_fit_fail(gpu: TaskEngine, values: list[object]) -> None:
    with pytest.raises(pl.exceptions.InvalidOperationError, match="failed"):
        gpu.collect([pl.LazyFrame({"a": values}, strict=False).select(pl.col("a").cast(pl.Int32))])


def test_days_and_times(gpu: TaskEngine) -> None:
    days = pl.DataFrame({"a": [0, 1, -1, 19_782, 2**31, None]})
    assert_same(gpu, days, pl.col("a").cast(pl.Date, strict=False))
    dates = pl.DataFrame({"a": [date(1969, 12, 31), date(2024, 2, 29), date(2500, 1, 1), None]})
    assert_same(gpu, dates, pl.col("a").cast(pl.Int16, strict=False), pl.col("a").cast(pl.Datetime("ns"), strict=False))


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Europe/Moscow", "America/Sao_Paulo"])
def test_clocks_of_zones(gpu: TaskEngine, zone: str) -> None:
    rows = pl.DataFrame({"t": HOURS.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)})
    t = pl.col("t")
    assert_same(gpu, rows, t.dt.replace_time_zone(None), t.dt.hour(), t.dt.weekday(), t.dt.year(), t.dt.week())


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_constants_of_time(gpu: TaskEngine, unit: str) -> None:
    moments = [datetime(2024, 7, 1, 12, 30) + timedelta(microseconds=n) for n in (0, 1, 29, 123_457, 999_999)]
    rows = pl.DataFrame({"t": pl.Series(moments).dt.cast_time_unit(unit)})  # type: ignore[arg-type]
    dtype = rows.schema["t"]
    assert_same(gpu, rows, *(pl.col("t") >= pl.lit(moment, dtype) for moment in rows["t"]))


def test_small_logarithms(gpu: TaskEngine) -> None:
    rows = pl.DataFrame(
        {"x": [1e-300, 1e-20, -1e-16, 3e-12, 9.9e-5, 1e-4, 0.5, 1e300, 0.0, -1.0, -2.0, INF, NAN, None]}
    )
    query = rows.lazy().select(pl.col("x").log1p().cast(pl.Float32))
    assert_frame_equal(gpu.collect([query])[0], query.collect(), check_exact=False, rel_tol=2**-23, abs_tol=0.0)
