"""A column of 0 and 1 for each value: what OneHot and MultiHot share, the values that get one and their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

import polars as pl
from pydantic import Field, field_validator, model_validator

from headrace.schemas.errors import DataError, PipelineError
from headrace.transforms import counts
from headrace.transforms.base import Learner, Operator, Transform, named
from headrace.transforms.columns import Columns
from headrace.transforms.literal import Value, literal

Place = Literal["zero", "own"]
LARGEST: Final = 1000


class Flagged(Transform):
    """What is applied once the values are known: UInt8 columns, 1 for the value of the same place in `values`."""

    columns: Columns
    values: tuple[Value, ...]
    max_values: int | None = None
    nulls: Place = "zero"
    others: Place = "zero"
    output: str = "{column}_{value}"

    @property
    def reads(self) -> tuple[str, ...]:
        return self.columns.names

    @property
    def writes(self) -> tuple[str, ...]:
        return names(self.columns, self.values, self.max_values, self.nulls, self.others, self.output)


class FlagPerValue(Learner):
    """Learns which values get a column, if they are not given."""

    columns: Columns
    values: Annotated[tuple[Value, ...], Field(min_length=1, max_length=LARGEST)] | None = None
    max_values: int | None = Field(None, ge=1, le=LARGEST)
    nulls: Place = "zero"
    others: Place = "zero"
    output: str = "{column}_{value}"

    @field_validator("values")
    @classmethod
    def _distinct(cls, values: tuple[Value, ...] | None) -> tuple[Value, ...] | None:
        found = [text(value) for value in values or ()]
        twice = sorted({name for name in found if found.count(name) > 1})
        if twice:
            raise ValueError(f"values named twice: {', '.join(twice[:5])}")
        return values

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if (self.values is None) == (self.max_values is None):
            raise ValueError("needs either `values` or `max_values`")
        if "{value}" not in self.output:
            raise ValueError("each value has a column: write '{value}' in output")
        return self

    @property
    def writes(self) -> tuple[str, ...]:
        return names(self.columns, self.values or (), self.max_values, self.nulls, self.others, self.output)

    @property
    def measured(self) -> tuple[str, ...]:
        return () if self.values is not None else self.reads

    @property
    def groups(self) -> tuple[str, ...]:
        return (counts.VALUE,)

    def separate(self) -> tuple[Operator, ...]:
        return tuple(
            self.model_copy(update={"columns": one, "output": named(self.output, one)[0]})
            for one in (Columns(names=(column,)) for column in self.columns)
        )

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return counts.merged(tables)

    def _learned(self, fitted: type[Flagged], total: pl.DataFrame) -> Transform:
        return fitted(
            columns=self.columns,
            values=self.values if self.values is not None else self._found(total),
            max_values=self.max_values,
            nulls=self.nulls,
            others=self.others,
            output=self.output,
        )

    def _found(self, total: pl.DataFrame, min_count: int = 1) -> tuple[Value, ...]:
        """The values that were counted, by count (descending), then by value. DataError: more than `max_values`."""
        ordered = counts.ordered(total)
        found = ordered.filter(pl.col(counts.COUNT) >= min_count)[counts.VALUE]
        assert self.max_values is not None
        if len(found) > self.max_values:
            raise DataError(
                f"{type(self).__name__}: column {self.reads[0]!r} has {len(found)} values in the training rows, "
                f"expected at most max_values={self.max_values}",
                hint="raise max_values, put DropRare before it, or use Categorify for so many values",
            )
        return tuple(found)

    def _one_column(self) -> str:
        """The column to measure; PipelineError for several, of which each has values of its own."""
        if len(self.columns) != 1:
            kind = type(self).__name__
            raise PipelineError(f"{kind} of {len(self.columns)} columns learns the values of each: use separate()")
        return self.columns.names[0]


def check_values(kind: str, column: str, dtype: pl.DataType, values: tuple[Value, ...] | None) -> None:
    """Raise PipelineError for a value that the column never holds, or holds under another name as well."""
    held = []
    for value in values or ():
        try:
            held.append(literal(value, dtype))
        except ValueError as problem:
            raise PipelineError(f"{kind}: column {column!r} ({dtype}) never holds {value!r}: {problem}") from None
    if len(set(held)) < len(held):
        raise PipelineError(f"{kind}: two values are the same to column {column!r} ({dtype})")


def check_names(kind: str, names: tuple[str, ...], schema: pl.Schema) -> None:
    """Raise PipelineError where a column of such a name is there already."""
    taken = [name for name in names if name in schema]
    if taken:
        raise PipelineError(
            f"{kind} would write {', '.join(map(repr, taken[:5]))}, which the rows already have",
            hint="give the results other names in `output`",
        )


def names(
    columns: Columns, values: tuple[Value, ...], max_values: int | None, nulls: Place, others: Place, output: str
) -> tuple[str, ...]:
    """The names of the columns: of the values or of their places, then `null`, then `other`, where there are such."""
    places = [f"top{n}" for n in range(1, max_values + 1)] if max_values is not None else [text(v) for v in values]
    places += ["null"] if nulls == "own" else []
    places += ["other"] if others == "own" else []
    return tuple(output.replace("{column}", column).replace("{value}", place) for column in columns for place in places)


def text(value: Value) -> str:
    """A value as it stands in the name of its column."""
    return str(value).lower() if isinstance(value, bool) else str(value)
