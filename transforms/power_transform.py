"""PowerTransform: the power of a family under which a column is most like a normal distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import polars as pl

from headrace.engines.engine import Engine
from headrace.engines.kernels.either import either
from headrace.transforms import likelihood, quantiles
from headrace.transforms.base import NUMERIC, Accepts, Learner, Transform, concatenated
from headrace.transforms.columns import Columns
from headrace.transforms.likelihood import Method


class PowerTransform(Learner):
    """Raise to the power under which the training rows are most like a normal distribution, then standardize.

    Parameters
    ----------
    columns
        Numbers or booleans. Output Float32 in place, or under the name that `output` gives.
    method
        `yeo-johnson`: for any number. `box-cox`: for numbers above 0; all others give NaN and are left out of the
        statistics.
    output
        Name of the result; `{column}` stands for the input's.

    Notes
    -----
    Null stays null, NaN stays NaN; NaN and infinities are left out of the statistics. A constant column gives 0, and
    NaN where a value is infinite. With l the power, `box-cox` is (x^l - 1) / l, log(x) for l = 0, and `yeo-johnson`
    the same of 1 + x with l where x >= 0, and of 1 - x with 2 - l and the sign turned where x < 0. Sources: Box and Cox
    (1964), "An analysis of transformations"; Yeo and Johnson (2000), "A new family of power transformations to improve
    normality or symmetry". The result has mean 0 and standard deviation 1 (ddof 0).

    The power has the greatest likelihood from -5 to 5 among those under which Float64 tells the values apart (see
    `likelihood`), to six decimals. It, the mean and the deviation are exact up to 2048 values a unit and 65,536 in all.
    Beyond, each cell of the summary stands for its rows, at most 1/2048 of a unit's, as if they lay at equal steps
    between its ends (see `quantiles`): on normal, log-normal, exponential, gamma and Student (3) distributions of
    400,000 rows the power comes out within 0.001, and so do mean and deviation. One pass; at most 2176 pairs per column
    and unit. The twin of
    scikit-learn's PowerTransformer; that of Ray Data takes the power as given, `scale_to_gaussian` of TFT has another
    family, and NVTabular none.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step, rows = PowerTransform(columns=["x"], method="box-cox"), pl.LazyFrame({"x": [1, 10, 100, None]})
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).with_columns(__unit=0).collect())
    >>> fitted.powers
    (0.0,)
    >>> fitted.apply(rows, CpuEngine()).collect()["x"].cast(pl.Float64).round(3).to_list()
    [-1.225, 0.0, 1.225, None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = NUMERIC
    by_unit: ClassVar[bool] = True

    columns: Columns
    method: Method = "yeo-johnson"
    output: str = "{column}"

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        values = frame.select(_within(pl.col(column), self.method).alias(column) for column in self.columns)
        return quantiles.summary(values, self.columns)

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return concatenated(tables)

    def learn(self, total: pl.DataFrame) -> Transform:
        found = [likelihood.fit(*quantiles.points(total, i), self.method) for i in range(len(self.columns))]
        return PowerTransformed(
            columns=self.columns,
            method=self.method,
            output=self.output,
            powers=tuple(f.power for f in found),
            mean=tuple(f.mean for f in found),
            deviation=tuple(f.deviation for f in found),
        )


class PowerTransformed(Transform):
    """`(f(x) - mean) / deviation` as Float32 with f the family's power; 0 where the deviation is 0; null stays null."""

    columns: Columns
    method: Method = "yeo-johnson"
    output: str = "{column}"
    powers: tuple[float, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        fitted = zip(self.columns, self.writes, self.powers, self.mean, self.deviation, strict=True)
        return frame.with_columns(
            ((_powered(column, power, self.method, engine) - mean) * (1.0 / deviation if deviation else 0.0))
            .cast(pl.Float32)
            .alias(output)
            for column, output, power, mean, deviation in fitted
        )


def _powered(column: str, power: float, method: Method, engine: Engine) -> pl.Expr:
    value = _within(pl.col(column), method)
    if method == "box-cox":
        return _grown(value, power, value.log())
    if power == 1:
        return value
    return either(
        engine,
        value,
        lambda x: x >= 0,
        lambda x: _grown(x.abs() + 1.0, power, x.abs().log1p()),
        lambda x: -_grown(x.abs() + 1.0, 2.0 - power, x.abs().log1p()),
        pl.Float64(),
    )


def _grown(size: pl.Expr, power: float, log: pl.Expr) -> pl.Expr:
    return log if power == 0 else (size**power - 1.0) / power


def _within(column: pl.Expr, method: Method) -> pl.Expr:
    """The column as Float64, NaN where the family has no value for it."""
    value = column.cast(pl.Float64)
    return pl.when(value <= 0).then(math.nan).otherwise(value) if method == "box-cox" else value
