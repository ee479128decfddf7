"""Laws that every operator in the registry keeps, each tried on the same awkward columns; see `headrace.testing`.

An operator without an example fails the first test. All columns of all examples are tried in tests/conformance.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.transforms.examples import CASES, EXAMPLES, FRAMES, LEARNERS, TABLES, frame_of

from headrace.testing.check import LAWS
from headrace.testing.subject import Subject, fit, saved, subjects
from headrace.transforms.base import Learner, Operator
from headrace.transforms.registry import FITTED, OPERATORS, operator_from_plain

OF_LEARNERS = ("merging", "identity", "settling")
SLOWER = ("edges", "alone", *OF_LEARNERS)
"""Laws that are tried here on an operator's first example; tests/conformance tries all on all."""
QUICKER = [law for law in LAWS if law not in (*SLOWER, "partitions", "gpu")]
FIRST = [case for case in CASES if str(case.id).endswith("-0")]
_PARTS: dict[int, tuple[Subject, ...]] = {}


def parts_of(plain: dict[str, Any]) -> Sequence[Subject]:
    """The example on the awkward columns, with its table where it needs one; made once, since it is a frozen value."""
    if id(plain) not in _PARTS:
        _PARTS[id(plain)] = subjects(operator_from_plain(plain), FRAMES, TABLES)
    return _PARTS[id(plain)]


def resolved(plain: dict[str, Any]) -> Operator:
    """The first of the independent steps that an example falls into."""
    return parts_of(plain)[0].step


def assert_kept(law: str, subject: Subject) -> None:
    reason = LAWS[law].skipped(subject)
    if law == "translation" and reason:
        pytest.skip(reason)
    broken = None if reason else LAWS[law].check(subject)
    assert broken is None, f"{law}: {broken}"


def test_every_registered_operator_has_an_example() -> None:
    assert set(EXAMPLES) == set(OPERATORS)


def test_every_fitted_form_in_the_registry_comes_out_of_an_example() -> None:
    learned = {type(part.form).__name__ for case in CASES for part in parts_of(case.values[0])[:1]}
    assert learned >= set(FITTED)
    assert learned <= set(FITTED) | set(OPERATORS)


@pytest.mark.parametrize("law", QUICKER)
@pytest.mark.parametrize("plain", CASES)
def test_an_operator_keeps_the_law(plain: dict[str, Any], law: str) -> None:
    assert_kept(law, parts_of(plain)[0])


@pytest.mark.parametrize("law", SLOWER)
@pytest.mark.parametrize("plain", FIRST)
def test_the_first_example_keeps_the_law(plain: dict[str, Any], law: str) -> None:
    if law not in OF_LEARNERS or isinstance(parts_of(plain)[0].step, Learner):
        assert_kept(law, parts_of(plain)[0])


@pytest.mark.slow
@pytest.mark.parametrize("plain", LEARNERS)
@settings(deadline=None, max_examples=5)
@given(data=st.data())
def test_what_is_learned_does_not_depend_on_the_partitions(plain: dict[str, Any], data: st.DataObject) -> None:
    step = resolved(plain)
    sizes = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    rows = data.draw(st.lists(st.integers(0, 63), min_size=sum(sizes), max_size=sum(sizes)))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sizes)), max_size=4)))
    units: list[pl.DataFrame] = []
    for size in sizes:
        start = sum(unit.height for unit in units)
        units.append(frame_of(rows[start : start + size]))
    with tempfile.TemporaryDirectory() as folder:
        assert saved(fit(step, units, cuts), Path(folder)) == saved(fit(step, units), Path(folder))
