"""Kernel `lists`: the length of lists, a part of them, a statistic of their elements, or whether one is a value.

Contract: `output` is added or replaced; rows keep their number and order. A null list gives null.

- `Slice(start, end, pad)`: the elements that Python's `x[start:end]` gives; a negative end of the range counts from the
  end of the list, and a range beyond it gives fewer elements, or none. Null elements and NaN stay. The dtype stays.
  With `pad`, `pad` follows until there are as many elements as the range is wide; then null lists are all padding.
- `Reduce(statistic)`: `length` counts all elements (Int32), `count` those that are not null (Int32). The others leave
  null elements out. `sum` is Int64 of integers and booleans, UInt64 of UInt64, Float64 of floats, and 0 where nothing
  is left; integers wrap around. `mean` is Float64, computed in Float64. `min` and `max` have the elements' dtype.
  Where nothing is left, `mean`, `min` and `max` are null. NaN and infinities go where arithmetic takes `sum` and
  `mean`; `min` and `max` leave NaN out too, and are null where nothing else is there.
- `Contains(value)`: true where an element equals the value, false where none does, null ones among them; Boolean.

Sums of floats are taken in Float64 in the order of the elements, but for how an engine groups the additions: within
1 ulp of Float32 where the terms do not cancel.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, ClassVar, Literal

import polars as pl

from headrace.schemas.dtypes import instance

if TYPE_CHECKING:
    from headrace.engines.engine import Engine

Statistic = Literal["length", "count", "sum", "mean", "min", "max"]


@dataclass(frozen=True)
class Slice:
    """The elements from `start` up to, not including, `end`.

    Parameters
    ----------
    start, end
        As in Python; an end of None is the end of the list.
        The end may not count from the beginning where the start counts from the end.
    pad
        What follows lists that are shorter than the range is wide, of the elements' dtype; None: nothing does.
    """

    start: int = 0
    end: int | None = None
    pad: bool | int | float | str | None = None

    def __post_init__(self) -> None:
        if self.start < 0 and self.end is not None and self.end >= 0:
            raise ValueError(
                f"start {self.start} counts from the end of the list and end {self.end} from its beginning"
            )
        if self.width == 0:
            raise ValueError(f"start {self.start} is not before end {self.end}, so that every list would be empty")
        if self.pad is not None and self.width is None:
            raise ValueError(
                f"pad needs a width, and start {self.start} with end {self.end} gives lists of any length: "
                "count both from the same side, or start from the end and leave `end` out"
            )

    @property
    def width(self) -> int | None:
        """How many elements there are at most; None where that depends on the list."""
        if self.end is None:
            return -self.start if self.start < 0 else None
        return max(self.end - self.start, 0) if (self.start < 0) == (self.end < 0) else None


@dataclass(frozen=True)
class Reduce:
    """One number for each list."""

    statistic: Statistic


@dataclass(frozen=True)
class Contains:
    """Whether a list holds a value of the elements' dtype, which is not a float."""

    value: bool | int | str | date


Operation = Slice | Reduce | Contains


def inner(dtype: pl.DataType) -> pl.DataType:
    """The dtype of a list's elements."""
    assert isinstance(dtype, pl.List)
    return instance(dtype.inner)


def output_dtype(operation: Operation, dtype: pl.DataType) -> pl.DataType:
    """What the operation makes of lists of type `dtype`."""
    match operation:
        case Slice():
            return dtype
        case Contains():
            return pl.Boolean()
        case Reduce("length" | "count"):
            return pl.Int32()
        case Reduce("mean"):
            return pl.Float64()
        case Reduce("sum"):
            return _summed(inner(dtype))
    return inner(dtype)


@dataclass(frozen=True)
class Lists:
    """What `operation` makes of the lists of `column`."""

    column: str
    operation: Operation
    output: str
    name: ClassVar[str] = "lists"

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    def writes(self, schema: pl.Schema, engine: Engine) -> dict[str, pl.DataType]:
        return {self.output: output_dtype(self.operation, schema[self.column])}

    def cpu(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """Polars' list namespace."""
        dtype = frame.collect_schema()[self.column]
        value = pl.col(self.column)
        match self.operation:
            case Slice():
                result = _sliced(value, dtype, self.operation)
            case Reduce():
                result = _reduced(value, dtype, self.operation)
            case Contains():
                # Twice as fast as `list.contains`.
                same = pl.element() == pl.lit(self.operation.value, dtype=inner(dtype))
                result = value.list.eval(same.fill_null(False)).list.any()
        return frame.with_columns(result.cast(output_dtype(self.operation, dtype)).alias(self.output))

    def stand_in(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        value = pl.col(self.column)
        if not isinstance(self.operation, Slice):
            value = value.is_null().cast(self.writes(frame.collect_schema(), engine)[self.output])
        return frame.with_columns(value.alias(self.output))


def _sliced(value: pl.Expr, dtype: pl.DataType, part: Slice) -> pl.Expr:
    # Only with numbers as arguments does Polars' slice keep the type of lists that are all null or empty.
    if part.end is None:
        kept = value.list.tail(-part.start) if part.start < 0 else value.list.slice(part.start)
    elif part.width is not None:
        kept = value.list.slice(part.start, part.width)
    else:
        kept = value.list.slice(part.start).list.reverse().list.slice(-part.end).list.reverse()
    if part.pad is None or part.width is None:
        return kept
    nothing, padding = (pl.lit(pl.Series([v], dtype=dtype)) for v in ([], [part.pad] * part.width))
    return pl.concat_list(kept.fill_null(nothing), padding).list.head(part.width)


def _reduced(value: pl.Expr, dtype: pl.DataType, operation: Reduce) -> pl.Expr:
    lists = value.list
    match operation.statistic:
        case "length":
            return lists.len()
        case "count":
            return lists.drop_nulls().list.len()
        case "sum":
            return value.cast(pl.List(_summed(inner(dtype)))).list.sum()
        case "mean":
            return value.cast(pl.List(pl.Float64)).list.mean()
        case "min":
            found = lists.min()
        case "max":
            found = lists.max()
    return found.fill_nan(None) if inner(dtype).is_float() else found


def _summed(element: pl.DataType) -> pl.DataType:
    if element.is_float():
        return pl.Float64()
    return pl.UInt64() if element == pl.UInt64 else pl.Int64()
