"""Operators of a user's own, for tests: one that computes, one that learns."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from headrace.engines.engine import Engine
from headrace.transforms.base import Learner, Transform


class Double(Transform):
    """Twice a number."""

    column: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.column,)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(pl.col(self.column) * 2)


class ToMaximum(Learner):
    """A number as a share of the greatest in the training rows."""

    column: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.column,)

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.select(pl.col(self.column).max())

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return pl.concat(tables).select(pl.col(self.column).max())

    def learn(self, total: pl.DataFrame) -> Transform:
        return OfMaximum(column=self.column, maximum=total[self.column].max() or 0.0)


class OfMaximum(Double):
    """What ToMaximum becomes."""

    maximum: float

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(pl.col(self.column) / self.maximum)
