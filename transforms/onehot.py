"""OneHot: a column of 0 and 1 for each value."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from headrace.engines.engine import Engine
from headrace.transforms import counts, flags
from headrace.transforms.base import CATEGORY, Accepts, Transform
from headrace.transforms.flags import Flagged, FlagPerValue
from headrace.transforms.literal import literal


class OneHot(FlagPerValue):
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

    def check(self, schema: pl.Schema) -> None:
        for column in self.columns:
            flags.check_values("OneHot", column, schema[column], self.values)
        flags.check_names("OneHot", self.writes, schema)

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return counts.summary(frame, self._one_column())

    def learn(self, total: pl.DataFrame) -> Transform:
        return self._learned(OneHotEncoded, total)


class OneHotEncoded(Flagged):
    """UInt8 columns, 1 where the row has the value of the same place in `values`; see OneHot for their names."""

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
