"""Expanding: how many values an entity had before each row, and their mean."""

from __future__ import annotations

import math
from typing import ClassVar, Final, Literal

import polars as pl
from pydantic import Field, field_validator, model_validator

from headrace.engines.engine import Engine
from headrace.engines.kernels.line import along, in_line
from headrace.schemas.errors import PipelineError
from headrace.transforms import exact, history
from headrace.transforms.base import NUMERIC, Accepts, Window
from headrace.transforms.columns import Columns

Statistic = Literal["count", "mean"]


class Expanding(Window):
    """Add the count or the mean of the values of all earlier rows of the same entity.

    Parameters
    ----------
    columns
        Numbers or booleans.
    by
        The columns that make an entity: strings, integers, booleans or dates.
    order
        The row's time: an integer, a date or a datetime. A row sees what is strictly before it: neither itself nor the
        others of its time.
    statistics
        `count` (Int64) and `mean` (Float64) of the values that are not null.
    output
        Names of the results; `{column}` and `{statistic}` are filled in.

    Raises
    ------
    PipelineError
        An entity, an order or a column of another type.

    Notes
    -----
    Where no value is earlier, `count` is 0 and `mean` null. A null entity or order gives null, and such rows count for
    no other. NaN, infinities and floats of 2^63 (9.2e18) and more are left out, as null is. Sums are exact down to
    multiples of 5.4e-20 for up to 2^29 rows of an entity (`headrace.transforms.exact`), so a mean does not depend on
    partitions, as one from a running sum of floats would. The values of a row are taken as known at its time: for
    what is known later use `RollingStats` with `known_at`. Cost: two sorts by entity, and 40 bytes a row for each
    column of floats.
    Known elsewhere as an expanding window (pandas); NVTabular, TFT and Feast have none.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> frame = pl.LazyFrame({"plane": ["a"] * 4, "day": [1, 2, 2, 3], "delay": [4.0, None, 8.0, 1.0]})
    >>> step = Expanding(columns="delay", by="plane", order="day", statistics=["count", "mean"])
    >>> step.apply(frame, CpuEngine()).select("delay_count", "delay_mean").collect().rows()
    [(0, None), (1, 4.0), (1, 4.0), (2, 6.0)]
    """

    accepts: ClassVar[Accepts] = NUMERIC

    columns: Columns
    by: Columns
    order: str
    statistics: tuple[Statistic, ...] = Field(("mean",), min_length=1)
    output: str = "{column}_{statistic}"

    @field_validator("statistics", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fields_agree(self) -> Expanding:
        if len(set(self.statistics)) != len(self.statistics):
            raise ValueError(f"statistics named twice: {', '.join(self.statistics)}")
        if len(self.statistics) > 1 and "{statistic}" not in self.output:
            raise ValueError("several statistics need '{statistic}' in output")
        if (self.columns.selector or len(self.columns) > 1) and "{column}" not in self.output:
            raise ValueError("several columns need '{column}' in output")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.columns, *self.by, self.order]))

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(
            self.output.replace("{column}", column).replace("{statistic}", statistic)
            for column in self.columns
            for statistic in self.statistics
        )

    @property
    def entity(self) -> tuple[str, ...]:
        return self.by.names

    def check(self, schema: pl.Schema) -> None:
        history.check_entity(self, self.by, schema)
        if not (schema[self.order].is_integer() or schema[self.order] in (pl.Date, pl.Datetime)):
            raise PipelineError(
                f"Expanding orders by an integer, a date or a datetime, got {schema[self.order]} in {self.order!r}"
            )

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        terms: dict[str, pl.Expr] = {}
        results: list[pl.Expr] = []
        names = iter(self.writes)
        for column in self.columns:
            value, dtype, form = pl.col(along(column)), schema[column], exact.form(schema[column])
            terms[_term(column, "count")] = exact.finite(value, dtype).is_not_null()
            count, digits = pl.col(_term(column, "count")), form.names(_term(column, "sum"))
            for statistic in self.statistics:
                result = count
                if statistic == "mean":
                    terms.update(zip(digits, exact.sum_digits(value, dtype), strict=True))
                    result = pl.when(count > 0).then(_number(digits, form) / count.cast(pl.Float64))
                results.append(pl.when(_PLACED).then(result).alias(next(names)))

        def query(line: pl.LazyFrame) -> pl.LazyFrame:
            counted = line.with_columns(term.cast(pl.Int64).fill_null(0).alias(name) for name, term in terms.items())
            return self._earlier(counted, list(terms)).with_columns(results)

        return in_line(engine, frame, [*self.by, self.order], self.reads, self.writes, query)

    def _earlier(self, line: pl.LazyFrame, terms: list[str]) -> pl.LazyFrame:
        """Each term summed over the rows of the entity that are of an earlier time.

        That is what all rows before those of its time sum up to, less what all rows before the entity do; integers
        may wrap around on the way. Nothing is grouped: a window per entity and time would cost fifty times as much.
        """
        order, entity = pl.col(along(self.order)), [pl.col(along(c)) for c in self.by]
        placed = pl.all_horizontal(key.is_not_null() for key in (*entity, order))
        ordered = line.with_row_index(_PLACE).with_columns(placed.alias(_PLACED))
        same = pl.all_horizontal(pl.col(_PLACED).shift(1), *(key == key.shift(1) for key in entity)).fill_null(False)
        same_time = (order == order.shift(1)).fill_null(False)
        place = pl.col(_PLACE).cast(pl.Int64)
        begun = ordered.with_columns(
            *(pl.col(name).cum_sum() - pl.col(name) for name in terms),
            pl.when(same & same_time).then(0).otherwise(place).alias(_TIME),
            pl.when(same).then(0).otherwise(place).alias(_ENTITY),
        ).with_columns(pl.col(_TIME, _ENTITY).cum_max().cast(pl.UInt32))
        return begun.with_columns(pl.col(n).gather(pl.col(_TIME)) - pl.col(n).gather(pl.col(_ENTITY)) for n in terms)


_PLACE: Final = "__expanding_place"
_PLACED: Final = "__expanding_placed"
_TIME: Final = "__expanding_time"
_ENTITY: Final = "__expanding_entity"


def _term(column: str, name: str) -> str:
    return f"__expanding:{column}:{name}"


def _number(names: tuple[str, ...], form: exact.Fixed) -> pl.Expr:
    """The Float64 that columns of summed digits stand for."""
    digits = [pl.col(name) for name in names]
    for i in range(len(digits) - 1, 0, -1):  # all but the first into [0, 2^32): added up from the left they lose little
        carry = digits[i] // _BASE
        digits[i], digits[i - 1] = digits[i] - carry * _BASE, digits[i - 1] + carry
    total = digits[0].cast(pl.Float64) * _weight(form, 0)
    for i, digit in enumerate(digits[1:], 1):
        total = total + digit.cast(pl.Float64) * _weight(form, i)
    return total


def _weight(form: exact.Fixed, i: int) -> float:
    return math.ldexp(1.0, form.lowest + exact.BASE * (form.limbs - 1 - i))


_BASE: Final = 1 << exact.BASE
