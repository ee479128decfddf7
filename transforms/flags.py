"""A column of 0 and 1 for each value: what OneHot and MultiHot share, the values that get one and their names."""

from __future__ import annotations

from typing import Final, Literal

import polars as pl

from headrace.schemas.errors import DataError, PipelineError
from headrace.transforms import counts
from headrace.transforms.columns import Columns
from headrace.transforms.literal import Value, literal

Place = Literal["zero", "own"]
LARGEST: Final = 1000


def distinct(values: tuple[Value, ...] | None) -> tuple[Value, ...] | None:
    """The values, or ValueError where two would have a column of the same name."""
    names = [text(value) for value in values or ()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"values named twice: {', '.join(twice[:5])}")
    return values


def check_fields(values: tuple[Value, ...] | None, max_values: int | None, output: str) -> None:
    """Raise ValueError where it is not clear which values get a column, or what the columns are called."""
    if (values is None) == (max_values is None):
        raise ValueError("needs either `values` or `max_values`")
    if "{value}" not in output:
        raise ValueError("each value has a column: write '{value}' in output")


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


def found_values(kind: str, column: str, total: pl.DataFrame, max_values: int, min_count: int = 1) -> tuple[Value, ...]:
    """The values that were counted, by count (descending), then by value.

    Raises
    ------
    DataError
        More than `max_values`.
    """
    ordered = counts.ordered(total)
    found = ordered.filter(pl.col(counts.COUNT) >= min_count)[counts.VALUE]
    if len(found) > max_values:
        raise DataError(
            f"{kind}: column {column!r} has {len(found)} values in the training rows, expected at most "
            f"max_values={max_values}",
            hint="raise max_values, put DropRare before it, or use Categorify for so many values",
        )
    return tuple(found)


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
