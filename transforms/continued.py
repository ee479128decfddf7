"""A vocabulary that continues an older one: old ids stay, new values follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import polars as pl

from headrace.schemas.errors import PipelineError
from headrace.transforms.keys import combined
from headrace.transforms.table import Table

Counts = Literal["add", "replace"]

COUNT: Final = "count"


def fitting(known: Table, keys: Sequence[str], dtypes: Sequence[pl.DataType], where: str) -> Table:
    """An older vocabulary whose values have the types that the rows have now; it is not read if it has them.

    Parameters
    ----------
    keys, dtypes
        The columns that name a value, and the types that they have in the rows now.

    Raises
    ------
    PipelineError
        It lacks a column, has one of another type, or a whole number that the type of now cannot hold.
    """
    schema = known.schema
    if lacking := [c for c in keys if c not in schema]:
        raise PipelineError(
            f"the previous vocabulary has no column {', '.join(map(repr, lacking))}, it has {', '.join(schema)}",
            hint="a vocabulary has a column `value`, or one `value:<i>` per column of a combination, and `count`",
            where=where,
        )
    if more := [c for c in schema if c.startswith("value:") and c not in keys]:
        raise PipelineError(
            f"the previous vocabulary is of combinations of {len(more) + len(keys) - (keys[0] == 'value')} columns, "
            f"this step takes {len(keys)}",
            where=where,
        )
    if COUNT in schema and not schema[COUNT].is_integer() and schema[COUNT] != pl.Null:
        raise PipelineError(f"the counts of the previous vocabulary are {schema[COUNT]}, not integers", where=where)
    types = dict(zip(keys, dtypes, strict=True))
    for key, dtype in types.items():
        if schema[key] != dtype and not (schema[key].is_integer() and dtype.is_integer()):
            raise PipelineError(
                f"the previous vocabulary holds {schema[key]}, the column is {dtype} now",
                hint="cast the column to what it was, so that its values keep their ids",
                where=where,
            )
    return known if all(schema[k] == dtype for k, dtype in types.items()) else Table(_cast(known.frame, types, where))


def distinct(known: pl.DataFrame, keys: Sequence[str], where: str) -> None:
    """Refuse, with a PipelineError, a vocabulary with a null among its values, or with a value twice."""
    for column in keys:
        if nulls := known[column].null_count():
            raise PipelineError(f"the previous vocabulary has {nulls} null in {column!r}", where=where)
    if twice := known.height - known.select(keys).n_unique():
        first = known.filter(pl.struct(keys).is_duplicated())[keys[0]][0]
        raise PipelineError(f"the previous vocabulary has {twice} value(s) twice, {first!r} is one", where=where)


def rows(known: Table, keys: Sequence[str]) -> pl.DataFrame:
    """The columns of a vocabulary: `value`, for combinations `value:<i>`, and `count` (Int64, null if unknown)."""
    frame = known.frame
    value = "value" if "value" in keys else combined(tuple(keys), frame.schema).alias("value")
    counts = pl.col(COUNT).cast(pl.Int64) if COUNT in frame.columns else pl.lit(None, pl.Int64).alias(COUNT)
    return frame.select(value, *(k for k in keys if k != "value"), counts)


def _cast(frame: pl.DataFrame, types: Mapping[str, pl.DataType], where: str) -> pl.DataFrame:
    for key, dtype in types.items():
        narrow = frame[key].cast(dtype, strict=False)
        if narrow.null_count() > frame[key].null_count():
            beyond = frame[key].filter(narrow.is_null() & frame[key].is_not_null())
            raise PipelineError(
                f"the previous vocabulary holds {len(beyond)} value(s) that {dtype} cannot hold, {beyond[0]} is one",
                hint=f"cast the column to {frame.schema[key]}, so that its values keep their ids",
                where=where,
            )
        frame = frame.with_columns(narrow)
    return frame


def split_known(table: pl.DataFrame, known: pl.DataFrame, keys: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Statistics of values that an older vocabulary has, and of new ones; both in the order they came in."""
    old, counted = known.lazy().select(pl.col(k).cast(table.schema[k]) for k in keys), table.lazy()
    met = old.join(counted, on=list(keys), how="semi").collect().lazy()  # hashes the statistics, a bucket of them
    there, new = pl.collect_all(
        [
            counted.join(met, on=list(keys), how="semi", maintain_order="left"),
            counted.join(met, on=list(keys), how="anti", maintain_order="left"),
        ]
    )
    return there, new


def continued(known: pl.DataFrame, found: pl.DataFrame, keys: Sequence[str], counts: Counts) -> pl.DataFrame:
    """The older vocabulary with its counts brought up to date, and behind it the values that it does not have.

    Parameters
    ----------
    found
        Statistics of the training rows, of the new values those that get an id in the order of their ids.
    counts
        Whether what was counted now is added to what was counted then, or takes its place. A value without a count
        then has that of now.
    """
    there, new = split_known(found, known, keys)
    types = {k: known.schema[k] for k in keys}
    now = there.lazy().select(*keys, pl.col("count").alias(_NOW)).cast(types)  # type: ignore[arg-type]
    joined = known.lazy().join(now, on=list(keys), how="left", maintain_order="left")
    counted = pl.col(_NOW).fill_null(0)
    total = counted if counts == "replace" else pl.col(COUNT).fill_null(0) + counted
    old = joined.with_columns(total.alias(COUNT)).drop(_NOW)
    appended = new.lazy().select(old.collect_schema().names()).cast(types)  # type: ignore[arg-type]
    return pl.concat([old, appended]).collect().rechunk()


_NOW: Final = "__vocabulary_now"
