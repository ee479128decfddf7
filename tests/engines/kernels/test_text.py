"""Kernels of text: both bodies give the same for every character there is."""

from __future__ import annotations

import sys
from typing import Final

import polars as pl
import pytest

from headrace.engines.kernels import text

EVERY: Final = pl.Series("text", [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000])


def shown(value: pl.Expr, texts: pl.Series) -> list[str | None]:
    return texts.to_frame().lazy().select(value).collect().to_series().to_list()


@pytest.mark.slow
def test_small_letters_are_the_same() -> None:
    column = pl.col("text")
    texts = pl.concat([EVERY, "A" + EVERY + "Σ Z", pl.Series("text", ["", None, "ABC"])], rechunk=False)
    assert shown(text.cpu_lowered(column), texts) == shown(text.anywhere_lowered(column), texts)


@pytest.mark.parametrize("texts", [[], [None], ["É"], ["AÉ", "B"], [None, "Σ", None]], ids=str)
def test_few_texts_in_small_letters(texts: list[str | None]) -> None:
    found = shown(text.cpu_lowered(pl.col("text")), pl.Series("text", texts, pl.String))
    assert found == [t if t is None else t.lower() for t in texts]


@pytest.mark.slow
@pytest.mark.parametrize("side", ["both", "start", "end"])
def test_white_space_is_what_polars_takes_for_it(side: text.Side) -> None:
    column = pl.col("text")
    for texts in (EVERY, EVERY + "a" + EVERY):
        found = shown(text.cpu_stripped(column, text.SPACE, side), texts)
        assert found == shown(text.anywhere_stripped(column, text.SPACE, side), texts)


def test_other_characters_are_stripped_by_name() -> None:
    texts = pl.Series("text", ["xx a x", " x", None])
    assert shown(text.cpu_stripped(pl.col("text"), "x", "both"), texts) == [" a ", " ", None]
