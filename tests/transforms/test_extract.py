"""Extract: parts of texts, against literals."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.extract import Extract


def extracted(texts: list[str | None], **fields: Any) -> list[str | None]:
    frame = pl.LazyFrame({"text": texts}, schema={"text": pl.String})
    found: list[str | None] = Extract(columns="text", **fields).apply(frame, CpuEngine()).collect()["text"].to_list()
    return found


@pytest.mark.parametrize(
    ("pattern", "group", "expected"),
    [
        ("([0-9]+)", 1, ["12", None, "3", None, None]),
        ("([0-9]+)", 0, ["12", None, "3", None, None]),
        ("([a-z]+)-?([0-9]*)", 2, ["12", "", "3", None, None]),
        ("^([a-z]+)$", 1, [None, "xyz", None, None, None]),
        ("x|(a)", 1, ["a", None, "a", None, None]),
        ("(?P<letter>[a-c])", 1, ["a", None, "a", None, None]),
    ],
)
def test_the_leftmost_match_counts(pattern: str, group: int, expected: list[str | None]) -> None:
    assert extracted(["ab-12c34", "xyz", "a3a4", "", None], pattern=pattern, group=group) == expected


def test_a_dollar_is_the_end_of_the_text_and_not_of_a_line() -> None:
    assert extracted(["ab", "ab\n"], pattern="(b)$") == ["b", None]


def test_a_dot_is_no_line_end() -> None:
    assert extracted(["a\nb", "a\rb", "a日b"], pattern="a(.)b") == [None, "\r", "日"]


def test_a_part_may_have_a_name_of_its_own() -> None:
    frame = pl.LazyFrame({"url": ["//x/y"]})
    made = Extract(columns="url", pattern="//([^/]+)", output="{column}_host").apply(frame, CpuEngine()).collect()
    assert made.to_dicts() == [{"url": "//x/y", "url_host": "x"}]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pattern": "("}, "'\\(' is no pattern: unclosed group"),
        ({"pattern": "(?=a)"}, "is no pattern: look-around"),
        ({"pattern": "a"}, "'a' has 0 groups, asked for group 1"),
        ({"pattern": "(a)(?:b)", "group": 2}, "has 1 groups, asked for group 2"),
        ({"pattern": ""}, "at least 1 character"),
        ({"pattern": "(a)", "group": -1}, "greater than or equal to 0"),
    ],
)
def test_patterns_that_are_none_and_groups_that_are_not_there_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Extract(columns="text", **fields)


def test_other_types_than_text_are_refused() -> None:
    with pytest.raises(PipelineError, match="Extract takes a string, got Int64 in column 'n'"):
        Extract(columns="n", pattern="(a)").resolve(pl.Schema({"n": pl.Int64()}))
