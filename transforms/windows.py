"""Lag and RollingStats: what was known of earlier rows of the same entity."""

from __future__ import annotations

from typing import ClassVar

import polars as pl
from pydantic import Field, field_validator, model_validator

from headrace.engines.engine import Engine
from headrace.engines.kernels.rolling import Output, Rolling, Statistic
from headrace.schemas.errors import PipelineError
from headrace.transforms import history
from headrace.transforms.base import NUMERIC, Accepts, Window, named
from headrace.transforms.columns import Columns
from headrace.transforms.duration import Duration, format_duration


class Lag(Window):
    """Add the value of the n-th row before this one of the same entity.

    Parameters
    ----------
    columns
        Of any dtype, which the output keeps.
    by
        The columns that make an entity: strings, integers, booleans or dates.
    order
        What the rows of an entity are ordered by: a number, a date or a datetime. Equal ones stand in source order.
    n
        How many rows back.
    known_at
        When a row's values became known, of the dtype of `order`. A value counts only if that was strictly before
        this row's `order`; a null means that it never became known.
    output
        Name of the result; `{column}` stands for the input's, `{n}` for n.

    Raises
    ------
    PipelineError
        An entity or an order of another type, or a `known_at` that is not of the type of `order`.

    Notes
    -----
    Null where there is no such row. Rows with a null entity or order get null, and are not counted by others. Rows may
    come in any order: those that arrive late stand where their `order` puts them. Times with a zone are ordered as
    instants, also when the clocks change. The rows of an entity are brought together first, whatever partitions they
    are in. Cost: the columns it reads move once; one sort by entity.
    The twin of NVTabular's `DifferenceLag` without the difference, which looks no further than its partition; TFT and
    Ray Data have none.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> frame = pl.LazyFrame({"plane": ["a", "b", "a", "a"], "at": [3, 1, 1, 3], "delay": [30, 5, 10, 31]})
    >>> Lag(columns="delay", by="plane", order="at").apply(frame, CpuEngine()).collect()["delay_lag1"].to_list()
    [10, None, None, 30]
    """

    columns: Columns
    by: Columns
    order: str
    n: int = Field(1, ge=1)
    known_at: str | None = None
    output: str = "{column}_lag{n}"

    @model_validator(mode="after")
    def _names_differ(self) -> Lag:
        if "{column}" not in self.output and (self.columns.selector or len(self.columns) > 1):
            raise ValueError(f"several columns cannot all be called {self.output!r}; write '{{column}}' in output")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        known_at = [self.known_at] if self.known_at else []
        return tuple(dict.fromkeys([*self.columns, *self.by, self.order, *known_at]))

    @property
    def writes(self) -> tuple[str, ...]:
        return named(self.output.replace("{n}", str(self.n)), self.columns)

    @property
    def entity(self) -> tuple[str, ...]:
        return self.by.names

    def check(self, schema: pl.Schema) -> None:
        history.check_entity(self, self.by, schema)
        history.check_order(self, self.order, schema)
        _check_known_at(self, self.order, self.known_at, schema)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        counts = pl.col(history.PLACED)
        if self.known_at:
            counts = counts & (self._before(self.known_at, engine) < pl.col(self.order))
        return history.forgotten(
            history.numbered(frame, self.by, self.order).with_columns(
                pl.when(counts).then(self._before(column, engine)).alias(output)
                for column, output in zip(self.columns, self.writes, strict=True)
            )
        )

    def _before(self, column: str, engine: Engine) -> pl.Expr:
        return history.before(pl.col(column), self.n, self.by, self.order, engine)


