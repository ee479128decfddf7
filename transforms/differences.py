"""Diff and TimeSinceLast: how a row differs from an earlier one of the same entity."""

from __future__ import annotations

from typing import ClassVar, Final

import polars as pl
from pydantic import Field, model_validator

from headrace.engines.engine import Engine
from headrace.engines.utc import utc
from headrace.schemas.errors import PipelineError
from headrace.transforms import history
from headrace.transforms.base import Accepts, Window, named
from headrace.transforms.columns import Columns


class Diff(Window):
    """Add by how much a value differs from that of the n-th row before it of the same entity.

    Parameters
    ----------
    columns
        Numbers or booleans, but UInt64. The output is Float32 for Float32, Float64 for Float64, else Int64.
    by
        The columns that make an entity: strings, integers, booleans or dates.
    order
        What the rows of an entity are ordered by: a number, a date or a datetime. Equal ones stand in source order.
    n
        How many rows back.
    output
        Name of the result; `{column}` stands for the input's, `{n}` for n.

    Raises
    ------
    PipelineError
        A UInt64, whose differences fit no integer type; an entity or an order of another type.

    Notes
    -----
    The row's own value is in the result: use `Lag` for what is not known at the time of the row. Null where one of the
    two values is null or not there, for a null entity or order, and for a difference that Int64 cannot hold. NaN and
    infinities go where arithmetic takes them. The rows of an entity are brought together first, so a result never
    depends on partitions; its twin, NVTabular's `DifferenceLag`, looks no further than its partition. Cost: the columns
    it reads move once; one sort by entity.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> frame = pl.LazyFrame({"plane": ["a", "b", "a"], "at": [2, 1, 1], "fuel": [7, 9, 10]})
    >>> Diff(columns="fuel", by="plane", order="at").apply(frame, CpuEngine()).collect()["fuel_diff1"].to_list()
    [-3, None, None]
    """

    sees_itself: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = Accepts(
        lambda dtype: dtype == pl.Boolean or dtype.is_float() or (dtype.is_integer() and dtype != pl.UInt64),
        "a boolean, a float or an integer other than UInt64",
    )

    columns: Columns
    by: Columns
    order: str
    n: int = Field(1, ge=1)
    output: str = "{column}_diff{n}"

    @model_validator(mode="after")
    def _names_differ(self) -> Diff:
        if "{column}" not in self.output and (self.columns.selector or len(self.columns) > 1):
            raise ValueError(f"several columns cannot all be called {self.output!r}; write '{{column}}' in output")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.columns, *self.by, self.order]))

    @property
    def writes(self) -> tuple[str, ...]:
        return named(self.output.replace("{n}", str(self.n)), self.columns)

    @property
    def entity(self) -> tuple[str, ...]:
        return self.by.names

    def check(self, schema: pl.Schema) -> None:
        history.check_entity(self, self.by, schema)
        history.check_order(self, self.order, schema)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        pairs = list(zip(self.columns, self.writes, strict=True))
        earlier = history.numbered(frame, self.by, self.order).with_columns(
            history.before(pl.col(column), self.n, self.by, self.order, engine).alias(f"{_EARLIER}{column}")
            for column, _ in pairs
        )
        return history.forgotten(
            earlier.with_columns(
                pl.when(pl.col(history.PLACED))
                .then(_difference(pl.col(column), pl.col(f"{_EARLIER}{column}"), schema[column]))
                .alias(output)
                for column, output in pairs
            )
        ).drop(f"{_EARLIER}{column}" for column, _ in pairs)


class TimeSinceLast(Window):
    """Add the seconds since the row before this one of the same entity.

    Parameters
    ----------
    by
        The columns that make an entity: strings, integers, booleans or dates.
    order
        The row's time: a date or a datetime.
    output
        Name of the result, a Float64; `{order}` stands for the name of the time.

    Notes
    -----
    Null for the first row of an entity and where the entity or the time is null; rows without a time count for no
    other. 0 for a row of the same time as the one before it in the source. A day has 86400 seconds, also when the
    clocks change. Whole seconds are exact, fractions good to the last place but one. Rows may come in any order, and
    those of an entity are brought together first, whatever partitions they are in. Cost: the columns it reads move
    once; one sort by entity. NVTabular makes it of `DifferenceLag` over the time, within a partition.

    Examples
    --------
    >>> from datetime import datetime
    >>> from headrace.engines.cpu import CpuEngine
    >>> frame = pl.LazyFrame({"plane": ["a", "a"], "at": [datetime(2024, 1, 1, 6), datetime(2024, 1, 1, 5, 59)]})
    >>> TimeSinceLast(by="plane", order="at").apply(frame, CpuEngine()).collect()["at_since_last"].to_list()
    [60.0, None]
    """

    by: Columns
    order: str
    output: str = "{order}_since_last"

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.by, self.order]))

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.output.replace("{order}", self.order),)

    @property
    def entity(self) -> tuple[str, ...]:
        return self.by.names

    def check(self, schema: pl.Schema) -> None:
        history.check_entity(self, self.by, schema)
        if schema[self.order] not in (pl.Date, pl.Datetime):
            raise PipelineError(
                f"TimeSinceLast takes a date or a datetime as `order`, got {schema[self.order]} in {self.order!r}"
            )

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        dtype = frame.collect_schema()[self.order]
        passed = pl.col(_PASSED)
        if isinstance(dtype, pl.Datetime):
            per_second = _PER_SECOND[dtype.time_unit]
            whole = passed // per_second  # whole seconds are exact; engines divide floats in their own ways
            seconds = whole.cast(pl.Float64) + (passed - whole * per_second).cast(pl.Float64) * (1.0 / per_second)
        else:
            seconds = (passed * 86_400).cast(pl.Float64)
        ticks = pl.col(_TICKS)
        counted = (
            history.numbered(frame, self.by, self.order)
            .with_columns(utc(self.order, dtype).to_physical().cast(pl.Int64).alias(_TICKS))
            .with_columns(
                (ticks - history.before(ticks, 1, self.by, self.order, engine)).alias(_PASSED)
            )  # it is read thrice
        )
        return history.forgotten(
            counted.with_columns(pl.when(pl.col(history.PLACED)).then(seconds).alias(self.writes[0]))
        ).drop(_TICKS, _PASSED)


_EARLIER: Final = "__earlier:"
_TICKS: Final = "__history_ticks"
_PASSED: Final = "__history_passed"
_PER_SECOND: Final = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def _difference(value: pl.Expr, earlier: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if dtype.is_float():
        return value - earlier
    value, earlier = value.cast(pl.Int64), earlier.cast(pl.Int64)
    if dtype != pl.Int64:
        return value - earlier
    # Only numbers of different signs can be too far apart; the sign of what wraps around is not that of the value.
    found = value - earlier
    wrapped = ((value < 0) != (earlier < 0)) & ((found < 0) != (value < 0))
    return pl.when(~wrapped).then(found)
