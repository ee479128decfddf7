"""What an operator gives on another engine than the CPU's: learned there, applied there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.transforms.examples import FRAMES, TABLES

from headrace.engines.engine import TaskEngine
from headrace.testing.device import disagreement
from headrace.testing.subject import subjects
from headrace.transforms.registry import operator_from_plain


def assert_engine_agrees(plain: dict[str, Any], rows: str, engine: TaskEngine) -> None:
    """An example of the conformance tests: equal tables of statistics, equal rows from what is learned."""
    part = subjects(operator_from_plain(plain), FRAMES, TABLES)[0]
    wrong = disagreement(replace(part, frames={rows: FRAMES[rows]}), engine)
    assert wrong is None, str(wrong)