class RollingStats(Window):
    """Add statistics of the values of the same entity that became known within a time before each row.

    Parameters
    ----------
    columns
        Numbers or booleans.
    by
        The columns that make an entity: strings, integers, booleans or dates.
    order
        The row's time: a date or a datetime.
    window
        How far back: `"7d"`. A row at time t sees what became known in [t - window, t): its own values only
        where `known_at` says that they were known before.
    statistics
        `count` (Int64), `sum`, `mean`, `std` (of the sample), `min`, `max` (Float64) of the values that are not null.
    known_at
        When a row's values became known, of the dtype of `order`; the row's own time by default.
    output
        Names of the results; `{column}`, `{statistic}` and `{window}` are filled in.

    Raises
    ------
    PipelineError
        An entity, a time or a column of another type, or a `known_at` that is not of the type of `order`.

    Notes
    -----
    Where nothing is in the window, `count` and `sum` are 0 and all else is null. A null entity or time gives null.
    NaN and infinities count as values and go where arithmetic takes them; integers are taken as Float64. Rows of equal
    time do not see each other. Rows may come in any order. A window of a day has 24 hours, also when the clocks of a
    zone change: times are compared as instants. The rows of an entity are brought together first, whatever partitions
    they are in. Cost: the columns it reads move once; a sort by entity and time.
    Known elsewhere as a rolling aggregation (pandas, Feast, Chronon); NVTabular, TFT and Ray Data have none.

    Examples
    --------
    >>> from datetime import datetime
    >>> from headrace.engines.cpu import CpuEngine
    >>> times = [datetime(2024, 1, day) for day in (1, 2, 2, 9)]
    >>> frame = pl.LazyFrame({"plane": ["a"] * 4, "at": times, "delay": [4, 8, 2, 1]})
    >>> step = RollingStats(columns="delay", by="plane", order="at", window="7d", statistics="sum")
    >>> step.apply(frame, CpuEngine()).collect()["delay_sum_7d"].to_list()
    [0.0, 4.0, 4.0, 10.0]
    """

    accepts: ClassVar[Accepts] = NUMERIC

    columns: Columns
    by: Columns
    order: str
    window: Duration
    statistics: tuple[Statistic, ...] = Field(("mean",), min_length=1)
    known_at: str | None = None
    output: str = "{column}_{statistic}_{window}"

    @field_validator("statistics", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fields_agree(self) -> RollingStats:
        if not self.window:
            raise ValueError("window must be longer than 0")
        if len(set(self.statistics)) != len(self.statistics):
            raise ValueError(f"statistics named twice: {', '.join(self.statistics)}")
        if len(self.statistics) > 1 and "{statistic}" not in self.output:
            raise ValueError("several statistics need '{statistic}' in output")
        if (self.columns.selector or len(self.columns) > 1) and "{column}" not in self.output:
            raise ValueError("several columns need '{column}' in output")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        known_at = [self.known_at] if self.known_at else []
        return tuple(dict.fromkeys([*self.columns, *self.by, self.order, *known_at]))

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(o.name for o in self._outputs)

    @property
    def entity(self) -> tuple[str, ...]:
        return self.by.names

    @property
    def _outputs(self) -> tuple[Output, ...]:
        output = self.output.replace("{window}", format_duration(self.window))
        return tuple(
            Output(output.replace("{column}", c).replace("{statistic}", s), c, s)
            for c in self.columns
            for s in self.statistics
        )

    def check(self, schema: pl.Schema) -> None:
        history.check_entity(self, self.by, schema)
        if schema[self.order] not in (pl.Date, pl.Datetime):
            raise PipelineError(
                f"RollingStats takes a date or a datetime as `order`, got {schema[self.order]} in {self.order!r}"
            )
        _check_known_at(self, self.order, self.known_at, schema)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return engine.kernel(
            frame,
            Rolling(by=self.by.names, on=self.order, known_at=self.known_at, length=self.window, outputs=self._outputs),
        )


def _check_known_at(step: Window, order: str, known_at: str | None, schema: pl.Schema) -> None:
    if known_at and schema[known_at] != schema[order]:
        raise PipelineError(
            f"{type(step).__name__}: known_at and order must be of one dtype, got {schema[known_at]} in {known_at!r} "
            f"and {schema[order]} in {order!r}"
        )
