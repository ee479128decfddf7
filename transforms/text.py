"""Text as text: Lower, Strip and Replace."""

from __future__ import annotations

from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from headrace.engines.engine import Engine
from headrace.engines.kernels.text import SPACE, Side, lowered, stripped
from headrace.transforms.base import Accepts, Transform
from headrace.transforms.columns import Columns

TEXT: Final = Accepts(lambda dtype: dtype == pl.String, "a string")


class Lower(Transform):
    """Write small letters for capitals.

    Parameters
    ----------
    columns
        Strings. Null stays null.
    output
        Name of the result, a String; `{column}` stands for the input's.

    Raises
    ------
    PipelineError
        A column of another type.

    Notes
    -----
    Letters of the Latin, Greek, Cyrillic and Armenian scripts (below U+0590, and U+1E00 to U+1EFF), one by one, as
    Unicode's Lowercase_Mapping has them without regard to language or place in the word: a sigma at the end of a word
    becomes U+03C3 too, and U+0130 becomes an i and a dot. Other characters stay. The engines' own functions disagree
    outside ASCII. One pass, no state. NVTabular has `LambdaOp` for it.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> frame = pl.LazyFrame({"city": ["Évora", "ΣΠΑΡΤΗ", None]})
    >>> Lower(columns="city").apply(frame, CpuEngine()).collect()["city"].to_list()
    ['évora', 'σπαρτη', None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = TEXT

    columns: Columns
    output: str = "{column}"

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(
            lowered(engine, pl.col(column)).alias(output)
            for column, output in zip(self.columns, self.writes, strict=True)
        )


class Strip(Transform):
    """Take characters off the ends of a text.

    Parameters
    ----------
    columns
        Strings. Null stays null; a text of nothing but such characters becomes the empty text, not null.
    characters
        Each of these characters goes, in any order and number; Unicode's 25 of White_Space by default.
    side
        `both`, `start` or `end`.
    output
        Name of the result, a String; `{column}` stands for the input's.

    Raises
    ------
    PipelineError
        A column of another type.

    Notes
    -----
    One pass, no state. NVTabular has `LambdaOp` for it.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"name": [" Ann\\t", "  ", None]})
    >>> Strip(columns="name").apply(rows, CpuEngine()).collect()["name"].to_list()
    ['Ann', '', None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = TEXT

    columns: Columns
    characters: str = Field(SPACE, min_length=1)
    side: Side = "both"
    output: str = "{column}"

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(
            stripped(engine, pl.col(column), self.characters, self.side).alias(output)
            for column, output in zip(self.columns, self.writes, strict=True)
        )


class Replace(Transform):
    """Put one text in the place of another, wherever it stands.

    Parameters
    ----------
    columns
        Strings. Null stays null.
    old
        What is looked for, as it stands and not as a pattern; at least one character. From left to right, without
        overlaps.
    new
        What is put in its place; the empty text takes it away.
    output
        Name of the result, a String; `{column}` stands for the input's.

    Raises
    ------
    PipelineError
        A column of another type.

    Notes
    -----
    One pass, no state. NVTabular has `LambdaOp` for it.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"price": ["1,000,000", None]})
    >>> Replace(columns="price", old=",", new="").apply(rows, CpuEngine()).collect()["price"].to_list()
    ['1000000', None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = TEXT

    columns: Columns
    old: str = Field(min_length=1)
    new: str
    output: str = "{column}"

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(
            pl.col(column).str.replace_all(self.old, self.new, literal=True).alias(output)
            for column, output in zip(self.columns, self.writes, strict=True)
        )
