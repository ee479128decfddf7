from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headrace.catalog.arrow_schema import ArrowField
from headrace.catalog.changes import Change, highest, schema_changes
from headrace.catalog.manifest import Column, Manifest, Split

Row = tuple[str, str, str, str, str]


@pytest.fixture
def manifest(filled: Callable[..., Any]) -> Manifest:
    _, found = filled()
    assert isinstance(found, Manifest)
    return found


def changed(manifest: Manifest, column: str = "", field: dict[str, Any] | None = None, **words: Any) -> Manifest:
    """The manifest with another Arrow field and another description of one column."""
    fields = [f.model_copy(update=field or {}) if f.name == column else f for f in manifest.arrow_schema]
    columns = [c.model_copy(update=words) if c.name == column else c for c in manifest.columns]
    return manifest.model_copy(update={"arrow_schema": tuple(fields), "columns": tuple(columns)})


def rows(changes: tuple[Change, ...]) -> list[Row]:
    return [(c.level, c.column, c.what, c.first, c.second) for c in changes]


def test_equal_schemas(manifest: Manifest) -> None:
    assert schema_changes(manifest, manifest) == ()
    assert highest([]) == "none"


@pytest.mark.parametrize(
    ("how", "row"),
    [
        ({"field": {"type": "double"}}, ("major", "carrier", "type", "int32", "double")),
        ({"field": {"nullable": True}}, ("major", "carrier", "nullable", "has no nulls", "may have nulls")),
        ({"shape": (3,)}, ("major", "carrier", "shape", "", "3")),
        ({"role": "key"}, ("major", "carrier", "role", "feature", "key")),
        ({"kind": "numeric"}, ("major", "carrier", "kind", "categorical", "numeric")),
        ({"cardinality": 6}, ("major", "carrier", "ids", "ids below 5", "ids below 6")),
        ({"cardinality": None}, ("major", "carrier", "ids", "ids below 5", "no ids")),
        ({"oov_ids": (2, 3)}, ("major", "carrier", "ids", "null 1", "null 1, unknown 2-3")),
        (
            {"null_id": None, "pad_id": 0, "oov_ids": (1,)},
            ("major", "carrier", "ids", "null 1", "padding 0, unknown 1"),
        ),
    ],
)
def test_what_breaks_a_reader(manifest: Manifest, how: dict[str, Any], row: Row) -> None:
    assert rows(schema_changes(manifest, changed(manifest, "carrier", **how))) == [row]


def test_nulls_that_are_no_longer_there_break_no_one(manifest: Manifest) -> None:
    wide = changed(manifest, "delay", {"nullable": True})
    assert rows(schema_changes(wide, manifest)) == [("patch", "delay", "nullable", "may have nulls", "has no nulls")]


def test_columns_added_and_removed(manifest: Manifest) -> None:
    more = ArrowField(name="more", type="float", nullable=True)
    wider = manifest.model_copy(update={"arrow_schema": (manifest.arrow_schema[0], more, *manifest.arrow_schema[1:])})
    assert rows(schema_changes(manifest, wider)) == [("minor", "more", "added", "", "float")]
    assert rows(schema_changes(wider, manifest)) == [("major", "more", "removed", "float", "")]


def test_another_order_of_the_columns(manifest: Manifest) -> None:
    turned = manifest.model_copy(update={"arrow_schema": manifest.arrow_schema[::-1]})
    assert rows(schema_changes(manifest, turned)) == [("major", "", "order", "delay, late", "late, delay")]


def test_splits(manifest: Manifest) -> None:
    train, test = manifest.splits["train"], manifest.splits["test"]
    other = manifest.model_copy(update={"splits": {"train": test.model_copy(update={"rule": "all"}), "late": test}})
    assert rows(schema_changes(manifest, other)) == [
        ("patch", "", "split train", "before 2013-10-01", "all"),
        ("major", "", "split test removed", "from 2013-10-01", ""),
        ("minor", "", "split late added", "", "from 2013-10-01"),
    ]
    assert isinstance(train, Split)
    assert rows(schema_changes(manifest, manifest.model_copy(update={"splits": {"train": train, "test": test}}))) == []


def test_a_column_that_only_one_describes(manifest: Manifest) -> None:
    described = tuple(c for c in manifest.columns if c.name != "carrier")
    assert isinstance(described[0], Column)
    assert schema_changes(manifest, manifest.model_copy(update={"columns": described})) == ()
