"""Cases of the kernel `rolling`: what goes in, what must come out of every body."""

from __future__ import annotations

import math
import statistics
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, get_args

import polars as pl
from hypothesis import strategies as st

from headrace.engines.kernels.rolling import Output, Statistic

START = datetime(2020, 1, 1)
HOUR = timedelta(hours=1)
MICROSECONDS = pl.Datetime("us")
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
OUTPUTS = tuple(Output(statistic, "x", statistic) for statistic in STATISTICS)
NAN, INF = math.nan, math.inf


class Case(NamedTuple):
    """Rows with keys, times `t` and `known`, values `x`; the options, and a row of statistics for each."""

    name: str
    rows: pl.DataFrame
    by: tuple[str, ...]
    known_at: str | None
    length: timedelta
    expected: list[dict[Statistic, float | None]]

    @property
    def options(self) -> dict[str, Any]:
        return {"by": self.by, "on": "t", "known_at": self.known_at, "length": self.length, "outputs": OUTPUTS}


def case(
    name: str,
    rows: list[tuple[Any, ...]],
    *,
    hours: float = 10,
    by: tuple[str, ...] = ("k",),
    known: bool = False,
    key: Any = pl.String,
    time: Any = MICROSECONDS,
    value: Any = pl.Float64,
) -> Case:
    """Rows as (keys..., hour, value), and the hour known where `known` is true; Dates take the hours for days."""
    width = len(by)
    data = [
        (*r[:width], _moment(r[width], time), r[width + 1], _moment(r[width + 2], time) if known else None)
        for r in rows
    ]
    schema = {**dict.fromkeys(by, key), "t": time, "x": value, "known": time}
    frame = pl.DataFrame(data, schema=schema, orient="row", strict=False)
    unit = 24 if time == pl.Date else 1
    expected = [_expected(r, rows, width, hours / unit, known) for r in rows]
    return Case(name, frame, by, "known" if known else None, hours * HOUR, expected)


def _moment(hour: float | None, time: Any) -> Any:
    if hour is None:
        return None
    if time == pl.Date:
        return date(2020, 1, 1) + timedelta(days=int(hour))
    return START + hour * HOUR


def _expected(
    row: tuple[Any, ...], rows: list[tuple[Any, ...]], width: int, hours: float, known: bool
) -> dict[Statistic, float | None]:
    """By looking at every row, and with Python's own arithmetic."""
    key, time = row[:width], row[width]
    if time is None or None in key:
        return dict.fromkeys(STATISTICS)
    window = []
    for other in rows:
        moment, value = other[width + 2] if known else other[width], other[width + 1]
        if moment is None or value is None or not all(map(_same, other[:width], key)):
            continue
        if time - hours <= moment < time:
            window.append(float(value))
    return {
        "count": len(window),
        "sum": sum(window),
        "mean": sum(window) / len(window) if window else None,
        "min": _extreme(window, min),
        "max": _extreme(window, max),
        "std": _deviation(window),
    }


def _same(a: Any, b: Any) -> bool:
    return bool(a == b or (a != a and b != b))


def _extreme(window: list[float], choose: Any) -> float | None:
    if not window:
        return None
    return NAN if any(map(math.isnan, window)) else float(choose(window))


def _deviation(window: list[float]) -> float | None:
    if len(window) < 2:
        return None
    return statistics.stdev(window) if all(map(math.isfinite, window)) else NAN


