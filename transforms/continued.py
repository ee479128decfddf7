"""A vocabulary that continues an older one: old ids stay, new values follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import polars as pl

from headrace.schemas.errors import PipelineError

Counts = Literal["add", "replace"]

COUNT: Final = "count"


def checked(known: pl.DataFrame, keys: Sequence[str], dtypes: Sequence[pl.DataType], where: str) -> pl.DataFrame:
    """An older vocabulary with the columns that a new one has: `value`, for combinations `value:<i>`, and `count`.

    Parameters
    ----------
    keys, dtypes
        The columns that name a value, and the types that they have in the rows now.

    Raises
    ------
    PipelineError
        It lacks a column, has one of another type, a null, or a value twice.
    """
    wanted = list(dict.fromkeys(["value", *keys]))
    lacking = [c for c in wanted if c not in known.columns]
    if lacking:
        raise PipelineError(
            f"the previous vocabulary has no column {', '.join(map(repr, lacking))}, it has {', '.join(known.columns)}",
            hint="a vocabulary has a column `value`, one `value:<i>` per column of a combination, and `count`",
            where=where,
        )
    if more := [c for c in known.columns if c.startswith("value:") and c not in keys]:
        raise PipelineError(
            f"the previous vocabulary is of combinations of {len(more) + len(keys) - (keys[0] == 'value')} columns, "
            f"this step takes {len(keys)}",
            where=where,
        )
    for key, dtype in zip(keys, dtypes, strict=True):
        got = known.schema[key]
        if got != dtype and not (got.is_integer() and dtype.is_integer()):
            raise PipelineError(
                f"the previous vocabulary holds {got}, the column is {dtype} now",
                hint="cast the column to what it was, so that its values keep their ids",
                where=where,
            )
    for column in wanted:
        if nulls := known[column].null_count():
            raise PipelineError(f"the previous vocabulary has {nulls} null in {column!r}", where=where)
    if twice := known.height - known.select(keys).n_unique():
        first = known.filter(pl.struct(keys).is_duplicated())[keys[0]][0]
        raise PipelineError(f"the previous vocabulary has {twice} value(s) twice, {first!r} is one", where=where)
    counts = pl.col(COUNT).cast(pl.Int64) if COUNT in known.columns else pl.lit(None, pl.Int64).alias(COUNT)
    return known.select(*wanted, counts)


def split_known(table: pl.DataFrame, known: pl.DataFrame, keys: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Statistics of values that an older vocabulary has, and of new ones; both in the order they came in."""
    old = known.lazy().select(pl.col(k).cast(table.schema[k]) for k in keys)
    rows = table.lazy()
    there, new = pl.collect_all(
        [
            rows.join(old, on=list(keys), how="semi", maintain_order="left"),
            rows.join(old, on=list(keys), how="anti", maintain_order="left"),
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
