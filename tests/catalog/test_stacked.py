"""Columns in one stack give what each gives alone."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal
from tests.catalog.dtypes import every_dtype

from headrace.catalog import by_column, stacked
from headrace.engines.cpu import CpuEngine, InMemory
from headrace.engines.engine import EngineName

WHOLE = 2**64 - 1


class OtherEngine(CpuEngine):
    """Polars under the name of the other engine, so that expressions are those meant for it."""

    name: EngineName = "gpu"

    def __init__(self) -> None:
        self.queries = 0

    def collect(self, frames: Sequence[pl.LazyFrame], *, any_order: bool = False) -> list[pl.DataFrame]:
        self.queries += len(frames)
        return super().collect(frames, any_order=any_order)


def measurable(count: int, rows: int) -> InMemory:
    frame = every_dtype(count, rows)
    numbers = frame.select(
        c for c in frame.columns if frame.schema[c].is_numeric() and not frame.schema[c].is_decimal()
    )
    return InMemory(numbers.with_columns(frame["text"]))


@pytest.mark.slow
@pytest.mark.parametrize(("count", "rows"), [(7, 100), (1_024, 3_000), (1_300, 4_000), (1, 1)])
def test_counts_are_those_of_each_column_alone(count: int, rows: int) -> None:
    data = measurable(count, rows)
    names = data.schema.names()
    alone, together = by_column.group(data, names, CpuEngine()), stacked.group(data, names, set(names), OtherEngine())
    assert together.keys() == alone.keys()
    for name, counts in alone.items():
        assert_frame_equal(together[name], counts)


@pytest.mark.parametrize("limit", [2**60, WHOLE])
def test_hashes_are_those_of_each_column_alone(limit: int) -> None:
    data = measurable(1_500, 4_000)
    limits = {name: limit - number for number, name in enumerate(data.schema.names())}
    alone = by_column.smallest_hashes(data, limits, set(limits), CpuEngine())
    together = stacked.smallest_hashes(data, limits, set(limits), OtherEngine())
    assert together.keys() == alone.keys()
    for name, hashes in alone.items():
        assert_series_equal(together[name], hashes, check_names=False)


def test_there_are_no_more_queries_than_kinds_of_numbers_and_texts() -> None:
    data = measurable(10, 100)
    engine = OtherEngine()
    stacked.group(data, data.schema.names(), set(data.schema.names()), engine)
    assert engine.queries == 4  # signed, unsigned, floats, and the text column
    stacked.smallest_hashes(data, dict.fromkeys(data.schema.names(), WHOLE), set(data.schema.names()), engine)
    assert engine.queries == 5


def test_text_alone() -> None:
    data = InMemory(pl.DataFrame({"s": ["a", "b", None]}))
    alone = by_column.smallest_hashes(data, {"s": WHOLE}, {"s"}, CpuEngine())
    together = stacked.smallest_hashes(data, {"s": WHOLE}, {"s"}, OtherEngine())
    assert_series_equal(together["s"], alone["s"], check_names=False)