CASES = (
    case("the rows before", [("a", 1, 1.0), ("a", 2, 2.0), ("a", 3, 6.0), ("a", 4, 0.0)]),
    case("the window has its beginning and not its end", [("a", 0, 1.0), ("a", 10, 2.0), ("a", 20.5, 4.0)]),
    case("rows of one time do not see each other", [("a", 1, 1.0), ("a", 2, 2.0), ("a", 2, 4.0), ("a", 3, 8.0)]),
    case("keys are apart", [("b", 5, 1.0), ("a", 4, 2.0), ("b", 1, 4.0), ("a", 9, 8.0), ("a", 1, 16.0)]),
    case("null keys and times", [(None, 1, 1.0), (None, 2, 1.0), ("a", None, 1.0), ("a", 2, 2.0), ("a", 3, 2.0)]),
    case("null values", [("a", 1, None), ("a", 2, 3.0), ("a", 3, None), ("a", 4, None)]),
    case("nothing but null values", [("a", 1, None), ("a", 2, None)]),
    case("nothing but null keys", [(None, 1, 1.0), (None, 2, 2.0)]),
    case(
        "known later, earlier and never",
        [("a", 1, 1.0, 2), ("a", 2, 2.0, 9), ("a", 3, 4.0, None), ("a", 9, 8.0, 10), ("a", 9.5, 16.0, 1)],
        known=True,
    ),
    case(
        "known, with null times and keys",
        [("a", None, 1.0, 2), (None, 2, 2.0, 1), ("a", 3, 4.0, None), ("b", 3, 1.0, 1)],
        known=True,
    ),
    case("a great value leaves no trace", [("a", 0, 1e20), ("a", 1, 1.0), ("a", 10.5, 2.0), ("a", 11.5, 0.0)]),
    case("NaN in the window and out of it", [("a", 0, NAN), ("a", 1, 1.0), ("a", 10.5, 3.0), ("a", 10.9, 0.0)]),
    case("NaN last", [("a", 0, 1.0), ("a", 1, NAN), ("a", 2, 3.0), ("b", 0, 1.0), ("b", 1, 1.0)]),
    case("nothing but NaN", [("a", 0, NAN), ("a", 1, NAN), ("a", 2, NAN)]),
    case("NaN beside null", [("a", 0, None), ("a", 1, NAN), ("a", 2, None), ("a", 3, 1.0), ("a", 4, 1.0)]),
    case(
        "infinities", [("a", 0, INF), ("a", 1, 1.0), ("a", 2, 2.0), ("a", 10.5, -INF), ("a", 12.5, 5.0), ("a", 14, 1.0)]
    ),
    case("both infinities at once", [("a", 0, INF), ("a", 1, -INF), ("a", 2, 2.0), ("a", 3, 2.0)]),
    case("equal values", [("a", n, 0.1) for n in range(8)]),
    case("two keys", [("a", "x", 1, 1.0), ("a", "y", 1, 2.0), ("a", "x", 2, 4.0), ("a", None, 3, 1.0)], by=("k", "l")),
    case("integer keys beyond 2^53", [(2**53, 1, 1.0), (2**53 + 1, 2, 2.0), (2**53 + 1, 3, 4.0)], key=pl.Int64),
    case(
        "float keys: NaN is one key, and the zeros are",
        [(NAN, 1, 1.0), (NAN, 2, 2.0), (0.0, 1, 4.0), (-0.0, 2, 8.0), (None, 3, 1.0)],
        key=pl.Float64,
    ),
    case("date keys", [(START.date(), 1, 1.0), (START.date(), 2, 2.0)], key=pl.Date),
    case("integers beyond 2^53 are taken as Float64", [("a", 1, 2**53 + 1), ("a", 2, 1), ("a", 3, 1)], value=pl.Int64),
    case("booleans", [("a", 1, True), ("a", 2, False), ("a", 3, None), ("a", 4, True)], value=pl.Boolean),
    case("Float32", [("a", 1, 0.5), ("a", 2, 1.5), ("a", 3, 1.0)], value=pl.Float32),
    case("dates", [("a", 1, 1.0), ("a", 2, 2.0), ("a", 9, 4.0)], time=pl.Date, hours=7 * 24),
    case("dates and a window of days and hours", [("a", n, float(n)) for n in range(5)], time=pl.Date, hours=60),
    case("milliseconds", [("a", 1, 1.0), ("a", 5, 2.0), ("a", 11.5, 4.0)], time=pl.Datetime("ms")),
    case("nanoseconds", [("a", 1, 1.0), ("a", 5, 2.0), ("a", 11.5, 4.0)], time=pl.Datetime("ns")),
    case(
        "a day of 24 hours when the clocks change",
        [("a", 24 * 88 - 1, 1.0), ("a", 24 * 89 - 1, 2.0), ("a", 24 * 89, 4.0)],
        hours=24,
        time=pl.Datetime("us", "Europe/Prague"),
    ),
    case("no rows", []),
    case("no rows, known", [], known=True),
    case("one row", [("a", 1, 1.0)]),
    case("one row, known before", [("a", 5, 1.0, 4)], known=True),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any rows with few keys and times; values for which no arithmetic loses much."""
    known, width = draw(st.booleans()), draw(st.integers(1, 2))
    value = st.none() | st.integers(-1000, 1000).map(lambda n: n / 8) | st.sampled_from([NAN, INF, -INF, 0.0, -0.0])
    hour = st.none() | st.integers(0, 20)
    keys = [st.none() | st.sampled_from(["a", "b"]) for _ in range(width)]
    points = st.tuples(*keys, hour, value, *([hour] if known else []))
    rows = draw(st.lists(points, max_size=16))
    return case("drawn", rows, hours=draw(st.integers(1, 12)), by=("k", "l")[:width], known=known)
