"""Kernel `rolling`: statistics of the values that became known in a window of time before each row, per key.

Contract: for a row with key k and time t the window is [t - length, t): every value of key k that became known then
(`known_at`, or the time of its own row), null values and unknown times left out. `outputs` gives each new column's
name, value column and statistic. An empty window gives null, and 0 for `count` and `sum`. Rows keep their order. A null
key or time gives null. A day of `length` is 24 hours, in every zone. NaN and infinities go where arithmetic takes
them, for as long as they are in the window. All rows of a key must be in the frame.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

import polars as pl

from headrace.engines.utc import utc

Statistic = Literal["count", "sum", "mean", "min", "max", "std"]


class Output(NamedTuple):
    """One column that the kernel adds."""

    name: str
    column: str
    statistic: Statistic

    @property
    def dtype(self) -> pl.DataType:
        return pl.Int64() if self.statistic == "count" else pl.Float64()


def cpu(
    frame: pl.LazyFrame,
    *,
    by: tuple[str, ...],
    on: str,
    known_at: str | None,
    length: timedelta,
    outputs: tuple[Output, ...],
) -> pl.LazyFrame:
    """Polars' rolling windows along a line of time per key, open on the right: what is known at t is not before t."""
    schema = frame.collect_schema()
    if known_at is None:
        return _where_they_lie(frame, schema, by, on, length, outputs)
    return _on_one_line(frame, schema, by, on, known_at, length, outputs)


def stand_in(frame: pl.LazyFrame, outputs: tuple[Output, ...]) -> pl.LazyFrame:
    """Columns of the kernel's output types, for the translation check."""
    return frame.with_columns(pl.col(o.column).is_null().cast(o.dtype).alias(o.name) for o in outputs)


def _where_they_lie(
    frame: pl.LazyFrame,
    schema: pl.Schema,
    by: tuple[str, ...],
    on: str,
    length: timedelta,
    outputs: tuple[Output, ...],
) -> pl.LazyFrame:
    """For rows that are known at their own time: the question of a row and its values stand together.

    Rows without a time are put at the last one, where no window sees them: it is open on the right.
    """
    time, values = utc(on, schema[on]), sorted({o.column for o in outputs})
    placed = pl.all_horizontal(pl.col(c).is_not_null() for c in (*by, on))
    line = frame.with_columns(
        time.fill_null(time.max()).fill_null(_ANY_DAY).alias(_TIME),
        placed.alias(_PLACED),
        *(pl.col(v).cast(pl.Float64).alias(_value(v)) for v in values),
    )
    answered = line.with_columns(
        pl.when(_PLACED).then(_window(o, length).over(list(by))).alias(o.name) for o in outputs
    )
    return answered.drop(_TIME, _PLACED, *map(_value, values))


def _on_one_line(
    frame: pl.LazyFrame,
    schema: pl.Schema,
    by: tuple[str, ...],
    on: str,
    known_at: str,
    length: timedelta,
    outputs: tuple[Output, ...],
) -> pl.LazyFrame:
    """A value stands at the time it became known, a question at its row's time."""
    numbered = frame.with_row_index(_ORDER)
    keys = [pl.col(c) for c in by]
    values = sorted({o.column for o in outputs})
    own = [pl.col(v).cast(pl.Float64).alias(_value(v)) for v in values]
    unknown = [pl.lit(None, pl.Float64).alias(_value(v)) for v in values]
    known = utc(known_at, schema[known_at]).alias(_TIME)
    events = numbered.select(*keys, known, pl.lit(None, pl.UInt32).alias(_ORDER), *own)
    points = pl.concat([events, numbered.select(*keys, utc(on, schema[on]).alias(_TIME), _ORDER, *unknown)])
    # Of equal times what became known stands before the questions, and rows in their order, as they do in `points`.
    line = points.drop_nulls([_TIME, *by]).sort(_TIME, maintain_order=True)
    answers = (
        line.with_columns(_window(o, length).over(list(by)).alias(o.name) for o in outputs)
        .drop_nulls(_ORDER)
        .select(_ORDER, *(o.name for o in outputs))
    )
    kept = numbered.drop([o.name for o in outputs], strict=False)
    return kept.join(answers, on=_ORDER, how="left", maintain_order="left").drop(_ORDER)


_ANY_DAY: Final = date(1970, 1, 1)
_ORDER = "__rolling_order"
_PLACED = "__rolling_placed"
_TIME = "__rolling_time"


def _value(column: str) -> str:
    return f"__rolling_value_{column}"


def _window(output: Output, length: timedelta) -> pl.Expr:
    value = pl.col(_value(output.column))
    match output.statistic:
        case "count":
            known = value.is_not_null().cast(pl.Int64)
            return known.rolling_sum_by(_TIME, window_size=length, closed="left").fill_null(0).cast(pl.Int64)
        case "sum":
            return value.rolling_sum_by(_TIME, window_size=length, closed="left").fill_null(0.0)
        case "mean":
            return value.rolling_mean_by(_TIME, window_size=length, closed="left")
        case "min":
            return value.rolling_min_by(_TIME, window_size=length, closed="left")
        case "max":
            return value.rolling_max_by(_TIME, window_size=length, closed="left")
        case "std":
            return value.rolling_std_by(_TIME, window_size=length, closed="left")
