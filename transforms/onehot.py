"""OneHot: a column of 0 and 1 for each value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import polars as pl
from pydantic import Field, field_validator, model_validator

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms import counts, flags
from headrace.transforms.base import CATEGORY, Accepts, Learner, Operator, Transform, named
from headrace.transforms.columns import Columns
from headrace.transforms.flags import LARGEST, Place
from headrace.transforms.literal import Value, literal


class OneHot(Learner):
    """Add a column for each value, 1 where the row has it and 0 elsewhere.

    Parameters
    ----------
    columns
        Strings, integers, booleans or dates, which stay as they are.
    values
        The values that get a column (UInt8), in this order; dates as ISO 8601 text. At most 1000.
    max_values
        Instead of `values`: the values of the training rows, by count (descending), then by value (ascending; strings
        by their UTF-8 bytes). There are always so many columns, since a pipeline's columns are known before its data
        is: `top1` for the most frequent value, and so on. Those that no value is left for are 0.
    nulls
        `zero`: all columns are 0 where the input is null. `own`: `null` is a further column, 1 there.
    others
        `zero`: all columns are 0 for a value that has no column. `own`: `other` is a further column, 1 there.
    output
        Names of the results; `{column}` and `{value}` are filled in, the latter by the value (`true`, `false`;
        `2020-01-31`), or by `top1`, `top2`, `null`, `other`.

    Raises
    ------
    PipelineError
        A value that the column's type cannot hold, or a name that another column has already.
    DataError
        More than `max_values` values in the training rows.

    Notes
    -----
    With `values` nothing is measured; else one pass, and memory for the distinct values. Applying it compares each row
    with each value. In scikit-learn this is OneHotEncoder(handle_unknown="ignore"), in TensorFlow `tf.one_hot` after
    TFT's vocabulary; NVTabular has none.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"x": ["a", "b", None]})
    >>> OneHot(columns=["x"], values=["a", "b"]).learn(pl.DataFrame()).apply(rows, CpuEngine()).collect().rows()
    [('a', 1, 0), ('b', 0, 1), (None, 0, 0)]
    """

    accepts: ClassVar[Accepts] = CATEGORY
    instead_of_lists: ClassVar[str] = "MultiHot has a column for each value that a list may hold"

    columns: Columns
    values: Annotated[tuple[Value, ...], Field(min_length=1, max_length=LARGEST)] | None = None
    max_values: int | None = Field(None, ge=1, le=LARGEST)
    nulls: Place = "zero"
    others: Place = "zero"
    output: str = "{column}_{value}"

    @field_validator("values")
    @classmethod
    def _distinct(cls, values: tuple[Value, ...] | None) -> tuple[Value, ...] | None:
        return flags.distinct(values)

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        flags.check_fields(self.values, self.max_values, self.output)
        return self

    @property
    def writes(self) -> tuple[str, ...]:
        return flags.names(self.columns, self.values or (), self.max_values, self.nulls, self.others, self.output)

    @property
    def measured(self) -> tuple[str, ...]:
        return () if self.values is not None else self.reads

    def check(self, schema: pl.Schema) -> None:
        for column in self.columns:
            flags.check_values("OneHot", column, schema[column], self.values)
        flags.check_names("OneHot", self.writes, schema)

    def separate(self) -> tuple[Operator, ...]:
        return tuple(
            self.model_copy(
                update={"columns": Columns(names=(column,)), "output": named(self.output, Columns(names=(column,)))[0]}
            )
            for column in self.columns
        )

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        if len(self.columns) != 1:
            raise PipelineError(f"OneHot of {len(self.columns)} columns learns the values of each: use separate()")
        return counts.summary(frame, *self.columns)

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return counts.merged(tables)

    @property
    def groups(self) -> tuple[str, ...]:
        return (counts.VALUE,)

    def learn(self, total: pl.DataFrame) -> Transform:
        values = self.values
        if values is None:
            assert self.max_values is not None
            values = flags.found_values("OneHot", self.reads[0], total, self.max_values)
        return OneHotEncoded(
            columns=self.columns,
            values=values,
            max_values=self.max_values,
            nulls=self.nulls,
            others=self.others,
            output=self.output,
        )


class OneHotEncoded(Transform):
    """UInt8 columns, 1 where the row has the value of the same place in `values`; see OneHot for their names."""

    columns: Columns
    values: tuple[Value, ...]
    max_values: int | None = None
    nulls: Place = "zero"
    others: Place = "zero"
    output: str = "{column}_{value}"

    @property
    def reads(self) -> tuple[str, ...]:
        return self.columns.names

    @property
    def writes(self) -> tuple[str, ...]:
        return flags.names(self.columns, self.values, self.max_values, self.nulls, self.others, self.output)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        found = [flag for column in self.columns for flag in self._flags(column, schema[column])]
        return frame.with_columns(
            flag.cast(pl.UInt8).alias(output) for flag, output in zip(found, self.writes, strict=True)
        )

    def _flags(self, column: str, dtype: pl.DataType) -> list[pl.Expr]:
        """In the order of `flags.names`: true, or false, for each row."""
        value = pl.col(column)
        values = pl.Series([literal(v, dtype) for v in self.values], dtype=dtype)
        found = [(value == pl.lit(v, dtype=dtype)).fill_null(False) for v in values]
        # Of the column all the same: that a result is made of it shows before there are values.
        found += [value.is_null() & value.is_not_null()] * ((self.max_values or 0) - len(values))
        if self.nulls == "own":
            found.append(value.is_null())
        if self.others == "own":
            found.append(value.is_not_null() & ~value.is_in(pl.lit(values).implode()).fill_null(True))
        return found
