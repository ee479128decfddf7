"""docs/operators.md lists what there is, and, tried again, says the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conformance.table import COLUMNS, Row, document, row, text, value_tests

from headrace.engines.translation import available
from headrace.testing.check import LAWS, Law
from headrace.testing.report import Broken
from headrace.transforms.registry import OPERATORS

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"
CHANGES = ("on a GPU",)
"""Columns that say something of the machine, not of the operator alone."""


def committed() -> dict[str, dict[str, str]]:
    """The cells of the committed table by operator and column."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    head, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cells[0].partition("]")[0].lstrip("["): dict(zip(head[1:], cells[1:], strict=True)) for cells in rows}


def test_the_page_has_every_operator_and_column() -> None:
    table = committed()
    assert list(table) == list(OPERATORS), "run: make conformance"
    assert all(tuple(cells) == tuple(COLUMNS) for cells in table.values()), "run: make conformance"


def test_no_operator_breaks_a_law_on_the_page() -> None:
    assert [name for name, cells in committed().items() if "no" in cells.values()] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_has_tests_of_its_values(name: str) -> None:
    assert value_tests(name), f"no test in tests/transforms/test_{OPERATORS[name].__module__.rpartition('.')[2]}*.py"


@pytest.mark.slow
@pytest.mark.skipif(not available(), reason="the cudf-polars that headrace knows is not installed")
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_keeps_all_laws_and_the_page_says_so(name: str) -> None:
    found = row(name)
    assert found.broken == ()
    cells = dict(zip(COLUMNS, found.cells, strict=True))
    expected = committed()[name]
    assert {c: cells[c] for c in COLUMNS if c not in CHANGES} == {c: expected[c] for c in COLUMNS if c not in CHANGES}


def test_a_broken_law_is_a_no_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAWS, "order", Law("rows keep their order", lambda _: Broken("they do not", "sort nothing")))  # type: ignore[index]
    found = row("Drop")
    cells = dict(zip(COLUMNS, found.cells, strict=True))
    assert cells["laws"] == cells["nulls"] == cells["empty"] == "no"
    assert cells["partitions"] == "yes"
    assert "order: they do not" in found.broken[0]


def test_the_table_in_a_terminal_and_as_a_page() -> None:
    cells = ("yes",) * (len(COLUMNS) - 1) + ("not run",)
    assert text([Row("Clip", cells)]).splitlines()[1].split()[:2] == ["Clip", "yes"]
    assert f"| [Clip](operators/Clip.md) | {' | '.join(cells)} |\n" in document([Row("Clip", cells)])
