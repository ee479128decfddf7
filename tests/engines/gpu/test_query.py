"""What a query's sources hand on where Polars runs it; the rows come from an imitation of libcudf."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import polars as pl
import pytest
from tests.imitation.fixture import imitated

from headrace.engines.gpu import query
from headrace.engines.gpu.frame import DeviceFrame
from headrace.schemas.errors import DataError, GpuMemoryError

__all__ = ["imitated"]

pytestmark = pytest.mark.usefixtures("imitated")

SCHEMA = pl.Schema({"a": pl.Int64(), "b": pl.String()})
ROWS = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None]}, schema=SCHEMA)


def held(wanted: list[str]) -> DeviceFrame:
    return query.from_polars(ROWS).select(wanted)


def failing(problem: BaseException) -> pl.LazyFrame:
    def compute(_: list[str]) -> DeviceFrame:
        raise problem

    return query.as_source(SCHEMA, compute)


def test_a_source_is_asked_for_the_columns_that_are_needed() -> None:
    asked: list[list[str]] = []

    def compute(wanted: list[str]) -> DeviceFrame:
        asked.append(sorted(wanted))
        return held(wanted)

    rows = query.run_on_host(query.as_source(SCHEMA, compute).filter(pl.col("a") > 1).select("b"))

    assert rows["b"].to_list() == ["y", None]
    assert asked == [["a", "b"]]


def test_rows_are_counted_where_no_column_is_needed() -> None:
    source = query.as_source(SCHEMA, held)
    counted = query.run_on_host(source.group_by(pl.lit(1)).agg(pl.len().alias("rows")))
    assert counted["rows"].to_list() == [3]
    assert query.run_on_host(source.with_row_index("n").select("n"))["n"].to_list() == [0, 1, 2]


@pytest.mark.parametrize(
    "problem",
    [GpuMemoryError("full", hint="h"), query.Untranslatable(["no"]), KeyboardInterrupt(), OSError(28, "full")],
    ids=lambda problem: type(problem).__name__,
)
@pytest.mark.parametrize(
    "asking",
    [
        lambda source: source.select("a"),
        lambda source: ROWS.lazy().join(source, on="a"),  # on a thread of Polars' own
    ],
)
def test_what_a_source_raises_is_raised_as_it_was(
    asking: Callable[[pl.LazyFrame], pl.LazyFrame], problem: BaseException
) -> None:
    with pytest.raises(type(problem)) as caught:
        query.run_on_host(asking(failing(problem)))
    assert caught.value is problem


def test_what_the_device_raises_in_a_source_is_an_error_of_ours() -> None:
    with pytest.raises(GpuMemoryError, match="the device has no memory left: std::bad_alloc"):
        query.run_on_host(failing(MemoryError("std::bad_alloc")))


def test_an_error_of_the_query_itself_stays() -> None:
    with pytest.raises(pl.exceptions.PolarsError, match="conversion from"):
        query.run_on_host(query.as_source(SCHEMA, held).select(pl.col("b").cast(pl.Int64)))


def test_an_error_of_one_query_is_not_told_of_another() -> None:
    """A source that runs a query itself, which fails and is recovered from."""

    def recovering(wanted: list[str]) -> DeviceFrame:
        with pytest.raises(DataError):
            query.run_on_host(failing(DataError("inside")))
        return held(wanted)

    source = query.as_source(SCHEMA, recovering)
    assert query.run_on_host(source).equals(ROWS)
    with pytest.raises(GpuMemoryError, match="outside"):
        query.run_on_host(failing(GpuMemoryError("outside")))


def test_rows_do_not_outlive_an_error() -> None:
    """A traceback holds the frames that it went through, and those hold rows on the device."""
    alive: list[weakref.ref[DeviceFrame]] = []

    def compute(wanted: list[str]) -> DeviceFrame:
        rows = held(wanted)
        alive.append(weakref.ref(rows))
        raise GpuMemoryError("the device has no memory left")

    gc.disable()  # by counting references alone
    try:
        with pytest.raises(GpuMemoryError):
            query.run_on_host(query.as_source(SCHEMA, compute))
        assert [rows() for rows in alive] == [None]
    finally:
        gc.enable()
