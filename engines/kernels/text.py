"""Kernels `lowered` and `stripped`: text in small letters, and without some characters at its ends.

Contract of `lowered`: each letter of `CAPITALS` becomes what Unicode's Lowercase_Mapping has for it alone, all else
stays. Contract of `stripped`: each of `characters` goes from the ends that `side` names. Null stays null.

Both are an expression that every engine runs, and have a quicker body for the CPU: Arrow writes small letters for those
of ASCII several times as fast as Polars, and Polars knows white space, which is `SPACE`, better than characters that it
is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import polars as pl

if TYPE_CHECKING:
    from headrace.engines.engine import Engine

Side = Literal["both", "start", "end"]

_BLOCKS: Final = (range(0x0590), range(0x1E00, 0x1F00))
CAPITALS: Final = tuple(letter for block in _BLOCKS for letter in map(chr, block) if letter.lower() != letter)
"""Of the Latin, Greek, Cyrillic and Armenian scripts; their small letters have not changed since Unicode 8."""

SPACE: Final = "".join(
    map(
        chr,
        (*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000),
    )
)
"""The characters of Unicode's property White_Space."""


def lowered(engine: Engine, text: pl.Expr) -> pl.Expr:
    """As above, by the body that suits the engine."""
    return cpu_lowered(text) if engine.name == "cpu" else anywhere_lowered(text)


def stripped(engine: Engine, text: pl.Expr, characters: str, side: Side) -> pl.Expr:
    """As above, by the body that suits the engine."""
    return (cpu_stripped if engine.name == "cpu" else anywhere_stripped)(text, characters, side)


def cpu_lowered(text: pl.Expr) -> pl.Expr:
    """Letters of ASCII by Arrow, then letter by letter the texts that have others."""
    return text.map_batches(_lowered, return_dtype=pl.String, is_elementwise=True)


def anywhere_lowered(text: pl.Expr) -> pl.Expr:
    """Text of ASCII alone by the engines' own function, on which they agree; only the rest letter by letter."""
    plain = text.str.len_bytes() == text.str.len_chars()
    return pl.when(plain).then(text.str.to_lowercase()).otherwise(_by_letter(pl.when(~plain).then(text)))


def cpu_stripped(text: pl.Expr, characters: str, side: Side) -> pl.Expr:
    """White space by its property, other characters by name."""
    return _stripped(text, None if characters == SPACE else characters, side)


def anywhere_stripped(text: pl.Expr, characters: str, side: Side) -> pl.Expr:
    """By name: what is white space is not the same on every engine."""
    return _stripped(text, characters, side)


def _lowered(texts: pl.Series) -> pl.Series:
    import pyarrow.compute as pc

    found = pl.Series(texts.name, pc.ascii_lower(texts.to_arrow(compat_level=_LARGE_STRINGS)), pl.String)
    others = (texts.str.len_bytes() != texts.str.len_chars()).arg_true()
    if len(others):
        found = found.scatter(others, pl.select(_by_letter(pl.lit(texts.gather(others)))).to_series())
    return found


def _by_letter(text: pl.Expr) -> pl.Expr:
    return text.str.replace_many(list(CAPITALS), [letter.lower() for letter in CAPITALS])


def _stripped(text: pl.Expr, characters: str | None, side: Side) -> pl.Expr:
    match side:
        case "both":
            return text.str.strip_chars(characters)
        case "start":
            return text.str.strip_chars_start(characters)
        case "end":
            return text.str.strip_chars_end(characters)


_LARGE_STRINGS: Final = pl.CompatLevel.oldest()
"""Arrow computes on no other text."""
