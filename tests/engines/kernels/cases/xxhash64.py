"""Cases of the kernel `hash64` for strings: every body must agree with the xxhash package."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl
import xxhash
from hypothesis import strategies as st


class Case(NamedTuple):
    """A column of strings, a seed, and the hashes."""

    name: str
    texts: list[str | None]
    seed: int
    expected: list[int | None]

    @property
    def rows(self) -> pl.DataFrame:
        return pl.DataFrame({"x": self.texts}, schema={"x": pl.String})


def case(name: str, texts: list[str | None], seed: int = 0) -> Case:
    return Case(name, texts, seed, [None if t is None else xxhash.xxh64_intdigest(t.encode(), seed) for t in texts])


# One of each length that the algorithm treats on its own: below 4, 8 and 32 bytes, at these, above them.
LENGTHS: list[str | None] = [
    "x" * n for n in (0, 1, 3, 4, 5, 7, 8, 9, 11, 12, 16, 31, 32, 33, 35, 39, 40, 63, 64, 1000)
]

CASES = (
    Case("published vectors", ["", "a", "abc"], 0, [0xEF46DB3751D8E999, 0xD24EC4F1A98C6E5B, 0x44BC2CF5AD770999]),
    Case("a published vector with a seed", [""], 2654435761, [0xAC75FDA2929B17EF]),
    case("every length", LENGTHS),
    case("every length, a seed", LENGTHS, 7),
    case("the greatest seed", LENGTHS, 2**64 - 1),
    case("letters of several bytes, zeros", ["žluť", "日本", "\U0001f600", "\x00", "a\x00"], 1),
    case("nulls", [None, "a", None, ""], 3),
    case("nothing but nulls", [None, None]),
    case("no rows", []),
    case("one row", ["a"]),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any strings and seed."""
    texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=50)
    return case("drawn", draw(st.lists(st.none() | texts, max_size=10)), draw(st.integers(0, 2**64 - 1)))
