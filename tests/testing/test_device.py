"""An engine that gives other rows, or hands a step on, is found out; the CPU's engine stands in for a GPU here."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
from tests.testing import broken

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Engine
from headrace.testing.device import disagreement
from headrace.testing.frames import frame_of
from headrace.testing.subject import subjects
from headrace.transforms.base import Operator
from headrace.transforms.scale import Standardize

ROWS = frame_of(range(8)).select(price="number")


def found(op: Operator, engine: CpuEngine) -> str:
    [part] = subjects(op, {"many rows": ROWS}, {})
    return str(disagreement(part, engine) or "")


class Lies(CpuEngine):
    """Gives other values."""

    def step(
        self, label: str, frame: pl.LazyFrame, apply: Callable[[pl.LazyFrame, Engine], pl.LazyFrame]
    ) -> pl.LazyFrame:
        return super().step(label, frame, apply).with_columns(pl.col("price") + 1)


class Measures(CpuEngine):
    """Gives other statistics."""

    def collect(self, frames, *, any_order=False):  # type: ignore[no-untyped-def]
        return [frame.with_columns(pl.selectors.float() * 2) for frame in super().collect(frames, any_order=any_order)]


class HandsOn(CpuEngine):
    """Falls back."""

    @property
    def fallbacks(self) -> tuple[str, ...]:
        return ("example: no such kernel",)


def test_an_engine_that_agrees() -> None:
    assert found(broken.Doubled(), CpuEngine()) == ""
    assert found(Standardize(columns="price"), CpuEngine()) == ""


def test_an_engine_that_gives_other_rows() -> None:
    assert found(broken.Doubled(), Lies()).startswith(
        "on cpu the rows 'many rows' become others: 'price' is 4.0 in row 0, expected 3.0"
    )


def test_an_engine_that_measures_otherwise() -> None:
    said = found(Standardize(columns="price"), Measures())
    assert said.startswith("measured on cpu from the rows 'many rows': 'price:")


def test_an_engine_that_hands_a_step_on() -> None:
    assert found(broken.Doubled(), HandsOn()).startswith("cpu handed it to the CPU: example: no such kernel")
