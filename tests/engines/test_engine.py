from __future__ import annotations

import polars as pl
import pytest

from headrace.engines.cpu import CpuEngine


@pytest.mark.parametrize("any_order", [False, True])
def test_collects_several_queries_together(any_order: bool) -> None:
    frame = pl.LazyFrame({"x": [2, 1]})
    whole, total = CpuEngine().collect([frame, frame.select(pl.col("x").sum())], any_order=any_order)
    assert sorted(whole["x"]) == [1, 2]
    assert total.item() == 3


def test_rows_keep_their_order() -> None:
    assert CpuEngine().collect([pl.LazyFrame({"x": [3, 1, 2]})])[0]["x"].to_list() == [3, 1, 2]


def test_collects_nothing() -> None:
    assert CpuEngine().collect([]) == []


def test_is_called_cpu() -> None:
    assert CpuEngine().name == "cpu"
