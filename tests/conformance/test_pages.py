"""The pages of operators are those that the generator writes, and say all that they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from tests.conformance.pages import docstring, page, pages, type_words

from headrace.transforms.columns import Columns
from headrace.transforms.numeric import Clip
from headrace.transforms.registry import OPERATORS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", OPERATORS)
def test_the_page_is_up_to_date(name: str) -> None:
    path = DOCS / "operators" / f"{name}.md"
    told = "run: python -m tests.conformance --write docs --pages-only"
    assert path.exists(), f"{name} has no page; {told}"
    assert path.read_text(encoding="utf-8") == page(OPERATORS[name]), f"the page of {name} is not up to date; {told}"


def test_there_is_no_page_of_an_operator_that_is_gone() -> None:
    assert {path.stem for path in (DOCS / "operators").glob("*.md")} == set(pages())


def test_a_page_has_fields_errors_nulls_an_example_and_twins() -> None:
    lines = page(Clip).splitlines()
    assert lines[:3] == ["# Clip", "", "Move values outside a range to its nearer end."]
    assert any(line.startswith("| `lower` | whole number or number | `None` | The ends, of which") for line in lines)
    assert [line for line in lines if line.startswith("## ")] == [
        "## Fields",
        "## Errors",
        "## Nulls, cost, sources",
        "## Example",
        "## Elsewhere",
    ]
    assert ">>> from headrace.transforms.numeric import Clip" in lines
    assert lines[-4:] == [
        "- NVTabular: `Clip`",
        "- TFT: none",
        "- Ray Data: none",
        "- scikit-learn: `preprocessing.FunctionTransformer`",
    ]


def test_fields_that_share_a_description_both_have_it() -> None:
    fields = docstring(Clip).fields
    assert fields["lower"] == fields["upper"]


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Columns | None, "columns"),
        (Literal["keep", "own"], "`keep` or `own`"),
        (tuple[int, ...], "list of whole number"),
        (dict[str, str], "text to text"),
        (bool, "true or false"),
        (Any, "any"),
    ],
)
def test_types_in_words(annotation: Any, words: str) -> None:
    assert type_words(annotation) == words
