"""The kernel `lists` on a device: literals, and what the CPU's body makes of awkward rows."""

from __future__ import annotations

import math
from typing import Any, get_args

import polars as pl
import pytest
from tests.engines.parity import assert_same_rows

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import TaskEngine
from headrace.engines.kernels.lists import Lists, Operation, Reduce, Slice, Statistic
from headrace.engines.open import EngineSpec, open_engine

NAN, INF = math.nan, math.inf
REDUCTIONS = [Reduce(statistic) for statistic in get_args(Statistic)]
PARTS = [Slice(1), Slice(-2), Slice(1, 3), Slice(1, -1), Slice(-3, -1), Slice(0, 2, pad=9), Slice(-3, pad=1)]
INTEGERS = pl.Series("x", [[4, None, -1], [], None, [None], [7, 7, 7, 7]] * 1000, dtype=pl.List(pl.Int16))
FLOATS = pl.Series(
    "x", [[1.5, NAN], [NAN], [INF, 1.0], [INF, -INF], [NAN, None], [], None, [0.1] * 9], dtype=pl.List(pl.Float32)
)


@pytest.fixture
def gpu() -> TaskEngine:
    return open_engine(EngineSpec(name="gpu", strict=True))


def made(engine: TaskEngine, frame: pl.LazyFrame, operation: Operation) -> pl.DataFrame:
    return engine.hold(engine.kernel(frame, Lists("x", operation, "y"))).to_polars()


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (Slice(1), [[None, -1], [], None, [], [7, 7, 7]]),
        (Slice(0, 3, pad=0), [[4, None, -1], [0, 0, 0], [0, 0, 0], [None, 0, 0], [7, 7, 7]]),
        (Slice(-2, pad=-5), [[None, -1], [-5, -5], [-5, -5], [None, -5], [7, 7]]),
        (Reduce("length"), [3, 0, None, 1, 4]),
        (Reduce("count"), [2, 0, None, 0, 4]),
        (Reduce("sum"), [3, 0, None, 0, 28]),
        (Reduce("mean"), [1.5, None, None, None, 7.0]),
        (Reduce("max"), [4, None, None, None, 7]),
    ],
    ids=str,
)
def test_lists_of_integers(gpu: TaskEngine, operation: Operation, expected: list[Any]) -> None:
    assert made(gpu, INTEGERS.to_frame().lazy(), operation)["y"].to_list() == expected * 1000


@pytest.mark.parametrize("operation", [*REDUCTIONS, *PARTS], ids=str)
@pytest.mark.parametrize("values", [INTEGERS, FLOATS, INTEGERS.clear(), INTEGERS[2:3], INTEGERS[1:2]], ids=len)
def test_both_engines_agree(gpu: TaskEngine, values: pl.Series, operation: Operation) -> None:
    frame = values.to_frame().lazy()
    assert_same_rows(made(CpuEngine(), frame, operation), made(gpu, frame, operation))


@pytest.mark.parametrize("operation", [*REDUCTIONS, *PARTS], ids=str)
def test_elements_that_a_null_list_is_over_are_not_there(gpu: TaskEngine, operation: Operation) -> None:
    frame = pl.DataFrame({"x": [[5, 6], [8], [1]], "keep": [False, True, True]}).lazy()
    frame = frame.select(pl.when("keep").then("x").alias("x"))
    assert_same_rows(made(CpuEngine(), frame, operation), made(gpu, frame, operation))


@pytest.mark.parametrize("operation", [*REDUCTIONS, *PARTS], ids=str)
def test_rows_out_of_the_middle(gpu: TaskEngine, operation: Operation) -> None:
    held = gpu.hold(INTEGERS.to_frame().lazy()).slice(4, 8)
    expected = made(CpuEngine(), INTEGERS[4:12].to_frame().lazy(), operation)
    assert_same_rows(expected, made(gpu, held.lazy(), operation))


def test_lists_of_text(gpu: TaskEngine) -> None:
    frame = pl.LazyFrame({"x": [["a", "é", None], [""], [], None]})
    assert made(gpu, frame, Slice(0, 2, pad="?"))["y"].to_list() == [["a", "é"], ["", "?"], ["?", "?"], ["?", "?"]]
    assert made(gpu, frame, Slice(-1))["y"].to_list() == [[None], [""], [], None]
