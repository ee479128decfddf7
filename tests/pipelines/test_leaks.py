"""Features that are made of the target are refused before a row is read."""

from __future__ import annotations

from typing import Any

import pytest
from tests.pipelines.conftest import Make

from headrace.pipelines.resolve import resolve
from headrace.schemas.errors import PipelineError

LEAKS: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "derived": ([{"Derive": {"columns": {"again": "y + x"}}}], "again", "step 1 Derive(again)"),
    "derived from what was derived": (
        [
            {"Derive": {"columns": {"a": "y * 2"}}},
            {"Derive": {"columns": {"b": "a + 1"}}},
            {"Drop": {"columns": ["a"]}},
        ],
        "b",
        "step 2 Derive(b)",
    ),
    "copied by name": (
        [{"Derive": {"columns": {"y2": "y"}}}, {"Rename": {"names": {"y2": "z"}}}],
        "z",
        "step 2 Rename(z)",
    ),
    "a statistic that the row is part of": (
        [{"GroupStats": {"by": ["c"], "of": ["x", "y"], "statistics": ["mean"]}}],
        "y_mean_by_c",
        "step 1 GroupStats(x_mean_by_c, y_mean_by_c)",
    ),
    "scaled": ([{"Standardize": {"columns": ["y"], "output": "{column}_scaled"}}], "y_scaled", "step 1 Standardize"),
    "a category that is the target": (
        [{"TargetEncode": {"columns": ["y"], "target": "x", "fold_on": ["id"]}}],
        "y_target",
        "step 1 TargetEncode(y_target)",
    ),
    "a category that is made of the target": (
        [
            {"HashCross": {"columns": ["c", "y"], "n": 8, "output": "crossed"}},
            {
                "TargetEncode": {
                    "columns": ["c", "crossed"],
                    "combo": True,
                    "target": "y",
                    "fold_on": ["id"],
                    "output": "z",
                }
            },
            {"Drop": {"columns": ["crossed"]}},
        ],
        "z",
        "step 2 TargetEncode(z)",
    ),
    "a category made of the target, left out of its own": (
        [
            {"Derive": {"columns": {"a": "y * 2"}}},
            {"TargetEncode": {"columns": ["a"], "target": "y", "leave_one_out": True, "output": "z"}},
            {"Drop": {"columns": ["a"]}},
        ],
        "z",
        "step 2 TargetEncode(z)",
    ),
    "folds that are made of the target": (
        [
            {"Derive": {"columns": {"a": "y * 2"}}},
            {"TargetEncode": {"columns": ["c"], "target": "y", "fold_on": ["a"], "output": "z"}},
            {"Drop": {"columns": ["a"]}},
        ],
        "z",
        "step 2 TargetEncode(z)",
    ),
    "earlier rows of the same label": (
        [{"Expanding": {"columns": ["x"], "by": ["y"], "order": "at", "statistics": ["count"], "output": "z"}}],
        "z",
        "step 1 Expanding(z)",
    ),
    "the time since an entity that is made of the target": (
        [
            {"Derive": {"columns": {"a": "y * 2"}}},
            {"TimeSinceLast": {"by": ["c", "a"], "order": "at", "output": "z"}},
            {"Drop": {"columns": ["a"]}},
        ],
        "z",
        "step 2 TimeSinceLast(z)",
    ),
    "an order that is made of the target": (
        [
            {"Derive": {"columns": {"a": "y + x"}}},
            {"Lag": {"columns": ["x"], "by": ["c"], "order": "a", "output": "z"}},
            {"Drop": {"columns": ["a"]}},
        ],
        "z",
        "step 2 Lag(z)",
    ),
    "hashed with others": (
        [{"HashCross": {"columns": ["c", "y"], "n": 8, "output": "crossed"}}],
        "crossed",
        "step 1 HashCross(crossed)",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "feature", "where"), LEAKS.values(), ids=LEAKS)
def test_a_feature_made_of_the_target_is_refused(
    make: Make, steps: list[dict[str, Any]], feature: str, where: str
) -> None:
    with pytest.raises(PipelineError, match=f"feature '{feature}' is made of the target 'y'") as caught:
        resolve(make(steps), {})
    assert caught.value.where.startswith(where)


FINE: dict[str, list[dict[str, Any]]] = {
    "encoded out of fold": [{"TargetEncode": {"columns": ["c"], "target": "y", "fold_on": ["id"]}}],
    "encoded without the row itself": [{"TargetEncode": {"columns": ["c"], "target": "y", "leave_one_out": True}}],
    "of a target that is made of the target": [
        {"Derive": {"columns": {"a": "y * 2"}}},
        {"TargetEncode": {"columns": ["c"], "target": ["y", "a"], "fold_on": ["id"], "output": "{column}_{target}"}},
        {"Drop": {"columns": ["a"]}},
    ],
    "of earlier rows": [{"Lag": {"columns": ["y"], "by": ["c"], "order": "at"}}],
    "beside it in one step": [{"Standardize": {"columns": ["x", "y"], "output": "{column}"}}],
    "the target itself is made": [{"Derive": {"columns": {"y": "CAST(y > 0 AS TINYINT)"}}}],
    "made of it and left out": [{"Derive": {"columns": {"again": "y + x"}}}, {"Drop": {"columns": ["again"]}}],
    "overwritten": [{"Derive": {"columns": {"again": "y"}}}, {"Derive": {"columns": {"again": "x"}}}],
    "statistics of another column": [{"GroupStats": {"by": ["c"], "of": ["x"], "statistics": ["mean"]}}],
}


@pytest.mark.parametrize("steps", FINE.values(), ids=FINE)
def test_what_is_no_leak_is_allowed(make: Make, steps: list[dict[str, Any]]) -> None:
    assert "y" not in resolve(make(steps), {}).features
