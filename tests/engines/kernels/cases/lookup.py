"""Cases of the kernel `lookup`: what goes in, what must come out of every body."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

import polars as pl
from hypothesis import strategies as st


class Case(NamedTuple):
    """A column, a vocabulary, the kernel's options, and the ids."""

    name: str
    column: pl.Series
    vocabulary: pl.Series
    how: Mapping[str, int]
    expected: list[int | None]

    @property
    def rows(self) -> pl.DataFrame:
        return pl.DataFrame({"x": self.column, "row": range(len(self.column))}, schema_overrides={"row": pl.Int64})

    @property
    def table(self) -> pl.DataFrame:
        return pl.DataFrame({"value": self.vocabulary, "count": [1] * len(self.vocabulary)})


DAYS = [date(2020, 1, n) for n in (1, 2, 3)]
FAR = 2**53
ALL = {"first": 5, "missing": 2, "null": 1}


def case(
    name: str, column: list[Any], vocabulary: list[Any], dtype: Any, expected: list[int | None], **how: int
) -> Case:
    return Case(name, pl.Series("x", column, dtype), pl.Series("value", vocabulary, dtype), how, expected)


CASES = (
    case("strings", ["b", None, "c", "a", "b"], ["a", "b"], pl.String, [1, None, None, 0, 1]),
    case("the order of the vocabulary", ["b", "a", "c"], ["c", "a", "b"], pl.String, [2, 1, 0]),
    case("first", ["b", None, "c", "a"], ["b", "a"], pl.String, [5, None, None, 6], first=5),
    case("all options", ["b", None, "c", "a"], ["b", "a"], pl.String, [5, 1, 2, 6], **ALL),
    case("missing alone", ["b", None, "c"], ["b"], pl.String, [0, None, 9], missing=9),
    case("null alone", ["b", None, "c"], ["b"], pl.String, [0, 9, None], null=9),
    case("missing and null alike", ["b", None, "c"], ["b"], pl.String, [0, 0, 0], missing=0, null=0),
    case("before and after all values", ["a", "z", "m"], ["m"], pl.String, [2, 2, 5], **ALL),
    case(
        "empty strings, prefixes and zeros", ["", "a", "a\x00", "aa"], ["aa", "", "a\x00"], pl.String, [1, None, 2, 0]
    ),
    case(
        "letters of several bytes",
        ["é", "z", "日", "\U0001f600", "\uffff"],
        ["日", "é", "\U0001f600"],
        pl.String,
        [1, None, 0, 2, None],
    ),
    case("integers beyond 2^53", [FAR, FAR + 1, FAR + 2], [FAR + 1], pl.Int64, [None, 0, None]),
    case("the ends of Int64", [-(2**63), 2**63 - 1, 0], [2**63 - 1, -(2**63)], pl.Int64, [1, 0, None]),
    case("UInt64 beyond Int64", [2**63, 2**64 - 1, 1], [2**64 - 1, 2**63], pl.UInt64, [1, 0, None]),
    case("small integers", [-128, None, 127], [127, -128], pl.Int8, [6, 1, 5], **ALL),
    case("UInt16", [7, 65535], [65535], pl.UInt16, [None, 0]),
    case("booleans", [True, False, None], [True], pl.Boolean, [0, 7, 8], missing=7, null=8),
    case("dates", [DAYS[1], None, DAYS[2], DAYS[0]], DAYS[:2], pl.Date, [1, None, None, 0]),
    case("an empty vocabulary of strings", ["a", None], [], pl.String, [2, 1], **ALL),
    case("an empty vocabulary of integers", [1, None], [], pl.Int64, [None, None]),
    case("no rows", [], ["a"], pl.String, [], **ALL),
    case("neither rows nor values", [], [], pl.Date, [], **ALL),
    case("one row", ["a"], ["a"], pl.String, [0]),
    case("nothing but nulls", [None, None], ["a"], pl.String, [1, 1], **ALL),
)

VALUES: dict[Any, st.SearchStrategy[Any]] = {
    pl.String: st.text(st.characters(exclude_categories=("Cs",)), max_size=3) | st.sampled_from(["", "a", "aa", "b"]),
    pl.Int64: st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3) | st.integers(FAR - 2, FAR + 2),
    pl.UInt64: st.integers(0, 2**64 - 1) | st.integers(2**63 - 2, 2**63 + 2),
    pl.Int8: st.integers(-128, 127),
    pl.Boolean: st.booleans(),
    pl.Date: st.dates(date(1969, 12, 25), date(1970, 1, 5)),
}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any column and vocabulary; the ids from a dictionary."""
    dtype = draw(st.sampled_from(list(VALUES)))
    values = VALUES[dtype]
    vocabulary = draw(st.lists(values, unique=True, max_size=12))
    known = st.sampled_from(vocabulary) if vocabulary else values
    column = draw(st.lists(st.none() | values | known, max_size=25))
    how = draw(st.fixed_dictionaries({}, optional={name: st.integers(0, 9) for name in ("first", "missing", "null")}))
    ids = {value: how.get("first", 0) + n for n, value in enumerate(vocabulary)}
    expected = [how.get("null") if v is None else ids.get(v, how.get("missing")) for v in column]
    return case("drawn", column, vocabulary, dtype, expected, **how)
