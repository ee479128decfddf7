"""Ids of two vocabularies brought together: those of the second as the first would write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import polars as pl

from headrace.catalog.manifest import Column, Scalar
from headrace.catalog.reader import Dataset
from headrace.catalog.sketch import Sketch
from headrace.catalog.vocabulary import ID, Vocabulary, columns_with, read_vocabulary
from headrace.schemas.errors import DataError


def in_ids_of(first: Dataset, second: Dataset, name: str, found: Sketch) -> Sketch:
    """Statistics of a column of the second with the first's ids, where the two have different vocabularies.

    Padding, null and out of vocabulary go to the first's; a value that the first's vocabulary lacks gets a number
    beyond its ids. Statistics of any other column are returned as they are.

    Raises
    ------
    DataError
        A vocabulary is missing or damaged, or the two have values of other types.
    """
    one, two = ({c.name: c for c in columns_with(d)}.get(name) for d in (first, second))
    if one is None or two is None or _meaning(one) == _meaning(two) or found.column.family != "number":
        return found
    ids = _numbers(read_vocabulary(first, name), read_vocabulary(second, name))

    def moved(values: pl.DataFrame) -> pl.DataFrame:
        keys = [c for c in values.columns if c != "count"]
        dtype = values.schema["value"]
        joined = values.join(ids.cast({ID: dtype}), left_on="value", right_on=ID, how="left")
        renamed = joined.with_columns(pl.coalesce(pl.col("to").cast(dtype), "value").alias("value")).drop("to")
        return renamed.group_by(keys).agg(pl.col("count").sum()).sort(keys)

    column = found.column
    values = None if column.values is None else moved(column.values)
    return Sketch(replace(column, values=values), found.stride, moved(found.sample))


def named_by(first: Dataset, second: Dataset, name: str) -> Callable[[Scalar], Scalar]:
    """What the numbers stand for that `in_ids_of` gives: a value, as JSON has it, or what an id without one means.

    Numbers of a column that has no vocabulary on one side are returned as they are.
    """
    if not all(name in {c.name for c in columns_with(d)} for d in (first, second)):
        return lambda number: number
    one, two = read_vocabulary(first, name), read_vocabulary(second, name)

    def named(number: Scalar) -> Scalar:
        known, place = (one, int(number)) if int(number) < one.cardinality else (two, int(number) - one.cardinality)
        if meaning := known.meaning(place):
            return f"({meaning})"
        values = known.table.row(place - known.first_id, named=True)
        words = [value if isinstance(value, int | str) else str(value) for value in map(values.get, known.values)]
        return words[0] if len(words) == 1 else ", ".join(map(str, words))

    return named


def _meaning(column: Column) -> tuple[object, ...]:
    """What ids stand for: equal vocabularies after another number of special ids are others."""
    assert column.vocabulary is not None
    return column.vocabulary.sha256, column.pad_id, column.null_id, column.oov_ids


def _numbers(first: Vocabulary, second: Vocabulary) -> pl.DataFrame:
    """`id` of the second, and `to`, the number it gets (Int64)."""
    keys = list(first.values)
    if second.table.select(second.values).schema != first.table.select(keys).schema:
        raise DataError(
            f"the vocabularies of {first.column!r} have values of other types: "
            f"{dict(first.table.select(keys).schema)} and {dict(second.table.select(second.values).schema)}",
            hint="leave the column out of one of the two, or publish both with the same types",
        )
    there = first.decoded.select(pl.col(ID).cast(pl.Int64).alias("to"), *keys)
    beyond = pl.col(ID).cast(pl.Int64) + first.cardinality
    values = second.decoded.join(there, on=keys, how="left").select(ID, pl.coalesce("to", beyond).alias("to"))
    special = {second.pad_id: first.pad_id, second.null_id: first.null_id}
    first_oov = first.oov_ids[0] if first.oov_ids else None
    alike = len(first.oov_ids) == len(second.oov_ids)
    special |= {number: first.oov_ids[i] if alike else first_oov for i, number in enumerate(second.oov_ids)}
    pairs = [(number, to) for number, to in special.items() if number is not None and to is not None]
    fixed = pl.DataFrame(pairs, schema={ID: pl.Int32, "to": pl.Int64}, orient="row")
    return pl.concat([fixed, values])
