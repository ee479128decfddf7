"""A learner of a user's own with a row for each group, whose floats are added up unit by unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import polars as pl

from headrace.engines.engine import Engine
from headrace.transforms.base import Learner, Transform, concatenated, in_unit_order


class SumsByGroup(Learner):
    """The sum of a number over the training rows of the same group."""

    by_unit: ClassVar[bool] = True

    by: str
    of: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.by, self.of)

    @property
    def writes(self) -> tuple[str, ...]:
        return (f"{self.of}_sum",)

    @property
    def groups(self) -> tuple[str, ...]:
        return ("group",)

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        rows = frame.select(group=pl.col(self.by), sum=pl.col(self.of)).drop_nulls()
        return rows.group_by("group", maintain_order=True).agg(pl.col("sum").sum()).sort("group")

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return concatenated(tables)

    def learn(self, total: pl.DataFrame) -> Transform:
        sums: dict[str, float] = {}
        for group, number in in_unit_order(total).select("group", "sum").iter_rows():
            sums[group] = sums.get(group, 0.0) + number
        ordered = sorted(sums)
        return GroupSums(by=self.by, of=self.of, values=tuple(ordered), sums=tuple(sums[value] for value in ordered))


class GroupSums(Transform):
    """What SumsByGroup becomes."""

    by: str
    of: str
    values: tuple[str, ...]
    sums: tuple[float, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.by,)

    @property
    def writes(self) -> tuple[str, ...]:
        return (f"{self.of}_sum",)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        sums = pl.col(self.by).replace_strict(list(self.values), list(self.sums), default=None, return_dtype=pl.Float64)
        return frame.with_columns(sums.alias(f"{self.of}_sum"))
