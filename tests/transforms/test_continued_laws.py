"""The laws of operators, for a Categorify that goes on from an older vocabulary."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from headrace.pipelines.continuing import Older, continuing
from headrace.testing.check import LAWS
from headrace.testing.frames import FRAMES, SCHEMA, TABLES
from headrace.testing.subject import Subject, subjects
from headrace.transforms.base import Learner
from headrace.transforms.categorify import Categorify
from headrace.transforms.table import Table


class One:
    """One older vocabulary, whatever the step."""

    def __init__(self, known: dict[str, list[Any]]) -> None:
        self.older = Older(Table(pl.DataFrame(known)), trusted=False)

    def of(self, step: Categorify) -> Older:
        return self.older


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "known"),
    [
        ({"columns": ["text"], "max_size": 4, "oov_buckets": 2}, {"value": ["z", "日本"], "count": [9, 1]}),
        ({"columns": ["big"], "min_count": 2, "previous_counts": "replace"}, {"value": [2**53 + 1, -5]}),
        (
            {"columns": ["city", "whole"], "combo": True, "output": "pair"},
            {"value:0": ["z", "x"], "value:1": [1, 3], "count": [4, 1]},
        ),
        ({"columns": ["words"]}, {"value": ["z", "b"], "count": [9, 1]}),
    ],
    ids=["text", "big", "pair", "words"],
)
@pytest.mark.parametrize("law", [law for law in LAWS if law not in ("json", "gpu")])
def test_the_laws_of_operators_hold_for_a_step_that_goes_on(
    law: str, fields: dict[str, Any], known: dict[str, list[Any]]
) -> None:
    declared = Categorify.model_validate({**fields, "previous": "7"})
    [part] = subjects(declared, FRAMES, TABLES)
    step = continuing(part.step, pl.Schema(SCHEMA), One(known))
    assert isinstance(step, Learner)
    subject = Subject(declared, step, FRAMES)
    assert LAWS[law].skipped(subject) or LAWS[law].check(subject) is None
