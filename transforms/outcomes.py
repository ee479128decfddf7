"""What is averaged per category: a target, or whether a target is one of several classes."""

from __future__ import annotations

import functools
import operator
from typing import Final, NamedTuple

import polars as pl

from headrace.transforms import exact
from headrace.transforms.literal import lit
from headrace.transforms.shrinkage import FLAG, Sums

Class = bool | int | str
Targets = str | tuple[str, ...]


class Outcome(NamedTuple):
    """The values of a column, or with `label` 1 where it has that class and 0 where it has another.

    Statistics of it stand in columns `count:<column>`, `sum:<place>:<digit>` and `square:<place>:<digit>`.
    """

    place: int
    column: str
    label: Class | None = None

    @property
    def counted(self) -> str:
        """The name of the count of its values; classes of one column share it."""
        return f"count:{self.column}"

    def name(self, output: str) -> str:
        """What `{target}` and `{class}` make of a template."""
        text = str(self.label).lower() if isinstance(self.label, bool) else str(self.label)
        return output.replace("{target}", self.column).replace("{class}", text)

    def present(self, schema: pl.Schema) -> pl.Expr:
        """Whether the row counts: its target is neither null nor a float that cannot be summed."""
        return exact.finite(pl.col(self.column), schema[self.column]).is_not_null()

    def measures(self, schema: pl.Schema, *, squares: bool) -> list[pl.Expr]:
        """What is summed per category, Int64, for a frame in which `stages` have been added; 0 for what is null."""
        dtype = schema[self.column]
        if self._flags(dtype):
            digits = {FLAG.names(f"sum:{self.place}")[0]: self._value(dtype).cast(pl.Int64)}
        else:
            names = exact.form(dtype).names(f"sum:{self.place}")
            digits = dict(zip(names, exact.sum_digits(pl.col(self.column), dtype), strict=True))
            if squares:
                names = exact.SQUARE.names(f"square:{self.place}")
                digits |= dict(zip(names, exact.square_digits(self.column, dtype), strict=True))
        return [digit.fill_null(0).alias(name) for name, digit in digits.items()]

    def stages(self, schema: pl.Schema) -> list[list[pl.Expr]]:
        """What to add to a frame, stage by stage, before squares are measured."""
        dtype = schema[self.column]
        return [] if self._flags(dtype) else exact.square_stages(self.column, dtype)

    def own(self, schema: pl.Schema) -> list[pl.Expr]:
        """The row's value as Float64 terms that are exact and add up to it; 0 for what does not count."""
        dtype = schema[self.column]
        if self._flags(dtype) or dtype.is_float():
            return [exact.finite(self._value(dtype), dtype).cast(pl.Float64).fill_null(0.0)]
        high, low = (digit.cast(pl.Float64).fill_null(0.0) for digit in exact.sum_digits(pl.col(self.column), dtype))
        return [high * 2.0**exact.BASE, low]

    def read(self, table: pl.DataFrame) -> Sums:
        """Its statistics, as they were measured, from a table that has a row per group."""
        digits = [c for c in table.columns if c.startswith(f"sum:{self.place}:")]
        squares = [c for c in table.columns if c.startswith(f"square:{self.place}:")]
        return Sums(
            _FORMS[len(digits)],
            table[self.counted].to_numpy(),
            tuple(table[c].to_numpy() for c in digits),
            tuple(table[c].to_numpy() for c in squares),
        )

    def _flags(self, dtype: pl.DataType) -> bool:
        return self.label is not None or dtype == pl.Boolean

    def _value(self, dtype: pl.DataType) -> pl.Expr:
        return pl.col(self.column) if self.label is None else pl.col(self.column) == lit(self.label, dtype)


def outcomes(target: Targets, classes: tuple[Class, ...] | None) -> tuple[Outcome, ...]:
    """A place for each class, or for each target where there are no classes."""
    if classes is not None:
        (column,) = named_targets(target)
        return tuple(Outcome(place, column, label) for place, label in enumerate(classes))
    return tuple(Outcome(place, column) for place, column in enumerate(named_targets(target)))


def named_targets(target: Targets) -> tuple[str, ...]:
    """One target or several, as several."""
    return (target,) if isinstance(target, str) else target


def counts(found: tuple[Outcome, ...], schema: pl.Schema) -> list[pl.Expr]:
    """How many values there are of each, Int64 per row."""
    by_name = {outcome.counted: outcome.present(schema) for outcome in found}
    return [present.cast(pl.Int64).alias(name) for name, present in by_name.items()]


def nothing(found: tuple[Outcome, ...]) -> dict[str, pl.DataType]:
    """The statistics of no rows, whose target could be of any type."""
    names = dict.fromkeys([*(o.counted for o in found), *(n for o in found for n in FLAG.names(f"sum:{o.place}"))])
    return {name: pl.Int64() for name in names}


def less(total: pl.Expr, terms: list[pl.Expr], rest: pl.Expr) -> pl.Expr:
    """A sum, given as a Float64 and its rest, without the terms of one row."""
    return functools.reduce(operator.sub, terms, total) + rest


_FORMS: Final = {form.limbs: form for form in (FLAG, exact.INTEGER, exact.FLOAT)}
