"""The device's body of `lists` on the imitation of pylibcudf, against literals and the CPU's body."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from typing import Any, get_args

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

pytest.importorskip("cudf_polars", reason="needs the RAPIDS packages, which need no GPU here")

from tests.imitation.fixture import from_polars, imitation, to_polars

from headrace.engines.cpu import CpuEngine
from headrace.engines.gpu import lists
from headrace.engines.gpu.engine import GpuEngine
from headrace.engines.kernels.lists import Contains, Lists, Operation, Reduce, Slice, Statistic

CPU = CpuEngine()

NAN, INF = math.nan, math.inf
ROWS = [[4, None, -1], [], None, [None], [7, 7, 7, 7]]
REDUCTIONS = [Reduce(statistic) for statistic in get_args(Statistic)]
PARTS = [
    Slice(1),
    Slice(-2),
    Slice(1, 3),
    Slice(1, -1),
    Slice(-3, -1),
    Slice(0, 2, pad=9),
    Slice(-3, pad=1),
    Contains(7),
]


@pytest.fixture(autouse=True, scope="module")
def _imitated() -> Iterator[None]:
    with imitation():
        yield


def both(frame: pl.DataFrame, operation: Operation, output: str = "y") -> pl.DataFrame:
    """What the device's body makes, the same as the CPU's."""
    made = to_polars(lists.gpu(from_polars(frame), Lists("x", operation, output)))
    assert_frame_equal(made, CPU.kernel(frame.lazy(), Lists("x", operation, output)).collect())
    return made


def rows(values: list[Any], element: Any = pl.Int16) -> pl.DataFrame:
    return pl.DataFrame({"x": values, "n": range(len(values))}, schema={"x": pl.List(element), "n": pl.Int64})


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (Slice(1), [[None, -1], [], None, [], [7, 7, 7]]),
        (Slice(1, -1), [[None], [], None, [], [7, 7]]),
        (Slice(0, 3, pad=0), [[4, None, -1], [0, 0, 0], [0, 0, 0], [None, 0, 0], [7, 7, 7]]),
        (Slice(-2, pad=-5), [[None, -1], [-5, -5], [-5, -5], [None, -5], [7, 7]]),
        (Slice(-4, -3, pad=1), [[1], [1], [1], [1], [7]]),
        (Reduce("length"), [3, 0, None, 1, 4]),
        (Reduce("count"), [2, 0, None, 0, 4]),
        (Reduce("sum"), [3, 0, None, 0, 28]),
        (Reduce("mean"), [1.5, None, None, None, 7.0]),
        (Reduce("min"), [-1, None, None, None, 7]),
        (Reduce("max"), [4, None, None, None, 7]),
    ],
)
def test_lists_of_integers(operation: Operation, expected: list[Any]) -> None:
    assert both(rows(ROWS), operation)["y"].to_list() == expected


@pytest.mark.parametrize(
    ("element", "values", "value", "expected"),
    [
        (pl.String, [["a", None], ["b", None], [], None], "a", [True, False, False, None]),
        (pl.Boolean, [[True, None], [False], [None]], True, [True, False, False]),
        (pl.Date, [[date(2024, 2, 29)], [None], None], date(2024, 2, 29), [True, False, None]),
        (pl.Int64, [[2**53], [2**53 + 1]], 2**53 + 1, [False, True]),
    ],
)
def test_whether_a_list_holds_a_value(element: Any, values: list[Any], value: Any, expected: list[Any]) -> None:
    assert both(rows(values, element), Contains(value))["y"].to_list() == expected


@pytest.mark.parametrize("element", [pl.Float32, pl.Float64])
@pytest.mark.parametrize("operation", [*REDUCTIONS, *PARTS[:-1]], ids=str)
def test_lists_of_floats(operation: Operation, element: Any) -> None:
    values = [[1.5, NAN], [NAN], [INF, 1.0], [INF, -INF], [NAN, None], [], None, [1e8, 1.0, -1e8]]
    both(rows(values, element), operation)


@pytest.mark.parametrize("operation", [*REDUCTIONS, Slice(0, 2, pad=True)], ids=str)
def test_lists_of_booleans(operation: Operation) -> None:
    both(rows([[True, False, None], [True], [], None], pl.Boolean), operation)


@pytest.mark.parametrize("operation", [Reduce("length"), Slice(1), Slice(0, 2, pad="?")], ids=str)
def test_lists_of_text(operation: Operation) -> None:
    both(rows([["a", "é", None], [""], [], None], pl.String), operation)


def test_sums_are_64_bits_wide() -> None:
    assert both(rows([[127, 127]], pl.Int8), Reduce("sum"))["y"].to_list() == [254]
    assert both(rows([[2**63, 5]], pl.UInt64), Reduce("sum"))["y"].to_list() == [2**63 + 5]
    assert both(rows([[2**63 - 1, 1]], pl.Int64), Reduce("sum"))["y"].to_list() == [-(2**63)]


@pytest.mark.parametrize("operation", [*REDUCTIONS, *PARTS], ids=str)
@pytest.mark.parametrize("values", [[], [None, None], [[], []], [[None]]], ids=str)
def test_rows_with_nothing_in_them(operation: Operation, values: list[Any]) -> None:
    both(rows(values), operation)


@pytest.mark.parametrize("operation", [*REDUCTIONS, *PARTS], ids=str)
def test_rows_out_of_the_middle(operation: Operation) -> None:
    part = from_polars(rows(ROWS)).slice(1, 3)
    expected = CPU.kernel(rows(ROWS)[1:4].lazy(), Lists("x", operation, "y")).collect()
    assert_frame_equal(to_polars(lists.gpu(part, Lists("x", operation, "y"))), expected)


@pytest.mark.parametrize("operation", [*REDUCTIONS, *PARTS], ids=str)
def test_elements_that_a_null_list_is_over_are_not_there(operation: Operation) -> None:
    over = pa.ListArray.from_arrays(
        pa.array([0, 2, 3], pa.int32()), pa.array([5, 6, 8], pa.int16()), mask=pa.array([True, False])
    )
    frame = from_polars(rows([[5, 6], [8]]))
    frame.column("x")._array = over  # type: ignore[attr-defined]
    expected = CPU.kernel(rows([None, [8]]).lazy(), Lists("x", operation, "y")).collect()["y"]
    assert to_polars(lists.gpu(frame, Lists("x", operation, "y")))["y"].equals(expected)


@pytest.mark.parametrize("operation", [Reduce("sum"), Slice(1)], ids=str)
def test_in_place(operation: Operation) -> None:
    assert both(rows(ROWS), operation, "x").columns == ["x", "n"]


@given(
    st.lists(st.none() | st.lists(st.none() | st.integers(-9, 9), max_size=5), max_size=5),
    st.sampled_from([*REDUCTIONS, *PARTS, Slice(-5, -1, pad=3), Slice(4, 6, pad=3), Slice(3, -2)]),
)
def test_both_bodies_agree(values: list[Any], operation: Operation) -> None:
    both(rows(values), operation)


def test_a_query_with_the_kernel_in_it() -> None:
    engine = GpuEngine(strict=True)
    frame = rows(ROWS).lazy().with_columns(pl.col("n") * 2)
    for operation, output in ((Slice(0, 2, pad=0), "first"), (Reduce("sum"), "total"), (Reduce("length"), "x")):
        frame = engine.kernel(frame, Lists("x", operation, output))
    [made] = engine.collect([frame.filter(pl.col("total") > 0)])
    assert made.to_dict(as_series=False) == {
        "x": [3, 4], "n": [0, 8], "first": [[4, None], [7, 7]], "total": [3, 28]
    }  # fmt: skip
    assert made.schema == {"x": pl.Int32, "n": pl.Int64, "first": pl.List(pl.Int16), "total": pl.Int64}
