from __future__ import annotations

import polars as pl
import pytest

from headrace.catalog.manifest import Extends
from headrace.catalog.vocabulary import Vocabulary
from headrace.catalog.vocabulary_change import VocabularyChange, compare_vocabularies


def vocabulary(values: list[object], extends: Extends | None = None, **more: list[object]) -> Vocabulary:
    """Ids 0 for padding, 1 for null, 2 out of vocabulary, 3 for the first value."""
    named = {f"value:{n}": v for n, v in enumerate([values, *more.values()])} if more else {"value": values}
    table = pl.DataFrame(named).with_columns(count=pl.lit(5, pl.Int64))
    return Vocabulary("carrier", table, 0, 1, (2,), 3 + table.height, extends)


def counts(found: VocabularyChange) -> tuple[str, int, int, int]:
    return found.level, found.added, found.removed, found.moved


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (["AA", "B6", "UA"], ("patch", 0, 0, 0)),  # only counts are others
        (["AA", "B6", "UA", "VX", "WN"], ("minor", 2, 0, 0)),
        (["AA", "B6"], ("major", 0, 1, 0)),
        (["AA", "UA", "B6"], ("major", 0, 0, 2)),
        (["ZZ", "AA", "B6", "UA"], ("major", 1, 0, 3)),
        (["AA", "XX", "UA"], ("major", 1, 1, 0)),
    ],
)
def test_levels(after: list[object], expected: tuple[str, int, int, int]) -> None:
    assert counts(compare_vocabularies(vocabulary(["AA", "B6", "UA"]), vocabulary(after))) == expected


def test_says_which_values() -> None:
    extends = Extends(dataset="flights", version=1, sha256="0" * 64)
    found = compare_vocabularies(vocabulary(["AA", "B6", "UA"]), vocabulary(["UA", "AA", "VX"], extends))
    assert found.model_dump() == {
        "column": "carrier",
        "level": "major",
        "values": (3, 3),
        "cardinality": (6, 6),
        "added": 1,
        "removed": 1,
        "moved": 2,
        "added_values": ("VX",),
        "removed_values": ("B6",),
        "moved_values": ("AA: 3 -> 4", "UA: 5 -> 3"),
        "extends": "flights@1",
        "problem": "",
    }


def test_of_many_values_ten_are_named() -> None:
    found = compare_vocabularies(vocabulary(["a"]), vocabulary(["a", *(f"v{n:02d}" for n in range(30))]))
    assert (found.added, found.added_values) == (30, tuple(f"v{n:02d}" for n in range(10)))


def test_combinations_and_numbers() -> None:
    one = vocabulary([1, 1, 2], second=["x", "y", None])
    two = vocabulary([1, 1, 2, 2], second=["x", "y", None, "x"])
    found = compare_vocabularies(one, two)
    assert (counts(found), found.added_values) == (("minor", 1, 0, 0), ("2 x x",))


def test_values_of_another_type() -> None:
    found = compare_vocabularies(vocabulary(["1", "2"]), vocabulary([1, 2]))
    assert (found.level, found.problem) == ("major", "values were String and are Int64")
    assert (found.added, found.removed, found.moved) == (0, 0, 0)
