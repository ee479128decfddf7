"""Missing values: FillNull puts a value in their place, DropNull drops their rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import polars as pl
from pydantic import model_validator

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms import counts, moments, quantiles
from headrace.transforms.base import (
    CATEGORY,
    NUMERIC,
    UNIT,
    Learner,
    Operator,
    Transform,
    concatenated,
    in_unit_order,
)
from headrace.transforms.columns import Columns
from headrace.transforms.literal import Value, lit, literal


class FillNull(Learner):
    """Put a constant, or the mean, median or mode of the training rows, in the place of null.

    Parameters
    ----------
    columns
        Columns of any type that has such a value; for `mean` and `median` numbers or booleans, for `mode` strings,
        integers, booleans or dates.
    value
        A constant that the column's type holds: a number, a boolean, a string, or a date or time as ISO 8601 text.
        The output keeps the column's type.
    statistic
        `mean` or `median` instead of a constant. Floats keep their type; integers and booleans become Float64,
        whatever the statistic turns out to be. A column without a finite value in the training rows is filled with 0.
        `mode`, the most frequent value and of several the smallest, keeps every type; a column without any value in the
        training rows keeps its nulls.
    mask
        Also write `<column>_isnull` (UInt8), 1 where the input was null.

    Raises
    ------
    PipelineError
        A value that the column's type cannot hold, or a statistic of a column that has none: a mean of text, a mode of
        floats.

    Notes
    -----
    NaN is not null: it stays, and neither it nor infinities count in the statistics. The median is exact up to 2048
    values a unit and within a rank of 1/4096 of the rows beyond (see `quantiles`). A constant costs no pass; the mean
    keeps five numbers per column and unit, the median at most 2176 pairs, the mode the distinct values. In scikit-learn
    this is SimpleImputer, whose `most_frequent` is `mode`; in NVTabular FillMissing and FillMedian.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step, rows = FillNull(columns="x", statistic="mode"), pl.LazyFrame({"x": ["b", None, "b", "a"]})
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).collect())
    >>> fitted.apply(rows, CpuEngine()).collect()["x"].to_list()
    ['b', 'b', 'b', 'a']
    """

    elementwise: ClassVar[bool] = True
    by_unit: ClassVar[bool] = True

    columns: Columns
    value: Value | None = None
    statistic: Literal["mean", "median", "mode"] | None = None
    mask: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.value is None) == (self.statistic is None):
            raise ValueError("needs either `value` or `statistic`")
        if isinstance(self.value, float) and not math.isfinite(self.value):
            raise ValueError(f"expected a finite value, got {self.value}")
        return self

    @property
    def writes(self) -> tuple[str, ...]:
        return _filled_and_masks(self.columns, self.mask)

    @property
    def measured(self) -> tuple[str, ...]:
        return self.columns.names if self.statistic else ()

    def check(self, schema: pl.Schema) -> None:
        for column in self.columns:
            dtype = schema[column]
            if self.value is None:
                accepted = CATEGORY if self.statistic == "mode" else NUMERIC
                if not accepted.test(dtype):
                    raise PipelineError(
                        f"FillNull({self.statistic}) takes {accepted.words}, got {dtype} in column {column!r}",
                        hint="give a `value` instead",
                    )
                continue
            try:
                literal(self.value, dtype)
            except ValueError as problem:
                raise PipelineError(f"FillNull cannot fill column {column!r} ({dtype}): {problem}") from None

    def separate(self) -> tuple[Operator, ...]:
        if self.statistic != "mode" or len(self.columns) == 1:
            return (self,)
        return tuple(self.model_copy(update={"columns": Columns(names=(column,))}) for column in self.columns)

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        match self.statistic:
            case "mean":
                return moments.summary(frame, self.columns, spread=False)
            case "median":
                return quantiles.summary(frame, self.columns)
            case "mode":
                return counts.summary(frame, self._one_column)
            case None:
                return frame.select(pl.len().cast(pl.Int64).alias("rows"))

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        if self.statistic != "mode":
            return concatenated(tables)
        # Counts need no order: values are kept once, not once a unit.
        return (
            pl.concat(tables, how="vertical").group_by(counts.VALUE).agg(pl.col(counts.COUNT).sum(), pl.col(UNIT).min())
        )

    @property
    def groups(self) -> tuple[str, ...]:
        return (counts.VALUE,) if self.statistic == "mode" else ()

    def settle(self, table: pl.DataFrame) -> pl.DataFrame:
        """The most frequent value of all."""
        return counts.ordered(table).head(1) if self.statistic == "mode" else table

    def learn(self, total: pl.DataFrame) -> Transform:
        match self.statistic:
            case "mean":
                ordered = in_unit_order(total)
                values: tuple[Value | None, ...] = tuple(moments.total(ordered, column).mean for column in self.columns)
            case "median":
                values = tuple(m[0] if (m := quantiles.cuts(total, i, 2)) else 0.0 for i in range(len(self.columns)))
            case "mode":
                values = (next(iter(counts.ordered(total)[counts.VALUE]), None),)
            case None:
                assert self.value is not None
                values = (self.value,) * len(self.columns)
        return Filled(columns=self.columns, values=values, mask=self.mask, widen=self.statistic in ("mean", "median"))

    @property
    def _one_column(self) -> str:
        if len(self.columns) > 1:
            raise PipelineError(f"FillNull(mode) of {len(self.columns)} columns learns a value each: use separate()")
        (column,) = self.columns
        return str(column)


class Filled(Transform):
    """Null becomes the column's value; where that is None, it stays. With `widen`, integers and booleans become Float64
    first.
    """

    columns: Columns
    values: tuple[Value | None, ...]
    mask: bool = False
    widen: bool = False

    @property
    def writes(self) -> tuple[str, ...]:
        return _filled_and_masks(self.columns, self.mask)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        outputs = []
        for column, value in zip(self.columns, self.values, strict=True):
            dtype = schema[column]
            filled = pl.col(column)
            if self.widen and not dtype.is_float():
                dtype = pl.Float64()
                filled = filled.cast(dtype)
            outputs.append(filled if value is None else filled.fill_null(lit(value, dtype)))
            if self.mask:
                outputs.append(pl.col(column).is_null().cast(pl.UInt8).alias(_mask(column)))
        return frame.with_columns(outputs)


class DropNull(Transform):
    """Drop the rows in which any of the columns is null; NaN is not null. Order and types stay.

    Parameters
    ----------
    columns
        Columns of any type.

    Notes
    -----
    One pass, no state. In NVTabular Filter or Dropna.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"price": [1.5, None, float("nan")], "shop": ["a", "b", "c"]})
    >>> DropNull(columns="price").apply(rows, CpuEngine()).collect()["shop"].to_list()
    ['a', 'c']
    """

    filters: ClassVar[bool] = True

    columns: Columns

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.drop_nulls(list(self.columns))


def _mask(column: str) -> str:
    return f"{column}_isnull"


def _filled_and_masks(columns: Columns, mask: bool) -> tuple[str, ...]:
    return tuple(n for c in columns for n in ((c, _mask(c)) if mask else (c,)))
