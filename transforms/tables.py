"""What joins with a table of the source have in common: keys, the columns that they bring, what does not fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

import polars as pl
from pydantic import BeforeValidator

from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Join
from headrace.transforms.columns import Columns
from headrace.transforms.table import Table


def _pairs(value: Any) -> Any:
    match value:
        case str():
            return {value: value}
        case list() | tuple():
            return {name: name for name in value}
        case dict() if len({str(name) for name in value.values()}) < len(value):
            raise ValueError(f"two columns of the rows with one of the table: {value}")
        case _:
            return value


Keys = Annotated[dict[str, str], BeforeValidator(_pairs)]
"""Key columns: a name, several, or `{column of the rows: column of the table}`."""


def table_of(step: Join, tables: Mapping[str, Table]) -> pl.DataFrame:
    """The rows of the table that the step names; raises PipelineError where the source has none of that name."""
    if step.table not in tables:
        raise PipelineError(
            f"{type(step).__name__}: the source has no table {step.table!r}",
            hint=f"its tables are {', '.join(sorted(tables)) or 'none'}",
        )
    return tables[step.table].frame


def brought_columns(
    step: Join,
    frame: pl.DataFrame,
    keys: tuple[str, ...],
    own: Collection[str],
    columns: Columns | None,
    prefix: str,
    suffix: str,
) -> dict[str, str]:
    """The table's columns to bring and their names among the rows, which call their keys `own`."""
    others = pl.Schema({n: d for n, d in frame.schema.items() if n not in keys})
    names = others.names() if columns is None else columns.expand(others).names
    missing = [c for c in (*keys, *names) if c not in frame.schema]
    if missing:
        raise PipelineError(
            f"{type(step).__name__}: table {step.table!r} has no column {', '.join(map(repr, missing))}",
            hint=f"its columns are {', '.join(frame.columns)}",
        )
    brought = {n: f"{prefix}{n}{suffix}" for n in names}
    clashes = [n for n in brought.values() if n in own]
    if clashes:
        raise PipelineError(
            f"{type(step).__name__}: table {step.table!r} would bring {', '.join(map(repr, clashes))}, which is a key "
            "of the rows",
            hint="give prefix or suffix, or name the columns to bring in `columns`",
        )
    return brought


def check_fit(
    kind: str, table: str, rows: pl.Schema, columns: pl.Schema, keys: tuple[str, ...], brought: tuple[str, ...]
) -> None:
    """Raise PipelineError where the keys are of other dtypes, or the rows have a column of that name already."""
    for key in keys:
        left, right = rows[key], columns[key]
        if left != right and not (left.is_integer() and right.is_integer()):
            raise PipelineError(
                f"{kind}: the key {key!r} is {left} in the rows and {right} in table {table!r}",
                hint="cast one of them first",
            )
    clashes = [c for c in brought if c in rows]
    if clashes:
        raise PipelineError(
            f"{kind}: table {table!r} brings {', '.join(map(repr, clashes))}, which the rows already have",
            hint="give prefix or suffix, or name the columns to bring in `columns`",
        )
