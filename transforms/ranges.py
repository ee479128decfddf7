"""MinMax and RobustScale: columns on a scale set by their range, the whole of it or its middle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import polars as pl
from pydantic import Field, model_validator

from headrace.engines.engine import Engine
from headrace.transforms import moments, quantiles
from headrace.transforms.base import NUMERIC, Accepts, Learner, Transform, concatenated
from headrace.transforms.columns import Columns

Percent = Annotated[int, Field(ge=1, le=99)]


class MinMax(Learner):
    """Map the smallest training value to `lower` and the largest to `upper`, in a straight line.

    Parameters
    ----------
    columns
        Numbers or booleans. Output Float32 in place, or under the name that `output` gives.
    lower, upper
        The ends of the result on the training rows. Values beyond the training range land beyond them.
    output
        Name of the result; `{column}` stands for the input's.

    Raises
    ------
    ValueError
        `lower` not below `upper`, or an end that is not finite.

    Notes
    -----
    Null stays null, NaN stays NaN. NaN, infinities and values of 1e100 and more are left out of the statistics. A
    column without two different values gives `lower`. The formula is that of scikit-learn's MinMaxScaler
    (NormalizeMinMax in NVTabular, scale_by_min_max in TFT). One pass; two exact numbers per column.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step, rows = MinMax(columns="x"), pl.LazyFrame({"x": [10, 15, 20, None]})
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).collect())
    >>> fitted.apply(rows, CpuEngine()).collect()["x"].to_list()
    [0.0, 0.5, 1.0, None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = NUMERIC

    columns: Columns
    lower: float = 0.0
    upper: float = 1.0
    output: str = "{column}"

    @model_validator(mode="after")
    def _ends_in_order(self) -> Self:
        for end in (self.lower, self.upper):
            if not math.isfinite(end):
                raise ValueError(f"expected a finite end, got {end}")
        if self.lower >= self.upper:
            raise ValueError(f"lower {self.lower} is not below upper {self.upper}")
        return self

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return moments.bounded(frame, self.columns).select(
            end for c in self.columns for end in (pl.col(c).min().alias(f"{c}:min"), pl.col(c).max().alias(f"{c}:max"))
        )

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return concatenated(tables).select(
            end for c in self.columns for end in (pl.col(f"{c}:min").min(), pl.col(f"{c}:max").max())
        )

    def learn(self, total: pl.DataFrame) -> Transform:
        ends = [(_number(total[f"{c}:min"].min()), _number(total[f"{c}:max"].max())) for c in self.columns]
        return Rescaled(
            columns=self.columns,
            output=self.output,
            start=tuple(low for low, _ in ends),
            span=tuple(high - low for low, high in ends),
            lower=self.lower,
            upper=self.upper,
        )


class RobustScale(Learner):
    """Subtract the median and divide by the distance between two quantiles of the training rows.

    Parameters
    ----------
    columns
        Numbers or booleans. Output Float32 in place, or under the name that `output` gives.
    lower, upper
        The two quantiles, in whole percent.
    output
        Name of the result; `{column}` stands for the input's.

    Raises
    ------
    ValueError
        `lower` not below `upper`, or one that is not from 1 to 99.

    Notes
    -----
    Null stays null, NaN stays NaN; NaN and infinities are left out of the statistics. Where the two quantiles are
    equal, as in a constant column, every finite value gives 0. Quantiles are exact up to 2048 values a unit and within
    a rank of 1/4096 of the rows beyond (see `quantiles`); scikit-learn's RobustScaler, of which this is the formula,
    interpolates between rows where this takes the row or the middle of two. One pass; at most 2176 pairs per column
    and unit.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step, rows = RobustScale(columns="x"), pl.LazyFrame({"x": [1, 2, 3, 4, 1000]})
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).with_columns(__unit=0).collect())
    >>> fitted.apply(rows, CpuEngine()).collect()["x"].to_list()
    [-1.0, -0.5, 0.0, 0.5, 498.5]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = NUMERIC
    by_unit: ClassVar[bool] = True

    columns: Columns
    lower: Percent = 25
    upper: Percent = 75
    output: str = "{column}"

    @model_validator(mode="after")
    def _quantiles_in_order(self) -> Self:
        if self.lower >= self.upper:
            raise ValueError(f"lower {self.lower} is not below upper {self.upper}")
        return self

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return quantiles.summary(frame, self.columns)

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return concatenated(tables)

    def learn(self, total: pl.DataFrame) -> Transform:
        cuts = [quantiles.cuts(total, i, 100) or (0.0,) * 99 for i in range(len(self.columns))]
        spans = [c[self.upper - 1] - c[self.lower - 1] for c in cuts]
        return Rescaled(
            columns=self.columns,
            output=self.output,
            start=tuple(c[49] + 0.0 for c in cuts),
            span=tuple(span if math.isfinite(span) else 0.0 for span in spans),
        )


class Rescaled(Transform):
    """`lower + (x - start) / span * (upper - lower)` as Float32, `lower` where the span is 0; null stays null."""

    columns: Columns
    output: str = "{column}"
    start: tuple[float, ...]
    span: tuple[float, ...]
    lower: float = 0.0
    upper: float = 1.0

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        outputs = []
        for column, output, start, span in zip(self.columns, self.writes, self.start, self.span, strict=True):
            offset = pl.col(column).cast(pl.Float64) - start
            share = offset / span if span else offset * 0.0
            outputs.append((share * (self.upper - self.lower) + self.lower).cast(pl.Float32).alias(output))
        return frame.with_columns(outputs)


def _number(end: object) -> float:
    """An end of the range; 0 where the column has no value, and for -0, which is equal to 0 in a comparison."""
    return end + 0.0 if isinstance(end, float) else 0.0
