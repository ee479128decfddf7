"""Cases of the kernel `join_asof`: what goes in, what must come out of every body."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl
from hypothesis import strategies as st

START = datetime(2020, 1, 1)
HOUR = timedelta(hours=1)
MICROSECONDS = pl.Datetime("us")
KEYED = {"by": ("k",)}


class Case(NamedTuple):
    """Rows with a time `t`, a table with a time `tt` and its row number `v`, the options, and the `v` of each row."""

    name: str
    rows: pl.DataFrame
    table: pl.DataFrame
    how: Mapping[str, Any]
    expected: list[int | None]

    @property
    def options(self) -> dict[str, Any]:
        defaults = {"by": (), "left_on": "t", "right_on": "tt", "direction": "backward", "tolerance": None}
        return {**defaults, "exact": True, **self.how}


def at(hour: float | None) -> datetime | None:
    return None if hour is None else START + hour * HOUR


def case(
    name: str,
    rows: list[tuple[Any, ...]],
    table: list[tuple[Any, ...]],
    expected: list[int | None],
    *,
    key: Any = pl.String,
    time: Any = MICROSECONDS,
    **how: Any,
) -> Case:
    """Rows and table as (keys..., hour); Dates take the hours for days."""
    keys = how.get("by", ())
    schema = dict(zip(keys, [key] * len(keys), strict=True))

    def frame(what: list[tuple[Any, ...]], column: str) -> pl.DataFrame:
        moments = [(*r[:-1], _moment(r[-1], time)) for r in what]
        numbered = pl.DataFrame(moments, schema={**schema, column: time}, orient="row")
        return numbered.with_columns(pl.Series("row" if column == "t" else "v", range(len(what)), pl.Int64))

    return Case(name, frame(rows, "t"), frame(table, "tt"), how, expected)


def _moment(hour: float | None, time: Any) -> Any:
    if time == pl.Date:
        return None if hour is None else date(2020, 1, 1) + timedelta(days=int(hour))
    return at(hour)


TABLE = [("a", 3), ("a", 1), ("b", 2)]
TIES = [("a", 1), ("a", 1), ("a", 1), ("b", 1)]
LATE, EARLY = 2**62, -(2**62) - 5  # farther apart than Int64 counts


def ticks(name: str, row: int, table: int, direction: str) -> Case:
    """Times in nanoseconds by their number."""
    time = pl.Datetime("ns")
    rows = pl.DataFrame({"t": pl.Series([row]).cast(time), "row": [0]})
    known = pl.DataFrame({"tt": pl.Series([table]).cast(time), "v": [0]})
    return Case(name, rows, known, {"tolerance": timedelta(days=1), "direction": direction}, [None])


CASES = (
    case(
        "the last earlier or equal row of the key",
        [("a", 5), ("a", 3), ("a", 2), ("a", 0), ("b", 1), ("b", 9), ("c", 9)],
        TABLE,
        [0, 0, 1, None, None, 2, None],
        **KEYED,
    ),
    case("not exact", [("a", 3), ("a", 4), ("a", 1)], TABLE, [1, 0, None], exact=False, **KEYED),
    case("tolerance", [("a", 5), ("a", 6)], TABLE, [0, None], tolerance=2 * HOUR, **KEYED),
    case("no tolerance at all", [("a", 3), ("a", 4)], TABLE, [0, None], tolerance=timedelta(0), **KEYED),
    case("a tolerance without end", [("a", 3), ("a", 4)], TABLE, [0, 0], tolerance=timedelta.max, **KEYED),
    case("forward", [("a", 0), ("a", 1), ("a", 2), ("a", 4)], TABLE, [1, 1, 0, None], direction="forward", **KEYED),
    case(
        "forward, not exact",
        [("a", 0), ("a", 1), ("a", 2), ("a", 3)],
        TABLE,
        [1, 0, 0, None],
        direction="forward",
        exact=False,
        **KEYED,
    ),
    case(
        "forward within a tolerance",
        [("a", -2), ("a", -1)],
        TABLE,
        [None, 1],
        direction="forward",
        tolerance=2 * HOUR,
        **KEYED,
    ),
    case("ties: the last backward", [("a", 1), ("a", 2), ("b", 2)], TIES, [2, 2, 3], **KEYED),
    case("ties: the first forward", [("a", 1), ("a", 0), ("b", 0)], TIES, [0, 0, 3], direction="forward", **KEYED),
    case("ties, not exact", [("a", 1), ("a", 2)], TIES, [None, 2], exact=False, **KEYED),
    case(
        "nulls backward",
        [(None, 2), ("a", None), ("a", 2)],
        [(None, 1), ("a", None), ("a", 1)],
        [None, None, 2],
        **KEYED,
    ),
    case(
        "nulls forward",
        [(None, 0), ("a", None), ("a", 0)],
        [(None, 1), ("a", None), ("a", 1)],
        [None, None, 2],
        direction="forward",
        **KEYED,
    ),
    case("without keys", [(5,), (0,), (None,)], [(3,), (1,)], [0, None, None]),
    case("without keys, forward", [(5,), (2,), (None,)], [(3,), (1,)], [None, 0, None], direction="forward"),
    case(
        "two keys",
        [("a", "x", 5), ("a", "y", 5), ("b", "x", 5), ("a", None, 5)],
        [("a", "x", 1), ("a", "y", 9), ("b", "x", 2), ("a", None, 1)],
        [0, None, 2, None],
        by=("k", "l"),
    ),
    case("integer keys beyond 2^53", [(2**53, 5), (2**53 + 1, 5)], [(2**53 + 1, 1)], [None, 0], key=pl.Int64, **KEYED),
    case(
        "float keys: NaN is one key, and the zeros are",
        [(math.nan, 5), (-0.0, 5), (1.0, 5), (None, 5)],
        [(math.nan, 1), (0.0, 2)],
        [0, 1, None, None],
        key=pl.Float64,
        **KEYED,
    ),
    case("boolean keys", [(True, 5), (False, 5)], [(False, 1)], [None, 0], key=pl.Boolean, **KEYED),
    case("dates", [("a", 5), ("a", 6)], [("a", 3)], [0, None], time=pl.Date, tolerance=60 * HOUR, **KEYED),
    case(
        "milliseconds", [("a", 5), ("a", 6)], [("a", 3)], [0, None], time=pl.Datetime("ms"), tolerance=2 * HOUR, **KEYED
    ),
    case(
        "nanoseconds", [("a", 5), ("a", 6)], [("a", 3)], [0, None], time=pl.Datetime("ns"), tolerance=2 * HOUR, **KEYED
    ),
    ticks("farther apart than Int64 counts, backward", LATE, EARLY, "backward"),
    ticks("farther apart than Int64 counts, forward", EARLY, LATE, "forward"),
    case("no rows", [], TABLE, [], **KEYED),
    case("an empty table", [("a", 1), (None, None)], [], [None, None], tolerance=HOUR, **KEYED),
    case("a table of nulls", [("a", 1)], [(None, 1), ("a", None)], [None], **KEYED),
    case("one row and one match", [("a", 1)], [("a", 1)], [0], **KEYED),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any rows and table with few keys and times, so that they meet; the matches by looking at every pair."""
    width = draw(st.integers(0, 2))
    keys = [st.none() | st.sampled_from(["a", "b", "aa"]) for _ in range(width)]
    points = st.tuples(*keys, st.none() | st.integers(0, 12))
    rows, table = draw(st.lists(points, max_size=12)), draw(st.lists(points, max_size=12))
    how = {
        "by": ("k", "l")[:width],
        "direction": draw(st.sampled_from(["backward", "forward"])),
        "tolerance": draw(st.none() | st.integers(0, 6).map(lambda hours: hours * HOUR)),
        "exact": draw(st.booleans()),
    }
    time = draw(st.sampled_from([pl.Datetime("us"), pl.Datetime("ns"), pl.Datetime("ms", "Europe/Prague")]))
    expected = [_matched(row, table, how) for row in rows]
    return case("drawn", rows, table, expected, time=time, **how)


def _matched(row: tuple[Any, ...], table: list[tuple[Any, ...]], how: Mapping[str, Any]) -> int | None:
    *key, time = row
    if None in row:
        return None
    backward = how["direction"] == "backward"
    best: tuple[int, int] | None = None
    for n, (*other, moment) in enumerate(table):
        if moment is None or other != key:
            continue
        apart = time - moment if backward else moment - time
        if apart < 0 or (apart == 0 and not how["exact"]):
            continue
        if how["tolerance"] is not None and apart * HOUR > how["tolerance"]:
            continue
        candidate = (apart, -n if backward else n)
        best = candidate if best is None else min(best, candidate)
    return None if best is None else abs(best[1])
