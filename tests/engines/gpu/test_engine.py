"""The GPU engine over an imitation of libcudf: what it hands to the CPU, wherever in a query that is, and how it says
so. `tests/gpu` asks a device."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from tests.imitation.fixture import imitated

from headrace.engines.engine import Engine
from headrace.engines.gpu.engine import GpuEngine
from headrace.engines.kernels.asof import JoinAsof
from headrace.engines.kernels.lookup import Lookup
from headrace.schemas.errors import CapabilityError

__all__ = ["imitated"]

pytestmark = pytest.mark.usefixtures("imitated")

ROWS = pl.LazyFrame({"n": [1, 2, 3, 4], "text": ["a b", "c", None, "a"]})
VOCABULARY = pl.DataFrame({"value": ["a", "c"]})


def words(frame: pl.LazyFrame) -> pl.LazyFrame:
    """What cudf-polars lacks: the first word of a text."""
    return frame.with_columns(pl.col("text").str.split(" ").list.first())


def ids(frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
    return engine.kernel(frame, Lookup("text", VOCABULARY, "id"))


def test_a_step_that_is_lacking_runs_between_two_that_are_not() -> None:
    engine = GpuEngine()
    before = engine.step("one", ROWS, lambda frame, _: frame.with_columns(n=pl.col("n") * 2))
    stepped = engine.step("two", before, lambda frame, _: words(frame))
    [found] = engine.collect([engine.step("three", stepped, ids)])
    assert found.to_dict(as_series=False) == {
        "n": [2, 4, 6, 8],
        "text": ["a", "c", None, "a"],
        "id": [0, 1, None, 0],
    }
    assert [fallback.split(": ")[0] for fallback in engine.fallbacks] == ["two"]


def test_a_query_that_is_lacking_runs_on_the_cpu_as_it_is() -> None:
    engine = GpuEngine()
    [found] = engine.collect([words(ids(ROWS, engine)).select("text", "id")])
    assert found["id"].to_list() == [None, 1, None, 0]
    [fallback] = engine.fallbacks
    assert fallback.startswith("a query for text, id: ")


def test_so_does_one_that_is_lacking_before_a_kernel() -> None:
    engine = GpuEngine()
    [found] = engine.collect([ids(words(ROWS), engine)])
    assert found["id"].to_list() == [0, 1, None, 0]
    [fallback] = engine.fallbacks
    assert fallback.startswith("a query for n, text: ")


def test_so_does_the_table_of_a_join() -> None:
    engine = GpuEngine()
    table = words(pl.LazyFrame({"at": [1, 3], "text": ["x y", "z"]}))
    rows = ROWS.select(pl.col("n").cast(pl.Datetime("us")).alias("at"))
    joined = engine.kernel(
        rows,
        JoinAsof(table=table.with_columns(pl.col("at").cast(pl.Datetime("us"))), by=(), left_on="at", right_on="at"),
    )
    [found] = engine.collect([joined])
    assert found["text"].to_list() == ["x", "x", "z", "z"]
    assert len(engine.fallbacks) == 1


@pytest.mark.parametrize(
    "asked",
    [
        lambda engine: engine.step("two", ROWS, lambda frame, _: words(frame)),
        lambda engine: engine.hold(words(ids(ROWS, engine))),
        lambda engine: engine.hold(ids(words(ROWS), engine)),
    ],
    ids=["a step", "behind a kernel", "before one"],
)
def test_a_strict_engine_refuses_each_of_them(asked: Callable[[GpuEngine], object]) -> None:
    with pytest.raises(CapabilityError, match=r"the GPU engine cannot run .*: No handler for Expr function") as caught:
        asked(GpuEngine(strict=True))
    assert "--strict-gpu" in caught.value.hint
