"""Dates and times as numbers: DateParts and Cyclic."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import polars as pl
from pydantic import Field

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import NUMERIC, TEMPORAL, Accepts, Transform
from headrace.transforms.columns import Columns
from headrace.transforms.zones import Zone, in_zone

Part = Literal["year", "quarter", "month", "week", "day_of_year", "day", "weekday", "is_weekend", "hour", "minute"]


class DateParts(Transform):
    """The parts of a date or time: `<column>_<part>`.

    Parameters
    ----------
    columns
        Dates or datetimes. Null stays null.
    parts
        `year` Int32, `quarter` Int8, `month` Int8, `week` Int8 (ISO 8601, 1 to 53), `day_of_year` Int16, `day` Int8,
        `weekday` Int8 (Monday 1 to Sunday 7), `is_weekend` UInt8 (Saturday and Sunday), `hour` Int8, `minute` Int8.
    time_zone
        The zone whose clock and calendar the parts are of, such as `America/New_York`. A datetime without a zone
        counts as UTC then. Without it, parts are as the column's own zone has them.

    Raises
    ------
    PipelineError
        An unknown part or time zone, or a part of the day or a time zone for a Date.

    Notes
    -----
    One pass, no state.

    Examples
    --------
    >>> from datetime import date
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"day": [date(2024, 2, 29), None]})
    >>> DateParts(columns="day", parts=["week", "weekday"]).apply(rows, CpuEngine()).collect().rows()
    [(datetime.date(2024, 2, 29), 9, 4), (None, None, None)]
    """

    accepts: ClassVar[Accepts] = TEMPORAL

    columns: Columns
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]
    time_zone: Zone | None = None

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(f"{column}_{part}" for column in self.columns for part in self.parts)

    def check(self, schema: pl.Schema) -> None:
        of_day = [p for p in self.parts if p in ("hour", "minute")]
        for column in self.columns:
            if schema[column] == pl.Date and (of_day or self.time_zone):
                what = f"part {of_day[0]!r}" if of_day else "time zone"
                raise PipelineError(f"DateParts: column {column!r} is a Date, which has no {what}")

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        outputs = []
        for column in self.columns:
            clock = self._on_the_clock(column, schema[column])
            outputs += [_part(clock, part).alias(f"{column}_{part}") for part in self.parts]
        return frame.with_columns(outputs)

    def _on_the_clock(self, column: str, dtype: pl.DataType) -> pl.Expr:
        """The time as that zone's clocks show it, without a zone: cudf-polars takes parts of zoned times in UTC."""
        value = pl.col(column)
        if not isinstance(dtype, pl.Datetime):
            return value
        if self.time_zone is not None:
            return in_zone(value, dtype, self.time_zone).dt.replace_time_zone(None)
        return value.dt.replace_time_zone(None) if dtype.time_zone else value


class Cyclic(Transform):
    """A number on a circle: `<column>_sin` and `<column>_cos` of 2 pi x / period, Float32.

    Parameters
    ----------
    columns
        Numbers, such as an hour (period 24) or a weekday (period 7). Null stays null; NaN and infinities give NaN.
    period
        The length of one turn, above 0.

    Notes
    -----
    One pass, no state.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"hour": [0, 6, None]})
    >>> Cyclic(columns="hour", period=24).apply(rows, CpuEngine()).collect()["hour_sin"].to_list()
    [0.0, 1.0, None]
    """

    accepts: ClassVar[Accepts] = NUMERIC

    columns: Columns
    period: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(f"{column}_{function}" for column in self.columns for function in ("sin", "cos"))

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        outputs = []
        for column in self.columns:
            angle = pl.col(column).cast(pl.Float64) * (2 * math.pi / self.period)
            outputs += [
                angle.sin().cast(pl.Float32).alias(f"{column}_sin"),
                angle.cos().cast(pl.Float32).alias(f"{column}_cos"),
            ]
        return frame.with_columns(outputs)


def _part(clock: pl.Expr, part: Part) -> pl.Expr:
    match part:
        case "day_of_year":
            return clock.dt.ordinal_day()
        case "is_weekend":
            return (clock.dt.weekday() >= 6).cast(pl.UInt8)
        case "year":
            return clock.dt.year()
        case "quarter":
            return clock.dt.quarter()
        case "month":
            return clock.dt.month()
        case "week":
            return clock.dt.week()
        case "day":
            return clock.dt.day()
        case "weekday":
            return clock.dt.weekday()
        case "hour":
            return clock.dt.hour()
        case "minute":
            return clock.dt.minute()
