"""The device's body of `ngrams` on the imitation of pylibcudf, against the CPU's body."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

pytest.importorskip("cudf_polars", reason="needs the RAPIDS packages, which need no GPU here")

from tests.imitation.fixture import from_polars, imitation, to_polars

from headrace.engines.cpu import CpuEngine
from headrace.engines.gpu import ngrams
from headrace.engines.gpu.engine import GpuEngine
from headrace.engines.kernels.ngrams import Ngrams, Runs

CPU = CpuEngine()

RUNS = [Runs("character", 2, 50), Runs("character", 4, 2**31 - 1, 9), Runs("word", 1, 50), Runs("word", 3, 7)]


@pytest.fixture(autouse=True, scope="module")
def _imitated() -> Iterator[None]:
    with imitation():
        yield


def both(frame: pl.DataFrame, runs: Runs) -> pl.DataFrame:
    """What the device's body makes, the same as the CPU's."""
    made = to_polars(ngrams.gpu(from_polars(frame), Ngrams("x", runs, "y")))
    assert_frame_equal(made, CPU.kernel(frame.lazy(), Ngrams("x", runs, "y")).collect())
    return made


def texts(values: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"x": values, "n": range(len(values))}, schema={"x": pl.String, "n": pl.Int64})


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize(
    "values",
    [["a b c d", None, "", "日本語 x\ty", " ", "abcd"], ["a"], [None, None], ["", ""], []],
    ids=["many", "one", "null", "empty", "no rows"],
)
def test_the_bodies_agree(values: list[str | None], runs: Runs) -> None:
    both(texts(values), runs)


@given(values=st.lists(st.none() | st.text("ab \té日", max_size=9), max_size=9), runs=st.sampled_from(RUNS))
def test_the_bodies_agree_on_any_texts(values: list[str | None], runs: Runs) -> None:
    both(texts(values), runs)


def test_the_engine_runs_it_in_a_query() -> None:
    frame = texts(["a b", None, "c"]).lazy()
    engine, kernel = GpuEngine(strict=True), Ngrams("x", Runs("word", 1, 9), "x")
    [made] = engine.collect([engine.kernel(frame, kernel)])
    assert_frame_equal(made, CPU.kernel(frame, kernel).collect())
