"""Text against Python's own str methods and literals."""

from __future__ import annotations

import sys
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError
from tests.transforms.fitting import applied, gpu_gaps

from headrace.engines.translation import available
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Transform
from headrace.transforms.text import Lower, Replace, Strip

ALL = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]


def written(step: Transform, *texts: str | None) -> list[str | None]:
    frame = pl.DataFrame({"t": texts}, schema={"t": pl.String})
    got = applied([step], frame)
    assert got.schema == frame.schema
    return got["t"].to_list()


@pytest.mark.slow
def test_capitals_of_four_scripts_become_what_python_makes_of_them() -> None:
    got = written(Lower(columns="t"), *ALL)
    for letter, small in zip(ALL, got, strict=True):
        inside = ord(letter) < 0x590 or 0x1E00 <= ord(letter) <= 0x1EFF
        assert small == (letter.lower() if inside else letter)


def test_letters_are_taken_one_by_one() -> None:
    texts = ["", "ABC xyz 1", "ΣΊΣΥΦΟΣ", "İI", "ẞTRASSE", "ЖЁ", "日本\U00010400", None]
    assert written(Lower(columns="t"), *texts) == [
        "", "abc xyz 1", "σίσυφοσ", "i\u0307i", "ßtrasse", "жё", "日本\U00010400", None
    ]  # fmt: skip


@pytest.mark.slow
def test_white_space_is_taken_off_as_python_does_but_for_its_separators_of_records() -> None:
    texts = [f"{c} a{c}b {c}{c}" for c in ALL]
    separators = "\x1c\x1d\x1e\x1f"  # space to Python, not to Unicode
    expected = [t if t[0] in separators else t.strip() for t in texts]
    assert written(Strip(columns="t"), *texts) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["a b", "", "", "-x-", None]),
        ({"side": "start"}, ["a b\t", "", "", "-x- ", None]),
        ({"side": "end"}, [" \na b", "", "", " -x-", None]),
        ({"characters": "- é"}, ["\na b\t", "", "", "x", None]),
    ],
)
def test_which_characters_go_and_where(fields: dict[str, Any], expected: list[str | None]) -> None:
    assert written(Strip(columns="t", **fields), " \na b\t", "   ", "", " -x- ", None) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [("a", "b"), ("aa", "a"), (".", ""), ("$1", "$0\\1"), ("é", "ee"), ("日", "day"), ("\\", "/"), ("^", "a")],
)
def test_a_text_is_replaced_as_it_stands_wherever_it_stands(old: str, new: str) -> None:
    texts = ["", "a", "aaaaa", "a.b.c", "$1 and $1", "é日é", "\\d", "^a$", "b"]
    got = written(Replace(columns="t", old=old, new=new), *texts, None)
    assert got == [*(t.replace(old, new) for t in texts), None]


def test_a_result_of_another_name_leaves_the_column() -> None:
    frame = pl.DataFrame({"a": ["X "], "b": ["Y"]})
    steps: list[Transform] = [
        Lower(columns=["a", "b"], output="{column}_lower"),
        Strip(columns="a", output="stripped"),
        Replace(columns="b", old="Y", new="", output="replaced"),
    ]
    assert applied(steps, frame).row(0, named=True) == {
        "a": "X ", "b": "Y", "a_lower": "x ", "b_lower": "y", "stripped": "X", "replaced": ""
    }  # fmt: skip


def test_what_is_no_text_is_refused() -> None:
    schema = pl.Schema({"n": pl.Int64})
    for step in (Lower(columns="n"), Strip(columns="n"), Replace(columns="n", old="a", new="b")):
        with pytest.raises(PipelineError, match=f"{type(step).__name__} takes a string, got Int64 in column 'n'"):
            step.resolve(schema)
    with pytest.raises(ValidationError, match="at least 1 character"):
        Replace(columns="t", old="", new="a")
    with pytest.raises(ValidationError, match="at least 1 character"):
        Strip(columns="t", characters="")
    with pytest.raises(ValidationError, match="'both', 'start' or 'end'"):
        Strip(columns="t", side="left")


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
@pytest.mark.parametrize(
    "step",
    [
        Lower(columns="t"),
        Strip(columns="t"),
        Strip(columns="t", side="start"),
        Strip(columns="t", side="end", characters="-"),
        Replace(columns="t", old="$", new=""),
    ],
)
def test_all_of_it_runs_on_the_gpu(step: Transform) -> None:
    assert gpu_gaps(step, pl.DataFrame({"t": ["A", None]})) == ([], set())
