"""ClipQuantile: values beyond two quantiles of the training rows move to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import polars as pl
from pydantic import Field, model_validator

from headrace.engines.engine import Engine
from headrace.transforms import quantiles
from headrace.transforms.base import Accepts, Learner, Transform, concatenated
from headrace.transforms.columns import Columns
from headrace.transforms.literal import integer_range, lit
from headrace.transforms.numeric import Clip

Share = Annotated[float, Field(ge=0, le=1)]


class ClipQuantile(Learner):
    """Move values beyond two quantiles of the training rows to the nearer one.

    Parameters
    ----------
    columns
        Integers or floats. The type stays; null and NaN stay; infinities go to the ends.
    lower, upper
        The two quantiles, from 0 to 1. At most the share `lower` of the finite training values lies below the lower
        end, at most 1 - `upper` above the upper one. A float counts as the decimal fraction that is written.
    output
        Name of the result; `{column}` stands for the input's.

    Raises
    ------
    ValueError
        `lower` not below `upper`, or one that is not from 0 to 1.

    Notes
    -----
    Each end is the value of a row, so that integers need no rounding; beyond 2^53 it is the nearest Float64. A column
    without a finite training value stays as it is. Ends are exact up to 2048 values a unit and within a rank of 1/4096
    of the rows beyond (see `quantiles`). One pass; at most 2176 pairs per column and unit. This is what statisticians
    call winsorizing, SciPy's `winsorize`; NVTabular, TFT, Ray Data and scikit-learn have none.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step = ClipQuantile(columns=["x"], lower=0.25, upper=0.75)
    >>> rows = pl.LazyFrame({"x": [1, 2, 3, 1000, None]})
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).with_columns(__unit=0).collect())
    >>> fitted.apply(rows, CpuEngine()).collect()["x"].to_list()
    [2, 2, 3, 3, None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = Clip.accepts
    by_unit: ClassVar[bool] = True

    columns: Columns
    lower: Share = 0.01
    upper: Share = 0.99
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
        return QuantileClipped(
            columns=self.columns,
            output=self.output,
            ends=tuple(quantiles.ends(total, i, self.lower, self.upper) for i in range(len(self.columns))),
        )


class QuantileClipped(Transform):
    """Each column within its ends, in its own type; where they are None, as it is."""

    columns: Columns
    output: str = "{column}"
    ends: tuple[tuple[float, float] | None, ...]

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        outputs = []
        for column, output, ends in zip(self.columns, self.writes, self.ends, strict=True):
            value = pl.col(column)
            if ends is not None:
                value = value.clip(*(_held(end, schema[column]) for end in ends))
            outputs.append(value.alias(output))
        return frame.with_columns(outputs)


def _held(end: float, dtype: pl.DataType) -> pl.Expr:
    """An end in the column's type, which holds it but for the rounding to Float64 of the largest integers."""
    if not dtype.is_integer():
        return lit(end, dtype)
    lowest, highest = integer_range(dtype)
    return lit(min(max(int(end), lowest), highest), dtype)
