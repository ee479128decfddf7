"""Texts as lists of ids: HashedNGrams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import polars as pl
from pydantic import Field, model_validator

from headrace.engines.engine import Engine
from headrace.engines.kernels.ngrams import Ngrams, Runs, Unit
from headrace.transforms.base import Accepts, Ids, Transform
from headrace.transforms.columns import Columns
from headrace.transforms.hashing import Buckets, Seed
from headrace.transforms.text import TEXT


class HashedNGrams(Transform):
    """The runs of n characters, or of n words, of a text as a list of ids, by hash.

    Parameters
    ----------
    columns
        Strings. Null gives a null list, a text of fewer than n characters or words an empty one.
    n
        How many characters or words make a run: 2 or more characters, 1 or more words.
    buckets
        How many ids. Output List(Int32) of ids from 0 to buckets - 1, in the order of the runs, repeated ones too.
    unit
        `character`: Unicode's code points. `word`: what stands between white space, that is characters up to U+0020;
        punctuation belongs to the word.
    seed
        Another seed gives another, independent hash.
    output
        Name of the result; `{column}` stands for the input's.

    Raises
    ------
    PipelineError
        A column of another type, or runs of one character.

    Notes
    -----
    XXH64 of the run's UTF-8 bytes, the words of a run joined by one space. Capitals count: put Lower before it where
    they should not. One pass, no state; memory for a row per character, or per word, of one partition. In TFT this is
    `ngrams` with `hash_strings`, in scikit-learn `HashingVectorizer`, in Ray Data `HashingVectorizer`, which count runs
    where this lists them; NVTabular has none.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step = HashedNGrams(columns="title", n=2, buckets=100, unit="word")
    >>> frame = pl.LazyFrame({"title": ["new york city", "york city", "paris", None]})
    >>> step.apply(frame, CpuEngine()).collect()["title_ngrams"].to_list()
    [[21, 11], [11], [], None]
    """

    accepts: ClassVar[Accepts] = TEXT

    columns: Columns
    n: Annotated[int, Field(ge=1, le=64)]
    buckets: Buckets
    unit: Unit = "character"
    seed: Seed = 0
    output: str = "{column}_ngrams"

    @model_validator(mode="after")
    def _long_enough(self) -> HashedNGrams:
        _ = self._runs
        return self

    @property
    def _runs(self) -> Runs:
        return Runs(self.unit, self.n, self.buckets, self.seed)

    @property
    def ids(self) -> Mapping[str, Ids]:
        return {output: Ids(self.buckets) for output in self.writes}

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        for column, output in zip(self.columns, self.writes, strict=True):
            frame = engine.kernel(frame, Ngrams(column, self._runs, output))
        return frame
