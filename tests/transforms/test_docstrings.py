"""What every operator's docstring has: one doctest, which runs, a word on nulls, and what it costs."""

from __future__ import annotations

import doctest
import inspect
import re
import sys

import pytest

from headrace.transforms.base import Operator
from headrace.transforms.registry import OPERATORS

KINDS = [pytest.param(kind, id=name) for name, kind in OPERATORS.items()]
COST = re.compile(r"\bpass(es)?\b|\b[Cc]ost:|\bFree:")


@pytest.mark.parametrize("kind", KINDS)
def test_the_doctest_runs(kind: type[Operator]) -> None:
    source = vars(sys.modules[kind.__module__])
    [test] = doctest.DocTestFinder(recurse=False).find(kind, kind.__name__, globs=dict(source))
    assert test.examples, f"{kind.__name__} has no doctest: add a section `Examples`"
    output: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=output.append)
    assert result.failed == 0, "".join(output)


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_becomes_of_nulls_and_what_it_costs(kind: type[Operator]) -> None:
    text = inspect.getdoc(kind) or ""
    assert re.search(r"\bnulls?\b", text, re.IGNORECASE), f"{kind.__name__}: what becomes of null?"
    assert COST.search(text), f"{kind.__name__}: how many passes, how much memory?"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described(kind: type[Operator]) -> None:
    text = inspect.getdoc(kind) or ""
    described = {name for line in re.findall(r"^(\w[\w, ]*)\n    \S", text, re.MULTILINE) for name in line.split(", ")}
    missing = [field for field in kind.model_fields if field not in described]
    assert missing == [], f"{kind.__name__}: fields without a description under Parameters: {', '.join(missing)}"
