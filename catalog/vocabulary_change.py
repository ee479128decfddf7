"""How the vocabulary of a column differs from the one it had: values added and gone, ids that moved."""

from __future__ import annotations

from typing import Final

import polars as pl
from pydantic import Field

from headrace.catalog.changes import Level
from headrace.catalog.reader import Dataset
from headrace.catalog.records import Count, Record
from headrace.catalog.vocabulary import ID, Vocabulary, columns_with, read_vocabulary

EXAMPLES: Final = 10


class VocabularyChange(Record):
    """A column that has a vocabulary in both versions, and not the same."""

    column: str
    level: Level
    values: tuple[Count, Count]
    cardinality: tuple[Count, Count] = Field(description="ids are below it")
    added: Count
    removed: Count
    moved: Count = Field(description="values of both that have another id")
    added_values: tuple[str, ...] = Field(description="the first ten by id")
    removed_values: tuple[str, ...] = Field(description="the first ten by id")
    moved_values: tuple[str, ...] = Field(description="`value: old id -> new id`, the first ten by old id")
    extends: str | None = Field(description="the vocabulary whose ids the second says it keeps")
    problem: str = Field(default="", description="why values cannot be compared")


def vocabulary_changes(first: Dataset, second: Dataset) -> tuple[VocabularyChange, ...]:
    """The columns whose vocabularies differ, in the second's order. Reads both where their hashes differ.

    Raises DataError if a vocabulary is missing or damaged.
    """
    before = {c.name: c.vocabulary for c in columns_with(first)}
    found = []
    for column in columns_with(second):
        was, now = before.get(column.name), column.vocabulary
        if was is not None and now is not None and was.sha256 != now.sha256:
            one, two = (read_vocabulary(dataset, column.name) for dataset in (first, second))
            found.append(compare_vocabularies(one, two))
    return tuple(found)


def compare_vocabularies(first: Vocabulary, second: Vocabulary) -> VocabularyChange:
    """How the second differs from the first. Cost: a join of the two on the values."""
    keys = list(first.values)
    parts: dict[str, tuple[int, tuple[str, ...]]] = dict.fromkeys(("added", "removed", "moved"), (0, ()))
    types = [{name: str(v.table.schema[name]) for name in v.values} for v in (first, second)]
    problem = f"values were {_typed(types[0])} and are {_typed(types[1])}" if types[0] != types[1] else ""
    if not problem:
        one, two = (v.decoded.select(ID, *keys) for v in (first, second))
        both = one.join(two, on=keys, nulls_equal=True)
        parts = {
            "added": _listed(two.join(one, on=keys, how="anti", nulls_equal=True), _value(keys)),
            "removed": _listed(one.join(two, on=keys, how="anti", nulls_equal=True), _value(keys)),
            "moved": _listed(
                both.filter(pl.col(ID) != pl.col(f"{ID}_right")),
                pl.format("{}: {} -> {}", _value(keys), ID, f"{ID}_right"),
            ),
        }
    broken = bool(problem or parts["removed"][0] or parts["moved"][0])
    return VocabularyChange(
        column=second.column,
        level="major" if broken else "minor" if parts["added"][0] else "patch",
        values=(first.table.height, second.table.height),
        cardinality=(first.cardinality, second.cardinality),
        added=parts["added"][0],
        removed=parts["removed"][0],
        moved=parts["moved"][0],
        added_values=parts["added"][1],
        removed_values=parts["removed"][1],
        moved_values=parts["moved"][1],
        extends=second.extends.named if second.extends else None,
        problem=problem,
    )


def _listed(rows: pl.DataFrame, words: pl.Expr) -> tuple[int, tuple[str, ...]]:
    return rows.height, tuple(rows.sort(ID).head(EXAMPLES).select(words.alias("words"))["words"].to_list())


def _value(keys: list[str]) -> pl.Expr:
    """A value as text; of a combination its parts."""
    return pl.concat_str([pl.col(key).cast(pl.String).fill_null("null") for key in keys], separator=" x ")


def _typed(types: dict[str, str]) -> str:
    return ", ".join(types.values())
