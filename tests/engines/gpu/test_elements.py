"""The device's body over the imitation of libcudf: what the CPU's body gives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

pytest.importorskip("cudf_polars", reason="needs the RAPIDS packages, which need no GPU here")

from tests.imitation.fixture import imitation

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Engine
from headrace.engines.gpu.engine import GpuEngine
from headrace.engines.kernels.elements import Elements
from headrace.engines.kernels.lists import Lists, Reduce
from headrace.engines.kernels.lookup import Lookup
from headrace.schemas.errors import CapabilityError

CPU = CpuEngine()
ROWS = [[4, None, -1], [], None, [None], [7, 7]]


@pytest.fixture(autouse=True, scope="module")
def imitated() -> Iterator[None]:
    with imitation():
        yield


def frame_of(rows: list[Any], element: Any = pl.Int64) -> pl.DataFrame:
    return pl.DataFrame({"x": rows, "row": range(len(rows))}, schema={"x": pl.List(element), "row": pl.Int64})


def twice(rows: pl.LazyFrame, _: Engine) -> pl.LazyFrame:
    return rows.with_columns((pl.col("x") * 2).alias("y"), pl.col("x").is_null().alias("none"))


def both(frame: pl.DataFrame, apply: Any = twice, outputs: tuple[str, ...] = ("y", "none")) -> pl.DataFrame:
    engine = GpuEngine(strict=True)
    [got] = engine.collect([engine.kernel(frame.lazy(), Elements("x", outputs, apply))])
    assert_frame_equal(got, CPU.kernel(frame.lazy(), Elements("x", outputs, apply)).collect())
    return got


def test_lists_of_the_same_lengths_and_null_where_the_list_is() -> None:
    got = both(frame_of(ROWS))
    assert got["y"].to_list() == [[8, None, -2], [], None, [None], [14, 14]]
    assert got["none"].to_list() == [[False, True, False], [], None, [True], [False, False]]


@pytest.mark.parametrize("rows", [[], [[]], [None], [[], None, []], [[None]]], ids=str)
def test_rows_with_nothing_in_them(rows: list[Any]) -> None:
    both(frame_of(rows))


@pytest.mark.parametrize("element", [pl.String, pl.Boolean, pl.Date, pl.Datetime("ms"), pl.Float32])
def test_elements_of_every_type(element: Any) -> None:
    values = {pl.String: "é", pl.Boolean: True, pl.Date: date(2024, 2, 29), pl.Float32: 0.5}
    value = values.get(element, 5)
    both(frame_of([[value, None], [], None], element), lambda rows, _: rows, ("x",))


def test_rows_out_of_the_middle_of_those_that_are_held() -> None:
    engine = GpuEngine(strict=True)
    part = engine.hold(frame_of(ROWS).lazy()).slice(2, 3)
    [got] = engine.collect([engine.kernel(part.lazy(), Elements("x", ("y", "none"), twice))])
    assert_frame_equal(got, CPU.kernel(frame_of(ROWS)[2:].lazy(), Elements("x", ("y", "none"), twice)).collect())


def test_kernels_within_it_and_around_it() -> None:
    engine = GpuEngine(strict=True)
    vocabulary = pl.DataFrame({"value": ["a", "é"]})
    frame = frame_of([["a", "b"], None, [None, "é"]], pl.String).lazy().with_columns(pl.col("row") * 2)
    lazy = engine.kernel(
        frame, Elements("x", ("x",), lambda rows, on: on.kernel(rows, Lookup("x", vocabulary, "x", missing=9, null=8)))
    )
    [got] = engine.collect([engine.kernel(lazy, Lists("x", Reduce("sum"), "sum")).filter(pl.col("row") > 0)])
    assert got.to_dict(as_series=False) == {"x": [None, [8, 1]], "row": [2, 4], "sum": [None, 9]}


def test_a_query_that_does_not_translate_falls_back_with_the_step() -> None:
    def apply(rows: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return engine.kernel(
            rows, Elements("x", ("x",), lambda part, _: part.with_columns(pl.col("x").str.replace_all("b+", "${0}c")))
        )

    frame = frame_of([["ab", None], None], pl.String).lazy()
    engine = GpuEngine()
    [got] = engine.collect([engine.step("step 1 Own(x)", frame, apply)])
    assert got["x"].to_list() == [["abc", None], None]
    assert [note.partition(":")[0] for note in engine.fallbacks] == ["step 1 Own(x)"]
    with pytest.raises(CapabilityError, match=r"the GPU engine cannot run step 1 Own\(x\)"):
        GpuEngine(strict=True).step("step 1 Own(x)", frame, apply)


@given(st.lists(st.none() | st.lists(st.none() | st.integers(-9, 9), max_size=5), max_size=5))
def test_both_bodies_agree(rows: list[Any]) -> None:
    both(frame_of(rows))
