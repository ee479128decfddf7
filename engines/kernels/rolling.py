"""Kernel `rolling`: statistics of the values that became known in a window of time before each row, per key.

Contract: for a row with key k and time t the window is [t - length, t): every value of key k that became known then
(`known_at`, or the time of its own row), null values and unknown times left out. `outputs` gives each new column's
name, value column and statistic. An empty window gives null, and 0 for `count` and `sum`. Rows keep their order. A null
key or time gives null. A day of `length` is 24 hours, in every zone. NaN and infinities go where arithmetic takes
them, for as long as they are in the window. All rows of a key must be in the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple

import polars as pl

from headrace.engines.utc import utc

if TYPE_CHECKING:
    from headrace.engines.engine import Engine

Statistic = Literal["count", "sum", "mean", "min", "max", "std"]


class Output(NamedTuple):
    """One column that the kernel adds."""

    name: str
    column: str
    statistic: Statistic

    @property
    def dtype(self) -> pl.DataType:
        return pl.Int64() if self.statistic == "count" else pl.Float64()


@dataclass(frozen=True, kw_only=True)
class Rolling:
    """Windows of `length` before `on`, over the rows of equal `by`."""

    by: tuple[str, ...]
    on: str
    known_at: str | None
    length: timedelta
    outputs: tuple[Output, ...]
    name: ClassVar[str] = "rolling"

    @property
    def reads(self) -> tuple[str, ...]:
        times = [self.on, *([self.known_at] if self.known_at else [])]
        return tuple(dict.fromkeys([*self.by, *times, *(o.column for o in self.outputs)]))

    def writes(self, schema: pl.Schema, engine: Engine) -> dict[str, pl.DataType]:
        return {o.name: o.dtype for o in self.outputs}

    def cpu(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """Polars' rolling windows along a line of time per key, open on the right: known at t is not before t."""
        schema = frame.collect_schema()
        if self.known_at is None:
            return self._where_they_lie(frame, schema)
        return self._on_one_line(frame, schema, self.known_at)

    def stand_in(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(pl.col(o.column).is_null().cast(o.dtype).alias(o.name) for o in self.outputs)

    def _where_they_lie(self, frame: pl.LazyFrame, schema: pl.Schema) -> pl.LazyFrame:
        """For rows that are known at their own time: the question of a row and its values stand together.

        Rows without a time are put at the last one, where no window sees them: it is open on the right.
        """
        time, values = utc(self.on, schema[self.on]), sorted({o.column for o in self.outputs})
        placed = pl.all_horizontal(pl.col(c).is_not_null() for c in (*self.by, self.on))
        line = frame.with_columns(
            time.fill_null(time.max()).fill_null(_ANY_DAY).alias(_TIME),
            placed.alias(_PLACED),
            *(pl.col(v).cast(pl.Float64).alias(_value(v)) for v in values),
        )
        answered = line.with_columns(pl.when(_PLACED).then(self._answer(o)).alias(o.name) for o in self.outputs)
        return answered.drop(_TIME, _PLACED, *map(_value, values))

    def _on_one_line(self, frame: pl.LazyFrame, schema: pl.Schema, known_at: str) -> pl.LazyFrame:
        """A value stands at the time it became known, a question at its row's time."""
        numbered = frame.with_row_index(_ORDER)
        keys = [pl.col(c) for c in self.by]
        values = sorted({o.column for o in self.outputs})
        own = [pl.col(v).cast(pl.Float64).alias(_value(v)) for v in values]
        unknown = [pl.lit(None, pl.Float64).alias(_value(v)) for v in values]
        known, asked = (utc(c, schema[c]).alias(_TIME) for c in (known_at, self.on))
        events = numbered.select(*keys, known, pl.lit(None, pl.UInt32).alias(_ORDER), *own)
        points = pl.concat([events, numbered.select(*keys, asked, _ORDER, *unknown)])
        # Of equal times what became known stands before the questions, and rows in their order, as they do in `points`.
        line = points.drop_nulls([_TIME, *self.by]).sort(_TIME, maintain_order=True)
        answers = (
            line.with_columns(self._answer(o).alias(o.name) for o in self.outputs)
            .drop_nulls(_ORDER)
            .select(_ORDER, *(o.name for o in self.outputs))
        )
        kept = numbered.drop([o.name for o in self.outputs], strict=False)
        return kept.join(answers, on=_ORDER, how="left", maintain_order="left").drop(_ORDER)

    def _answer(self, output: Output) -> pl.Expr:
        return _window(output, self.length).over(list(self.by))


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
