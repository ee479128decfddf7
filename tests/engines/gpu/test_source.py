"""Kernels in a query: which run, on which columns, and what stays behind them."""

from __future__ import annotations

import gc
import weakref

import polars as pl
import pytest
from tests.imitation.fixture import imitated

from headrace.engines.gpu import query
from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.gpu.source import Chains, Link

__all__ = ["imitated"]

pytestmark = pytest.mark.usefixtures("imitated")

ROWS = pl.LazyFrame({"a": [1, 2], "b": [3, 4], "c": [5, 6]})


class Copying:
    """A kernel that copies one column to another, and notes what it is given."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []

    def kernel(self, source: str, target: str) -> Link:
        def body(rows: DeviceFrame) -> DeviceFrame:
            self.given.append(sorted(rows.schema))
            return rows.with_column(target, rows.column(source), pl.Int64())

        return Link((source,), {target: pl.Int64()}, body)


def test_kernels_that_follow_each_other_run_over_one_query() -> None:
    chains, copying = Chains(), Copying()
    first = chains.add(ROWS, copying.kernel("a", "x"), query.run)
    second = chains.add(first, copying.kernel("x", "y"), query.run)
    assert query.run_on_host(second).to_dict(as_series=False) == {
        "a": [1, 2],
        "b": [3, 4],
        "c": [5, 6],
        "x": [1, 2],
        "y": [1, 2],
    }
    assert copying.given == [["a", "b", "c"], ["a", "b", "c", "x"]]


def test_a_kernel_that_nobody_asks_does_not_run() -> None:
    chains, copying = Chains(), Copying()
    both = chains.add(chains.add(ROWS, copying.kernel("a", "x"), query.run), copying.kernel("b", "y"), query.run)
    assert query.run_on_host(both.select("y", "c")).rows() == [(3, 5), (4, 6)]
    assert copying.given == [["b", "c"]]


def test_what_only_one_kernel_reads_is_gone_behind_it() -> None:
    chains, copying = Chains(), Copying()
    frame = ROWS
    for source, target in (("a", "x"), ("b", "y"), ("c", "z")):
        frame = chains.add(frame, copying.kernel(source, target), query.run)
    assert query.run_on_host(frame.select("x", "y", "z")).rows() == [(1, 3, 5), (2, 4, 6)]
    assert copying.given == [["a", "b", "c"], ["b", "c", "x"], ["c", "x", "y"]]


def test_a_kernel_may_write_what_it_reads_and_what_was_there() -> None:
    chains, copying = Chains(), Copying()
    replaced = chains.add(chains.add(ROWS, copying.kernel("a", "b"), query.run), copying.kernel("b", "c"), query.run)
    assert query.run_on_host(replaced.select("c", "b")).rows() == [(1, 1), (2, 2)]
    assert copying.given == [["a"], ["b"]]


def test_a_chain_lives_as_long_as_its_query() -> None:
    chains = Chains()
    first = chains.add(ROWS, Copying().kernel("a", "x"), query.run)
    second = weakref.ref(chains.add(first, Copying().kernel("x", "y"), query.run))
    gc.collect()
    assert second() is None
    assert list(chains._chains) == [id(first)]
