"""What has changed in the columns of a dataset, and what that means for who reads it: semantic versioning of data.

major
    A reader of the first may fail on the second, or be wrong on it: a column or a split is gone; a column has another
    type, shape, role or kind, or nulls where it had none; the columns stand in another order; ids were renumbered.
minor
    All that was there is there as it was, and more: a column or a split was added, or values that go on after the last
    id of a vocabulary, so that tables of embeddings must grow.
patch
    Only rows and values, or who made them.

Ids are renumbered if a value has another id, if a value is gone, if the ids of padding, null and unknown values are
others, and, where no vocabulary says what ids stand for, if their number is another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from pydantic import Field

from headrace.catalog.arrow_schema import ArrowField
from headrace.catalog.manifest import Column, Manifest
from headrace.catalog.records import Record

Level = Literal["none", "patch", "minor", "major"]
LEVELS: Final[tuple[Level, ...]] = ("none", "patch", "minor", "major")


class Change(Record):
    """One thing that is not as it was."""

    level: Level
    column: str = Field(description="empty if it is of no single column")
    what: str = Field(description="added, removed, type, shape, nullable, role, kind, order, ids or split ...")
    first: str = Field(description="as it was; empty if it was not there")
    second: str = Field(description="as it is; empty if it is not there")


def highest(levels: Iterable[Level]) -> Level:
    """
    >>> highest(["patch", "major", "none"])
    'major'
    """
    return max(levels, key=LEVELS.index, default="none")


def schema_changes(first: Manifest, second: Manifest) -> tuple[Change, ...]:
    """How the columns and splits of two versions differ: as the manifests say, vocabularies left out.

    In the order of the first's columns, then the second's; splits last.
    """
    return (*_columns(first, second), *_splits(first, second))


def _columns(first: Manifest, second: Manifest) -> Iterator[Change]:
    before, after = ({field.name: field for field in m.arrow_schema} for m in (first, second))
    one, two = ({column.name: column for column in m.columns} for m in (first, second))
    for name, field in before.items():
        if name not in after:
            yield Change(level="major", column=name, what="removed", first=_spelled(field), second="")
            continue
        yield from _field(field, after[name])
        if name in one and name in two:
            yield from _described(one[name], two[name])
    for name, field in after.items():
        if name not in before:
            yield Change(level="minor", column=name, what="added", first="", second=_spelled(field))
    common = [[name for name in names if name in before and name in after] for names in (before, after)]
    if common[0] != common[1]:
        moved = [pair for pair in zip(*common, strict=True) if pair[0] != pair[1]]
        was, now = (", ".join(pair[i] for pair in moved[:5]) + ", ..." * (len(moved) > 5) for i in (0, 1))
        yield Change(level="major", column="", what="order", first=was, second=now)


def _field(one: ArrowField, two: ArrowField) -> Iterator[Change]:
    if one.type != two.type:
        yield Change(level="major", column=one.name, what="type", first=one.type, second=two.type)
    if one.nullable != two.nullable:
        words = ["has no nulls", "may have nulls"]
        yield Change(
            level="major" if two.nullable else "patch",
            column=one.name,
            what="nullable",
            first=words[one.nullable],
            second=words[two.nullable],
        )


def _described(one: Column, two: Column) -> Iterator[Change]:
    for what in ("shape", "role", "kind"):
        was, now = getattr(one, what), getattr(two, what)
        if was != now:
            yield Change(level="major", column=one.name, what=what, first=_words(was), second=_words(now))
    if _special(one) != _special(two):
        yield Change(level="major", column=one.name, what="ids", first=_special(one), second=_special(two))
    if one.cardinality == two.cardinality:
        return
    by_value = one.vocabulary is not None and two.vocabulary is not None  # which says how they differ
    if not by_value:
        was, now = (_cardinality(column) for column in (one, two))
        yield Change(level="major", column=one.name, what="ids", first=was, second=now)


def _splits(first: Manifest, second: Manifest) -> Iterator[Change]:
    for name, split in first.splits.items():
        if name not in second.splits:
            yield Change(level="major", column="", what=f"split {name} removed", first=split.rule, second="")
        elif split.rule != second.splits[name].rule:
            rules = {"first": split.rule, "second": second.splits[name].rule}
            yield Change(level="patch", column="", what=f"split {name}", **rules)
    for name, split in second.splits.items():
        if name not in first.splits:
            yield Change(level="minor", column="", what=f"split {name} added", first="", second=split.rule)


def _special(column: Column) -> str:
    """The ids that stand for no value, in words."""
    named = [("padding", column.pad_id), ("null", column.null_id)]
    words = [f"{name} {number}" for name, number in named if number is not None]
    oov = column.oov_ids
    return ", ".join(words + ([f"unknown {oov[0]}" + f"-{oov[-1]}" * (len(oov) > 1)] if oov else []))


def _cardinality(column: Column) -> str:
    return "no ids" if column.cardinality is None else f"ids below {column.cardinality:,}"


def _words(value: object) -> str:
    return " x ".join(str(size) for size in value) if isinstance(value, tuple) else str(value)


def _spelled(field: ArrowField) -> str:
    return field.type if field.nullable else f"{field.type} not null"
