"""Standardize: zero mean and unit variance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import polars as pl

from headrace.engines.engine import Engine
from headrace.transforms import moments
from headrace.transforms.base import NUMERIC, Accepts, Learner, Transform, concatenated, in_unit_order
from headrace.transforms.columns import Columns


class Standardize(Learner):
    """Subtract the mean and divide by the standard deviation of the training rows.

    Parameters
    ----------
    columns
        Numbers or booleans. Output Float32 in place, or under the name that `output` gives.
    output
        Name of the result; `{column}` stands for the input's.

    Notes
    -----
    Null stays null. NaN, infinities and values of 1e100 and more are left out of the statistics. A constant column
    gives 0, and NaN where a value is infinite. The standard deviation is that of the population (ddof 0), as in
    scikit-learn's StandardScaler. Moments are (count, mean, M2) per unit, merged by Chan's rule (see `moments`), so
    that a mean of 1.6e9 beside a deviation of 1 comes out right. One pass; five numbers per column and unit.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step, rows = Standardize(columns="x"), pl.LazyFrame({"x": [1.0, 3.0, None]})
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).with_columns(__unit=0).collect())
    >>> fitted.apply(rows, CpuEngine()).collect()["x"].to_list()
    [-1.0, 1.0, None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = NUMERIC
    by_unit: ClassVar[bool] = True

    columns: Columns
    output: str = "{column}"

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return moments.summary(frame, self.columns)

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return concatenated(tables)

    def learn(self, total: pl.DataFrame) -> Transform:
        ordered = in_unit_order(total)
        found = [moments.total(ordered, column) for column in self.columns]
        return Standardized(
            columns=self.columns,
            output=self.output,
            mean=tuple(m.mean for m in found),
            deviation=tuple(math.sqrt(m.m2 / m.n) if m.n else 0.0 for m in found),
        )


class Standardized(Transform):
    """`(x - mean) / deviation` as Float32, 0 where the deviation is 0; null stays null."""

    columns: Columns
    output: str = "{column}"
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(
            ((pl.col(column).cast(pl.Float64) - mean) * (1.0 / deviation if deviation else 0.0))
            .cast(pl.Float32)
            .alias(output)
            for column, output, mean, deviation in zip(
                self.columns, self.writes, self.mean, self.deviation, strict=True
            )
        )
