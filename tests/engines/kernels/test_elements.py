"""The contract of the kernel, against literals and Python's own lists."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Engine
from headrace.engines.kernels.elements import Elements
from headrace.engines.kernels.lookup import Lookup

ENGINE = CpuEngine()
ROWS = [[4, None, -1], [], None, [None], [7, 7]]
TWICE = [[8, None, -2], [], None, [None], [14, 14]]


def frame_of(rows: list[Any], element: Any = pl.Int64) -> pl.DataFrame:
    return pl.DataFrame({"x": rows, "row": range(len(rows))}, schema={"x": pl.List(element), "row": pl.Int64})


def twice(rows: pl.LazyFrame, _: Engine) -> pl.LazyFrame:
    return rows.with_columns((pl.col("x") * 2).alias("y"))


def made(frame: pl.DataFrame) -> pl.DataFrame:
    got = ENGINE.kernel(frame.lazy(), Elements("x", ("y",), twice)).collect()
    assert got.select(frame.columns).equals(frame)
    assert got.schema["y"] == pl.List(pl.Int64)
    return got


def test_lists_of_the_same_lengths_and_null_where_the_list_is() -> None:
    assert made(frame_of(ROWS))["y"].to_list() == TWICE


@pytest.mark.parametrize("first", range(6))
def test_a_slice_of_rows(first: int) -> None:
    for rows in range(6 - first):
        assert made(frame_of(ROWS).slice(first, rows))["y"].to_list() == TWICE[first : first + rows]


@pytest.mark.parametrize("rows", [[], [[]], [None], [[], None, []], [[None]]], ids=str)
def test_rows_with_nothing_in_them(rows: list[Any]) -> None:
    assert made(frame_of(rows))["y"].to_list() == rows


def test_several_chunks() -> None:
    frame = pl.concat([frame_of(ROWS)] * 3, rechunk=False)
    assert frame["x"].n_chunks() == 3
    assert made(frame)["y"].to_list() == TWICE * 3


def test_elements_that_a_null_list_is_over_are_not_there() -> None:
    seen: list[int] = []

    def query(rows: pl.LazyFrame, _: Engine) -> pl.LazyFrame:
        seen.append(rows.select(pl.len()).collect().item())
        return rows

    array = pa.LargeListArray.from_arrays(
        pa.array([0, 1, 3, 5], pa.int64()), pa.array([4, 5, 6, 7, None]), mask=pa.array([False, True, False])
    )
    frame = pl.DataFrame({"x": pl.Series("x", array)})
    assert ENGINE.kernel(frame.lazy(), Elements("x", ("x",), query)).collect()["x"].to_list() == [[4], None, [7, None]]
    assert seen == [0, 3]  # for the types, then over the elements


@pytest.mark.parametrize(
    ("element", "value"),
    [
        (pl.String, "a text longer than twelve bytes"),
        (pl.Boolean, True),
        (pl.Date, date(2024, 2, 29)),
        (pl.Datetime("ns", "America/New_York"), datetime(2024, 2, 29, 12)),
        (pl.Duration("ms"), 5),
        (pl.Decimal(10, 2), 3),
        (pl.Float32, float("nan")),
        (pl.UInt64, 2**64 - 1),
    ],
)
def test_elements_of_every_type_come_and_go_as_they_are(element: Any, value: Any) -> None:
    values = pl.Series([value, None]).cast(element) if not isinstance(element, pl.Datetime) else _zoned(value, element)
    frame = pl.DataFrame({"x": pl.Series([values, None, values.clear()], dtype=pl.List(element))})
    got = ENGINE.kernel(
        frame.lazy(), Elements("x", ("x", "missing"), lambda rows, _: rows.with_columns(missing=_missing))
    )
    assert got.collect_schema() == {"x": pl.List(element), "missing": pl.List(pl.Boolean)}
    assert got.collect()["x"].equals(frame["x"], null_equal=True)
    assert got.collect()["missing"].to_list() == [[False, True], None, []]


_missing = pl.col("x").is_null()


def _zoned(value: datetime, dtype: pl.Datetime) -> pl.Series:
    naive = pl.Series([value, None], dtype=pl.Datetime(dtype.time_unit))
    return naive.dt.replace_time_zone(dtype.time_zone)


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_a_query_of_many_such_columns(engine: Any) -> None:
    """Several at once, each with joins in it, between other steps, and filtered behind."""
    vocabulary = pl.DataFrame({"value": [2, 4, 6]})
    rows = [[n, n + 1, None] if n % 3 else None for n in range(5000)]
    frame = pl.LazyFrame({f"x{i}": rows for i in range(4)}).with_row_index("n")
    for i in range(4):
        frame = ENGINE.kernel(
            frame,
            Elements(
                f"x{i}", ("id",), lambda part, on, i=i: on.kernel(part, Lookup(f"x{i}", vocabulary, "id", missing=-1))
            ),
        ).rename({"id": f"id{i}"})
    got = frame.filter(pl.col("n").is_in([4, 4999, 3])).select("id0", "id3").collect(engine=engine)
    assert got.rows() == [(None, None), ([1, -1, None],) * 2, ([-1, -1, None],) * 2]


def test_only_what_is_asked_for_is_worked_out() -> None:
    ran: list[pl.Series] = []

    def query(rows: pl.LazyFrame, _: Engine) -> pl.LazyFrame:
        return rows.with_columns(
            a=pl.col("x").map_batches(lambda s: ran.append(s) or s, return_dtype=pl.Int64), b=pl.col("x")
        )

    lazy = ENGINE.kernel(frame_of(ROWS).lazy(), Elements("x", ("a", "b"), query))
    lazy.select("row", "b").collect()
    assert ran == []
    assert lazy.select("a").collect()["a"].to_list() == ROWS


def test_what_is_wrong_with_an_element_is_said_as_of_a_column() -> None:
    frame = frame_of([["1"], ["one", None]], pl.String).lazy()
    lazy = ENGINE.kernel(frame, Elements("x", ("x",), lambda rows, _: rows.with_columns(pl.col("x").cast(pl.Int64))))
    with pytest.raises(pl.exceptions.InvalidOperationError, match="from `str` to `i64` failed in column 'x'"):
        lazy.collect()


def test_a_query_that_loses_elements_is_an_error() -> None:
    lazy = ENGINE.kernel(frame_of(ROWS).lazy(), Elements("x", ("x",), lambda rows, _: rows.drop_nulls()))
    with pytest.raises(AssertionError, match="the query made 4 of 6 elements of 'x'"):
        lazy.collect()


def test_the_stand_in_has_the_same_columns() -> None:
    lazy = frame_of(ROWS).lazy()
    for outputs in (("y",), ("x", "y"), ("row",)):

        def query(rows: pl.LazyFrame, _: Engine, outputs: tuple[str, ...] = outputs) -> pl.LazyFrame:
            return rows.with_columns(pl.col("x").cast(pl.String).alias(name) for name in outputs)

        kernel = Elements("x", outputs, query)
        body, stand_in = kernel.cpu(lazy, ENGINE), kernel.stand_in(lazy, ENGINE)
        assert list(stand_in.collect().schema.items()) == list(body.collect_schema().items())


@given(st.lists(st.none() | st.lists(st.none() | st.integers(-9, 9), max_size=6), max_size=8), st.integers(0, 8))
def test_it_is_what_python_does_with_lists(rows: list[Any], first: int) -> None:
    expected = [None if row is None else [None if v is None else 2 * v for v in row] for row in rows]
    assert made(frame_of(rows)[first:])["y"].to_list() == expected[first:]
