"""HashedNGrams: the runs of a text, against the xxhash package and runs written out."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
import xxhash
from pydantic import ValidationError

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Ids
from headrace.transforms.ngrams import HashedNGrams


def ids(runs: list[str], buckets: int, seed: int = 0) -> list[int]:
    return [xxhash.xxh64_intdigest(run.encode(), seed) % buckets for run in runs]


def applied(texts: list[str | None], **fields: Any) -> list[list[int] | None]:
    step = HashedNGrams(columns="text", **fields)
    found: list[list[int] | None] = (
        step.apply(pl.LazyFrame({"text": texts}, schema={"text": pl.String}), CpuEngine())
        .collect()["text_ngrams"]
        .to_list()
    )
    return found


def test_characters_are_code_points() -> None:
    runs = [["日本", "本語", "語x"], ["ab"], [], [], None]
    expected = [None if r is None else ids(r, 1000) for r in runs]
    assert applied(["日本語x", "ab", "a", "", None], n=2, buckets=1000) == expected


def test_line_ends_are_characters_too() -> None:
    assert applied(["a\n\r\nb"], n=3, buckets=97) == [ids(["a\n\r", "\n\r\n", "\r\nb"], 97)]


def test_words_are_joined_by_one_space_whatever_stood_between_them() -> None:
    texts = ["new  york\tcity", " new york city\n", "york", "   ", "", None]
    whole = ids(["new york", "york city"], 1000)
    assert applied(texts, n=2, buckets=1000, unit="word") == [whole, whole, [], [], [], None]


def test_single_words_keep_their_order_and_their_punctuation() -> None:
    expected = ids(["to", "be,", "or", "to", "be"], 2**31 - 1)
    assert applied(["to be, or to be"], n=1, buckets=2**31 - 1, unit="word") == [expected]


def test_a_no_break_space_is_no_white_space_here() -> None:
    assert applied(["a\u00a0b c"], n=1, buckets=1000, unit="word") == [ids(["a\u00a0b", "c"], 1000)]


def test_another_seed_gives_another_hash() -> None:
    assert applied(["abcdef"], n=3, buckets=1 << 30, seed=7) == [ids(["abc", "bcd", "cde", "def"], 1 << 30, seed=7)]


def test_no_rows_and_nothing_but_nulls_have_the_type() -> None:
    step = HashedNGrams(columns="text", n=2, buckets=10, output="text")
    for texts in ([], [None, None]):
        made = step.apply(pl.LazyFrame({"text": texts}, schema={"text": pl.String}), CpuEngine()).collect()
        assert made.schema == {"text": pl.List(pl.Int32)}
        assert made["text"].to_list() == texts


def test_ids_are_told_to_embeddings() -> None:
    step = HashedNGrams(columns=["a", "b"], n=2, buckets=10)
    assert step.ids == {"a_ngrams": Ids(10), "b_ngrams": Ids(10)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n": 1, "buckets": 10}, "a run has at least 2 characters, got 1"),
        ({"n": 0, "buckets": 10, "unit": "word"}, "greater than or equal to 1"),
        ({"n": 2, "buckets": 0}, "greater than or equal to 1"),
        ({"n": 2, "buckets": 10, "unit": "line"}, "'character' or 'word'"),
        ({"n": 2, "buckets": 10, "seed": -1}, "greater than or equal to 0"),
    ],
)
def test_fields_that_make_no_sense_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HashedNGrams(columns="text", **fields)


def test_other_types_than_text_are_refused() -> None:
    with pytest.raises(PipelineError, match="HashedNGrams takes a string, got Int64 in column 'n'"):
        HashedNGrams(columns="n", n=2, buckets=10).resolve(pl.Schema({"n": pl.Int64()}))
