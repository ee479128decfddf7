"""Kernel `ngrams`: the runs of n characters, or of n words, that a text has, each hashed to one of some buckets.

Contract: `output`, List(Int32), is added or replaced; rows keep their number and order. An element is XXH64 with the
given seed of the run's UTF-8 bytes, modulo `buckets`; elements stand in the order of the runs, repeated ones too. A
null text gives a null list, a text of fewer than n characters or words an empty one. Characters are Unicode's
code points. Words are what stands between characters up to U+0020 (space, tab, line ends); those of a run are joined by
one space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import polars as pl

from headrace.engines.kernels import xxhash64

if TYPE_CHECKING:
    from headrace.engines.engine import Engine

Unit = Literal["character", "word"]

OUTPUT: Final = pl.List(pl.Int32())


@dataclass(frozen=True)
class Runs:
    """Which runs are made, and how they are hashed.

    Parameters
    ----------
    n
        How many characters or words a run has: from 2, or from 1 for words.
    buckets
        From 1 to 2^31 - 1.
    seed
        Below 2^64.
    """

    unit: Unit
    n: int
    buckets: int
    seed: int = 0

    def __post_init__(self) -> None:
        least = 2 if self.unit == "character" else 1
        if self.n < least:
            raise ValueError(f"a run has at least {least} {self.unit}{'s' if least > 1 else ''}, got {self.n}")

    @property
    def separator(self) -> str:
        """What stands between the parts of a run."""
        return " " if self.unit == "word" else ""


@dataclass(frozen=True)
class Ngrams:
    """The hashed `runs` of the texts of `column`."""

    column: str
    runs: Runs
    output: str
    name: ClassVar[str] = "ngrams"

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    def writes(self, schema: pl.Schema, engine: Engine) -> dict[str, pl.DataType]:
        return {self.output: OUTPUT}

    def cpu(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """A row a character or word, joined with those that follow it; time and memory grow with the characters."""
        text, runs = pl.col(self.column), self.runs
        parts = text.str.split("") if runs.unit == "character" else text.str.extract_all(r"[^\x00-\x20]+")
        rows = frame.with_row_index(_ROW)
        long = rows.select(_ROW, parts.alias(_PART)).explode(_PART, empty_as_null=False, keep_nulls=False)
        run = pl.concat_str([pl.col(_PART).shift(-place) for place in range(runs.n)], separator=runs.separator)
        whole = pl.col(_ROW) == pl.col(_ROW).shift(1 - runs.n)
        made = long.select(_ROW, run.alias(_PART), whole.alias(_WHOLE)).filter(_WHOLE)
        hashed = xxhash64.text(pl.col(_PART), runs.seed) % pl.lit(runs.buckets, pl.UInt64)
        ids = made.select(pl.col(_ROW).set_sorted(), hashed.cast(pl.Int32).alias(_IDS))
        lists = ids.group_by(_ROW, maintain_order=True).agg(_IDS)
        none = pl.lit(pl.Series([[]], dtype=OUTPUT))
        found = pl.when(text.is_not_null()).then(pl.col(_IDS).fill_null(none))
        joined = rows.join(lists, on=_ROW, how="left", maintain_order="left")
        return joined.with_columns(found.alias(self.output)).drop(_ROW, _IDS)

    def stand_in(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        ids = pl.col(self.column).is_null().cast(pl.Int32).alias(_IDS)
        lists = frame.select(pl.col(self.column).alias(_PART), ids).group_by(_PART).agg(pl.col(_IDS).implode())
        joined = frame.drop(self.output, strict=False) if self.output != self.column else frame
        return (
            joined.join(lists, left_on=self.column, right_on=_PART, how="left")
            .with_columns(pl.col(_IDS).alias(self.output))
            .drop(_IDS)
        )


_ROW: Final = "__ngrams_row"
_PART: Final = "__ngrams_part"
_WHOLE: Final = "__ngrams_whole"
_IDS: Final = "__ngrams_ids"
