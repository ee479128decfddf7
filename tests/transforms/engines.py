"""What an operator gives on another engine than the CPU's: learned there, applied there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal
from tests.engines.parity import assert_same_rows
from tests.transforms.examples import FRAMES
from tests.transforms.test_conformance import resolved

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import TaskEngine
from headrace.transforms.base import UNIT, Learner, Transform


def assert_engine_agrees(plain: dict[str, Any], rows: str, engine: TaskEngine) -> None:
    """An example of the conformance tests: equal tables of statistics, equal rows from what is learned."""
    step, frame, cpu = resolved(plain), FRAMES[rows], CpuEngine()
    twin: Transform
    if isinstance(step, Learner):
        expected, found = _learned(step, frame, cpu), _learned(step, frame, engine)
        _assert_same_table(found, expected)
        form, twin = step.learn(expected), step.learn(found)
    else:
        assert isinstance(step, Transform)
        form = twin = step
    held = engine.hold(frame.lazy())
    got = engine.hold(engine.step("example", held.lazy(), twin.apply)).to_polars()
    assert_same_rows(cpu.collect([form.apply(frame.lazy(), cpu)])[0], got)
    assert engine.fallbacks == ()


def _learned(step: Learner, frame: pl.DataFrame, engine: TaskEngine) -> pl.DataFrame:
    held, half, tables = engine.hold(frame.lazy()), frame.height // 2, []
    for number, rows in enumerate((held.slice(0, half), held.slice(half, frame.height - half))):
        table = engine.collect([step.measure(rows.lazy(), engine)])[0]
        tables.append(table.with_columns(pl.lit(number, pl.Int64).alias(UNIT)) if step.by_unit else table)
    return engine.collect([step.merge([table.lazy() for table in tables])])[0]


def _assert_same_table(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    """Equal but for the order of rows, which statistics do not have, and the last digits of floats."""
    assert found.schema == expected.schema
    keys = [name for name, dtype in expected.schema.items() if not dtype.is_float() and not dtype.is_nested()]
    order: Callable[[pl.DataFrame], pl.DataFrame] = lambda table: table.sort(keys or table.columns)  # noqa: E731
    assert_frame_equal(order(found), order(expected), rel_tol=1e-12, abs_tol=1e-300)
