"""QuantileTransform: where a value stands among those of the training rows, as a share or as a normal deviate."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from headrace.engines.engine import Engine
from headrace.transforms import normal, quantiles
from headrace.transforms.base import NUMERIC, Accepts, Learner, Transform, concatenated
from headrace.transforms.columns import Columns
from headrace.transforms.quantiles import Floats

Distribution = Literal["uniform", "normal"]

_OUTERMOST = 1e-7
"""Shares closer to 0 or 1 become normal deviates as this one does: -5.199 and 5.199."""


class QuantileTransform(Learner):
    """Replace a value by the share of the training values below it, or by the normal deviate of that share.

    Parameters
    ----------
    columns
        Numbers or booleans. Output Float32 in place, or under the name that `output` gives.
    n
        How many quantiles are learned, fewer where the training rows have fewer values; between two of them the share
        grows in a straight line.
    distribution
        `uniform`: shares from 0 to 1. `normal`: the standard normal deviate of the share, from -5.199 to 5.199, which
        are those of 1e-7 and of 1 less it.
    output
        Name of the result; `{column}` stands for the input's.

    Notes
    -----
    Null stays null, NaN stays NaN; both are left out of the statistics, and so are infinities, which go to the ends.
    A value that several quantiles are equal to gets the middle of their shares; the smallest value has 0 and the
    largest 1, and so have all beyond. A column without two different training values gives 0. Quantiles are exact up
    to 2048 values a unit and within a rank of 1/4096 of the rows beyond (see `quantiles`). Deviates are good to 1.2e-7
    of themselves (see `normal`). One pass; at most 2176 pairs per column and unit.

    The twin of scikit-learn's QuantileTransformer with `subsample=None`; that one gives -5.199 for a constant under
    `normal`, and takes values within 1e-7 of an end, whatever their scale, for the end. In TFT
    `apply_buckets_with_interpolation`; none in NVTabular and Ray Data.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step, rows = QuantileTransform(columns=["x"]), pl.LazyFrame({"x": [1, 10, 100, None]})
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).with_columns(__unit=0).collect())
    >>> fitted.apply(rows, CpuEngine()).collect()["x"].to_list()
    [0.0, 0.5, 1.0, None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = NUMERIC
    by_unit: ClassVar[bool] = True

    columns: Columns
    n: Annotated[int, Field(ge=2, le=65536)] = 1000
    distribution: Distribution = "uniform"
    output: str = "{column}"

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return quantiles.summary(frame, self.columns)

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return concatenated(tables)

    def learn(self, total: pl.DataFrame) -> Transform:
        return QuantileTransformed(
            columns=self.columns,
            distribution=self.distribution,
            output=self.output,
            quantiles=tuple(self._quantiles(total, position) for position in range(len(self.columns))),
        )

    def _quantiles(self, total: pl.DataFrame, position: int) -> tuple[float, ...]:
        steps = max(min(self.n, quantiles.Merged(total, position).rows) - 1, 1)
        return quantiles.at(total, position, [Fraction(k, steps) for k in range(steps + 1)])


class QuantileTransformed(Transform):
    """The place of a value among `quantiles`, which lie at equal steps from 0 to 1; 0 where they are all equal."""

    columns: Columns
    distribution: Distribution = "uniform"
    output: str = "{column}"
    quantiles: tuple[tuple[float, ...], ...]

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        tables = [_Table(column, found) for column, found in zip(self.columns, self.quantiles, strict=True)]
        for stage in (_Table.held, _Table.place, _Table.share):  # each is read several times by the next
            frame = frame.with_columns(stage(table) for table in tables)
        results = [
            table.result(self.distribution).alias(output) for table, output in zip(tables, self.writes, strict=True)
        ]
        return frame.with_columns(results).drop(name for table in tables for name in table.names)


class _Table:
    """The quantiles of one column that differ, what lies between them, and the expressions that look them up."""

    def __init__(self, column: str, found: Sequence[float]) -> None:
        self.column = column
        self.names = [f"__{column}:{part}" for part in ("held", "place", "share")]
        # Halved, which rounds nothing: the way from the smallest to the largest float is no float.
        halves: Floats = np.asarray(found or (0.0,), np.float64) * 0.5
        values, first, counts = np.unique(halves, return_index=True, return_counts=True)
        self.values: Floats = values.astype(np.float64, copy=False)
        last = first + counts - 1
        self.step = 1 / max(len(halves) - 1, 1)
        self.widths: Floats = np.append(np.diff(self.values), 1.0).astype(np.float64, copy=False)
        self.starts: Floats = np.asarray(last * self.step, np.float64)
        self.ties: Floats = np.asarray((first + last) / 2 * self.step, np.float64)
        self.ties[-1], self.ties[0] = 1.0, 0.0

    @property
    def constant(self) -> bool:
        return len(self.values) == 1

    def held(self) -> pl.Expr:
        """Half the value, within the ends; an end where there is none, so that no engine has to place null or NaN."""
        value = pl.col(self.column).cast(pl.Float64)
        lowest, highest = float(self.values[0]), float(self.values[-1])
        inside = (value * 0.5).clip(lowest, highest)
        return pl.when(value.is_not_nan()).then(inside).otherwise(lowest).alias(self.names[0])

    def place(self) -> pl.Expr:
        """Which quantile is the last at or below the value."""
        below = _literal(self.values).search_sorted(pl.col(self.names[0]), side="right")
        return (below.cast(pl.Int32, wrap_numerical=True) - 1).alias(self.names[1])

    def share(self) -> pl.Expr:
        value, place = pl.col(self.names[0]), pl.col(self.names[1])
        at, width, start, tie = (
            _literal(part).gather(place) for part in (self.values, self.widths, self.starts, self.ties)
        )
        on_the_way = start + (value - at) / width * self.step
        return pl.when(value == at).then(tie).otherwise(on_the_way).alias(self.names[2])

    def result(self, distribution: Distribution) -> pl.Expr:
        share = pl.col(self.names[2])
        if distribution == "normal":
            share = share * 0.0 if self.constant else normal.quantile(share.clip(_OUTERMOST, 1 - _OUTERMOST))
        value = pl.col(self.column).cast(pl.Float64)
        return pl.when(value.is_not_nan()).then(share).otherwise(value).cast(pl.Float32)


def _literal(values: Floats) -> pl.Expr:
    return pl.lit(pl.Series(values))
