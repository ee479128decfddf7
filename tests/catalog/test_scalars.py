from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from headrace.catalog.scalars import measure_scalars
from headrace.engines.cpu import CpuEngine, InMemory

NAN, INF = math.nan, math.inf


class Counted(CpuEngine):
    """Counts the queries it runs."""

    queries = 0

    def collect(self, frames: Sequence[pl.LazyFrame], *, any_order: bool = False) -> list[pl.DataFrame]:
        self.queries += len(frames)
        return super().collect(frames, any_order=any_order)


def test_one_query_gives_what_each_dtype_can_have() -> None:
    engine = Counted()
    rows = pl.DataFrame(
        {
            "whole": [3, None, 1],
            "half.ed": [0.5, 2.5, None],
            "text": ["b", "aé", None],
            "lists": [[1], None, []],
        }
    )
    assert measure_scalars(InMemory(rows), engine) == {
        "whole": {"nulls": 1, "min": 1, "max": 3, "mean": 2.0, "var": 1.0},
        "half.ed": {"nulls": 1, "min": 0.5, "max": 2.5, "mean": 1.5, "var": 1.0},
        "text": {"nulls": 1, "min": "aé", "max": "b", "bytes": 3},
        "lists": {"nulls": 1},
    }
    assert engine.queries == 1


def test_a_second_query_leaves_out_what_is_not_finite() -> None:
    engine = Counted()
    rows = pl.DataFrame({"x": [1.0, NAN, None, INF, -INF, 3.0], "y": [1.0] * 6, "z": [NAN] * 6})
    assert measure_scalars(InMemory(rows), engine) == {
        "x": {"nulls": 1, "nans": 1, "infinities": 2, "min": 1.0, "max": 3.0, "mean": 2.0, "var": 1.0},
        "y": {"nulls": 0, "min": 1.0, "max": 1.0, "mean": 1.0, "var": 0.0},
        "z": {"nulls": 0, "nans": 6, "infinities": 0, "min": None, "max": None, "mean": None, "var": None},
    }
    assert engine.queries == 2


def test_arrays_are_counted_where_they_can_be() -> None:
    rows = pl.DataFrame({"a": [[1.0, 2.0], None]}, schema={"a": pl.Array(pl.Float32, 2)})
    assert measure_scalars(InMemory(rows), CpuEngine()) == {"a": {"nulls": 1}}


def test_no_columns() -> None:
    assert measure_scalars(InMemory(pl.DataFrame()), CpuEngine()) == {}
