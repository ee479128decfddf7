"""How frequent a value is: FrequencyEncode adds its frequency, DropRare puts null in the place of rare values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import ClassVar, Final, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from headrace.engines.engine import Engine
from headrace.engines.kernels.lookup import Lookup
from headrace.schemas.errors import PipelineError
from headrace.transforms import counts
from headrace.transforms.base import CATEGORY, Accepts, Learner, Operator, Order, Transform
from headrace.transforms.columns import Columns
from headrace.transforms.literal import Value, lit, literal
from headrace.transforms.table import Table

Frequency = Literal["count", "share"]


class FrequencyEncode(Learner):
    """Add how often each value occurs in the training rows.

    Parameters
    ----------
    columns
        Strings, integers, booleans or dates.
    statistic
        `count`: how many training rows have the value (Int64). `share`: that number over the training rows that are
        not null in the column (Float32).
    output
        Name of the result; `{column}` stands for the input's.

    Notes
    -----
    A value that the training rows do not have gives 0, and so does null, which is never counted. One pass; memory: the
    distinct values. In NVTabular this is JoinGroupby with `count`; scikit-learn has none.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step, rows = FrequencyEncode(columns=["x"]), pl.LazyFrame({"x": ["a", "b", "a", None]})
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).collect())
    >>> fitted.apply(rows, CpuEngine()).collect()["x_frequency"].to_list()
    [2, 1, 2, 0]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = CATEGORY

    columns: Columns
    statistic: Frequency = "count"
    output: str = "{column}_frequency"

    def separate(self) -> tuple[Operator, ...]:
        return self.each_column()

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return counts.summary(frame, _only(self, self.columns))

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return counts.merged(tables)

    @property
    def groups(self) -> tuple[str, ...]:
        return (counts.VALUE,)

    @property
    def order(self) -> Order:
        return counts.ORDER

    def learn(self, total: pl.DataFrame) -> Transform:
        _only(self, self.columns)
        return FrequencyEncoded(
            columns=self.columns,
            statistic=self.statistic,
            output=self.output,
            frequencies=Table(counts.ordered(total)),
        )


class FrequencyEncoded(Transform):
    """Each value's `count` in `frequencies`, or its share of them all; 0 for null and where the value is not there."""

    columns: Columns
    statistic: Frequency = "count"
    output: str = "{column}"
    frequencies: Table

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        (column,), (output,) = self.columns, self.writes
        counted = self.frequencies.frame
        frequency = pl.col(counts.COUNT)
        if self.statistic == "share":
            frequency = (frequency.cast(pl.Float64) / max(counted[counts.COUNT].sum(), 1)).cast(pl.Float32)
        key = pl.col(counts.VALUE).cast(frame.collect_schema()[column], strict=False)
        table = counted.lazy().select(key.alias(_VALUE), frequency.alias(_FOUND))
        joined = frame.join(table, left_on=column, right_on=_VALUE, how="left", maintain_order="left")
        return joined.with_columns(pl.col(_FOUND).fill_null(0).alias(output)).drop(_FOUND)


class DropRare(Learner):
    """Put null, or one value, in the place of values that are rare in the training rows.

    Parameters
    ----------
    columns
        Strings, integers, booleans or dates. The output keeps the column's type.
    min_count
        How often a value must occur in the training rows to stay.
    min_share
        Or at what share of the training rows that are not null in the column, from 0 to 1; taken as the decimal
        fraction that is written, so that 7 of 100 rows are a share of 0.07.
    value
        What rare values become; null unless given. Dates as ISO 8601 text.
    output
        Name of the result; `{column}` stands for the input's.

    Raises
    ------
    PipelineError
        A `value` that the column's type cannot hold.

    Notes
    -----
    Values that the training rows do not have are rare too. Null stays null. Rows stay: DropNull drops those that have
    lost their value. One pass; memory: the distinct values. In scikit-learn this is `min_frequency` of OneHotEncoder,
    in NVTabular `freq_threshold` of Categorify, in TFT `frequency_threshold` of `compute_vocabulary`.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step, rows = DropRare(columns=["x"], min_count=2, value="other"), pl.LazyFrame({"x": ["a", "b", "a", None]})
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).collect())
    >>> fitted.apply(rows, CpuEngine()).collect()["x"].to_list()
    ['a', 'other', 'a', None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = CATEGORY

    columns: Columns
    min_count: int | None = Field(None, ge=1)
    min_share: float | None = Field(None, gt=0.0, le=1.0)
    value: Value | None = None
    output: str = "{column}"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.min_count is None) == (self.min_share is None):
            raise ValueError("needs either `min_count` or `min_share`")
        return self

    def check(self, schema: pl.Schema) -> None:
        for column in self.columns if self.value is not None else ():
            try:
                literal(self.value, schema[column])  # type: ignore[arg-type]
            except ValueError as problem:
                raise PipelineError(
                    f"DropRare cannot put {self.value!r} into column {column!r} ({schema[column]}): {problem}"
                ) from None

    def separate(self) -> tuple[Operator, ...]:
        return self.each_column()

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return counts.summary(frame, _only(self, self.columns))

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return counts.merged(tables)

    @property
    def groups(self) -> tuple[str, ...]:
        return (counts.VALUE,)

    @property
    def order(self) -> Order:
        return counts.ORDER

    def settle(self, table: pl.DataFrame) -> pl.DataFrame:
        """The values that stay, where their number alone decides."""
        least = self.min_count or 0  # a share is of all values, which only `learn` knows
        return table.filter(pl.col(counts.COUNT) >= least) if (table[counts.COUNT] < least).any() else table

    def learn(self, total: pl.DataFrame) -> Transform:
        _only(self, self.columns)
        found = counts.ordered(self.settle(total) if total.columns else total)
        if self.min_share is not None:
            least = math.ceil(Fraction(str(self.min_share)) * int(found[counts.COUNT].sum()))
            found = found.head(int((found[counts.COUNT] >= least).sum()))
        return RareDropped(columns=self.columns, value=self.value, output=self.output, kept=Table(found))


class RareDropped(Transform):
    """Values that are in `kept` stay, all others become `value`; null stays null."""

    columns: Columns
    value: Value | None = None
    output: str = "{column}"
    kept: Table

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        (column,), (output,) = self.columns, self.writes
        dtype, kept = frame.collect_schema()[column], self.kept.frame
        # Rows may come with another integer type than the vocabulary: as Int64 from dicts.
        keyed = frame.with_columns(pl.col(column).cast(kept.schema[counts.VALUE], strict=False).alias(_VALUE))
        found = engine.kernel(keyed, Lookup(_VALUE, kept, _FOUND))
        other = pl.lit(None, dtype) if self.value is None else lit(self.value, dtype)
        stays = pl.col(_FOUND).is_not_null() | pl.col(column).is_null()
        return found.with_columns(pl.when(stays).then(pl.col(column)).otherwise(other).alias(output)).drop(
            _VALUE, _FOUND
        )


def _only(step: Learner, columns: Columns) -> str:
    if len(columns) != 1:
        raise PipelineError(f"{type(step).__name__} of {len(columns)} columns counts each by itself: use separate()")
    (column,) = columns
    return str(column)


_VALUE: Final = "__frequency_value"
_FOUND: Final = "__frequency_found"
