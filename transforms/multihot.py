"""MultiHot: a column of 0 and 1 for each value that lists may hold."""

from __future__ import annotations

from typing import ClassVar, Final, Self

import polars as pl
from pydantic import Field, model_validator

from headrace.engines.engine import Engine
from headrace.engines.kernels.elements import Elements
from headrace.engines.kernels.lists import Contains, Lists, Reduce, inner
from headrace.transforms import counts, flags
from headrace.transforms.base import CATEGORY, Accepts, Transform
from headrace.transforms.elements import elements_of
from headrace.transforms.flags import Flagged, FlagPerValue
from headrace.transforms.literal import Value, literal


class MultiHot(FlagPerValue):
    """Add a column for each value, 1 where the row's list holds it and 0 elsewhere.

    Parameters
    ----------
    columns
        Lists of strings, integers, booleans or dates, which stay as they are. How often a list holds a value does not
        matter, and null elements are no value.
    values
        The values that get a column (UInt8), in this order; dates as ISO 8601 text. At most 1000.
    max_values
        Instead of `values`: the values in the lists of the training rows, by count (descending), then by value
        (ascending; strings by their UTF-8 bytes). There are always so many columns, since a pipeline's columns are
        known before its data is: `top1` for the most frequent value, and so on. Those that no value is left for are 0.
    min_count
        With `max_values`: how often a value must stand in the training rows, twice in a list being two times, to get a
        column.
    nulls
        `zero`: all columns are 0 where the list is null, as where it is empty. `own`: `null` is a further column, 1
        where the list is null.
    others
        `zero`: values that have no column do not show. `own`: `other` is a further column, 1 where the list holds one.
    output
        Names of the results; `{column}` and `{value}` are filled in, the latter by the value (`true`, `false`;
        `2020-01-31`), or by `top1`, `top2`, `null`, `other`.

    Raises
    ------
    PipelineError
        A value that the elements' type cannot hold, or a name that another column has already.
    DataError
        More than `max_values` values in the training rows.

    Notes
    -----
    With `values` nothing is measured; else one pass, and memory for the distinct values. Applying it compares each
    element with each value. In scikit-learn this is MultiLabelBinarizer, in Ray Data MultiHotEncoder (which counts), in
    Keras after TFT's vocabulary `CategoryEncoding(output_mode="multi_hot")`; NVTabular has none.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"x": [["a", "b", "a"], ["c", None], None]})
    >>> MultiHot(columns=["x"], values=["a", "b"]).learn(pl.DataFrame()).apply(rows, CpuEngine()).collect().rows()
    [(['a', 'b', 'a'], 1, 1), (['c', None], 0, 0), (None, 0, 0)]
    """

    accepts: ClassVar[Accepts] = Accepts(
        lambda dtype: isinstance(dtype, pl.List) and CATEGORY.test(inner(dtype)),
        "a list of strings, integers, booleans or dates",
    )

    min_count: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if self.values is not None and self.min_count > 1:
            raise ValueError("given `values` exclude min_count: they are not counted")
        return self

    def check(self, schema: pl.Schema) -> None:
        for column in self.columns:
            flags.check_values("MultiHot", column, inner(schema[column]), self.values)
        flags.check_names("MultiHot", self.writes, schema)

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        column = self._one_column()
        return counts.summary(elements_of(frame, column, engine), column)

    def _found(self, total: pl.DataFrame, min_count: int = 1) -> tuple[Value, ...]:
        return super()._found(total, self.min_count)

    def learn(self, total: pl.DataFrame) -> Transform:
        return self._learned(MultiHotEncoded, total)


class MultiHotEncoded(Flagged):
    """UInt8 columns, 1 where the list holds the value of the same place in `values`; see MultiHot for their names."""

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema, outputs = frame.collect_schema(), iter(self.writes)
        for column in self.columns:
            lists, dtype = pl.col(column), inner(schema[column])
            held = [next(outputs) for _ in self.values]
            for value, output in zip(self.values, held, strict=True):
                frame = engine.kernel(frame, Lists(column, Contains(literal(value, dtype)), output))
            found = [pl.col(output).fill_null(False).alias(output) for output in held]
            # Of the column all the same: that a result is made of it shows before there are values.
            empty = range((self.max_values or 0) - len(self.values))
            found += [(lists.is_null() & lists.is_not_null()).alias(next(outputs)) for _ in empty]
            if self.nulls == "own":
                found.append(lists.is_null().alias(next(outputs)))
            if self.others == "own":
                frame = self._other(frame, column, dtype, engine)
                found.append(pl.col(_OTHER).fill_null(False).alias(next(outputs)))
            frame = frame.with_columns(flag.cast(pl.UInt8) for flag in found).drop(_OTHER, strict=False)
        return frame

    def _other(self, frame: pl.LazyFrame, column: str, dtype: pl.DataType, engine: Engine) -> pl.LazyFrame:
        """In a column beside: whether a list holds a value that has no column; null where it holds nothing."""
        values = pl.lit(pl.Series([literal(v, dtype) for v in self.values], dtype=dtype)).implode()

        def apply(rows: pl.LazyFrame, _: Engine) -> pl.LazyFrame:
            other = pl.col(column).is_not_null() & ~pl.col(column).is_in(values).fill_null(True)
            return rows.with_columns(other.alias(_OTHER))

        marked = engine.kernel(frame, Elements(column, (_OTHER,), apply))
        return engine.kernel(marked, Lists(_OTHER, Reduce("max"), _OTHER))


_OTHER: Final = "__multihot_other"
