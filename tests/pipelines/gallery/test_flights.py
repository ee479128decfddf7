from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.pipelines.conftest import published, rows_of, sums

from headrace.catalog.manifest import Manifest
from headrace.engines import translation
from headrace.pipelines.gallery.flights.pipeline import CATEGORIES, NOW, PAST, TAXI_MINUTES, WEATHER, pipeline
from headrace.pipelines.gallery.flights.sample import write_sample
from headrace.pipelines.model import Output, Pipeline
from headrace.pipelines.sources import read_tables
from headrace.pipelines.translate import translation_report
from headrace.transforms.base import Learner
from headrace.transforms.shape import Derive
from headrace.transforms.target import TargetEncode

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_report")]

MONTHS = (4, 5, 6, 7, 9, 10, 11, 12)
KEEP = ("departure", "carrier_code", "flight", "origin_code", "tail", "dest_code")
ENCODED = ("dest_target", "carrier_target")
Rows = Callable[[pl.DataFrame], pl.DataFrame]


def variant(root: Path, *, learned: bool = True) -> Pipeline:
    """The pipeline without baselines, with keys kept; unless `learned`, without what learns from the whole split."""
    keys = Derive(
        carrier_code=pl.col("carrier"),
        origin_code=pl.col("origin"),
        tail=pl.col("tailnum"),
        dest_code=pl.col("dest"),
    )
    steps = [keys, *pipeline.steps]
    features = pipeline.output.features
    if not learned:
        steps = [s for s in steps if not isinstance(s, Learner) or isinstance(s, TargetEncode)]
        assert features is not None
        own = [n for n in features.names if n not in CATEGORIES and not n.endswith("_isnull")]
        features = type(features)(names=tuple(own))
    output = Output(features=features, keep=KEEP, order="source")
    return pipeline.model_copy(
        update={
            "source": pipeline.source.model_copy(update={"root": str(root)}),
            "steps": tuple(steps),
            "baselines": (),
            "output": output,
            "max_bad_fraction": 0.5,
        }
    )


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("flights") / "s", months=MONTHS, rows_per_month=1500).folder


def changed(sample: Path, folder: Path, flights: Rows = lambda f: f, weather: Rows = lambda w: w) -> Path:
    """A copy of the sample with its flights and weather put through functions; rows keep their places."""
    (folder / "flights").mkdir(parents=True)
    for name in ("planes", "airports", "airlines"):
        (folder / f"{name}.parquet").write_bytes((sample / f"{name}.parquet").read_bytes())
    weather(pl.read_parquet(sample / "weather.parquet")).write_parquet(folder / "weather.parquet")
    for path in sorted((sample / "flights").glob("flights-2013-??.parquet")):
        flights(pl.read_parquet(path)).write_parquet(folder / "flights" / path.name, row_group_size=4096)
    return folder


def features(version: tuple[Manifest, Path], before: datetime | None = None) -> pl.DataFrame:
    frame = rows_of(*version).sort("departure", "carrier_code", "flight", "origin_code")
    return frame if before is None else frame.filter(pl.col("departure") < before)


LATE = datetime(2013, 11, 16, tzinfo=UTC)
JUNE = datetime(2013, 6, 1, tzinfo=UTC)
DEPARTURE = pl.col("time_hour") + pl.duration(minutes=pl.col("minute"))


def removed_from(moment: datetime) -> Rows:
    # The damaged rows, some without a time, stay.
    return lambda rows: rows.filter((moment > DEPARTURE).fill_null(True))


def altered_from(moment: datetime) -> Rows:
    """Other delays, times in the air and aircraft after a moment."""
    after = (moment <= DEPARTURE) & pl.col("arr_delay").is_not_null()
    other = {
        "arr_delay": pl.col("arr_delay").reverse().fill_null(400) % 400,
        "dep_delay": (pl.col("flight") * 13) % 300,
        "air_time": (pl.col("flight") * 7) % 400 + 20,
        "tailnum": pl.col("tailnum").reverse(),
    }
    return lambda rows: rows.with_columns(
        pl.when(after).then(e).otherwise(pl.col(n)).alias(n) for n, e in other.items()
    )


@pytest.fixture(scope="module")
def whole(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    return published(variant(sample), tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def unlearned(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    return published(variant(sample, learned=False), tmp_path_factory.mktemp("unlearned"))


@pytest.mark.parametrize("how", [removed_from, altered_from])
def test_no_feature_changes_when_what_comes_after_it_does(
    how: Callable[[datetime], Rows], sample: Path, whole: tuple[Manifest, Path], tmp_path: Path
) -> None:
    """All fitted state is from before October, so every feature before the middle of November must stay, bit by bit.

    Removing drops the test split, so it keeps December's flights and removes the second half of November.
    """
    remove = how(LATE)
    keep_december = datetime(2013, 12, 1, 5, tzinfo=UTC) <= DEPARTURE

    def flights(rows: pl.DataFrame) -> pl.DataFrame:
        if how is altered_from:
            return remove(rows)
        return rows.filter((DEPARTURE < LATE).fill_null(True) | keep_december)

    other = published(variant(changed(sample, tmp_path / "s", flights)), tmp_path / "c")
    expected = features(whole, LATE)
    assert expected.height > 7000
    assert_frame_equal(features(other, LATE), expected, check_exact=True)
    assert not features(other).equals(features(whole))


@pytest.mark.parametrize("how", [removed_from, altered_from])
def test_no_feature_changes_inside_the_training_split_either(
    how: Callable[[datetime], Rows], sample: Path, unlearned: tuple[Manifest, Path], tmp_path: Path
) -> None:
    """Windows, weather, lags and encodings of training rows before June, when all from June to August is other."""
    change = how(JUNE)
    later = datetime(2013, 9, 1, tzinfo=UTC) <= DEPARTURE

    def flights(rows: pl.DataFrame) -> pl.DataFrame:
        if how is altered_from:
            return change(rows)
        return rows.filter((DEPARTURE < JUNE).fill_null(True) | later)

    other = published(variant(changed(sample, tmp_path / "s", flights), learned=False), tmp_path / "c")
    expected = features(unlearned, JUNE)
    assert set(expected.columns) >= {*PAST, *NOW, *WEATHER, *ENCODED}
    assert expected.height > 2500
    assert expected["dest_target"].n_unique() > 20
    assert_frame_equal(features(other, JUNE), expected, check_exact=True)


def test_weather_counts_only_an_hour_after_it_was_observed(
    sample: Path, unlearned: tuple[Manifest, Path], tmp_path: Path
) -> None:
    """Other weather from June on changes nothing for departures up to an hour later."""
    hot = [pl.when(pl.col("time_hour") >= JUNE).then(pl.col(c) + 50.0).otherwise(pl.col(c)).alias(c) for c in WEATHER]
    folder = changed(sample, tmp_path / "s", weather=lambda rows: rows.with_columns(hot))
    other = published(variant(folder, learned=False), tmp_path / "c")
    until = JUNE + timedelta(hours=1)
    assert_frame_equal(features(other, until), features(unlearned, until), check_exact=True)
    after = features(unlearned).filter(pl.col("departure").is_between(until, until + timedelta(days=2)))
    same = features(other).filter(pl.col("departure").is_between(until, until + timedelta(days=2)))
    assert (after["temp"] != same["temp"]).all()


def test_the_values_of_some_flights_worked_out_row_by_row(sample: Path, unlearned: tuple[Manifest, Path]) -> None:
    """Plain Python over the raw rows: the flight before, means over the past, the weather an hour before."""
    raw = pl.concat([pl.read_parquet(p) for p in sorted((sample / "flights").glob("flights-2013-??.parquet"))])
    raw = raw.drop_nulls(["dep_time", "arr_delay", "time_hour"]).with_columns(departure=DEPARTURE)
    # Flight numbers from 9001 are the damaged rows.
    flown = raw.filter(pl.col("flight") < 9000).unique(maintain_order=True).to_dicts()
    weather = pl.read_parquet(sample / "weather.parquet").to_dicts()
    for row in flown:
        row["left"] = row["departure"] + timedelta(minutes=row["dep_delay"])
        row["landed"] = row["left"] + timedelta(minutes=row["air_time"] + TAXI_MINUTES)
    published_rows = features(unlearned).to_dicts()
    seen_previous = 0
    for now in random.Random(7).sample(published_rows, 60):
        at, origin, carrier = now["departure"], now["origin_code"], now["carrier_code"]

        def mean(values: list[int]) -> float | None:
            return sum(values) / len(values) if values else None

        week = [r for r in flown if at - timedelta(days=7) <= r["landed"] < at]
        assert now["origin_delay_7d"] == approx(mean([r["arr_delay"] for r in week if r["origin"] == origin]))
        assert now["carrier_delay_7d"] == approx(mean([r["arr_delay"] for r in week if r["carrier"] == carrier]))
        route = [r["arr_delay"] for r in week if (r["origin"], r["dest"]) == (origin, now["dest_code"])]
        assert now["route_delay_7d"] == approx(mean(route))
        hours = [r for r in flown if at - timedelta(hours=3) <= r["left"] < at and r["origin"] == origin]
        assert now["origin_departures_3h"] == len(hours)
        assert now["origin_departure_delay_3h"] == approx(clipped(mean([r["dep_delay"] for r in hours])))

        of_tail = [r for r in flown if now["tail"] is not None and r["tailnum"] == now["tail"]]
        before = [r for r in of_tail if r["departure"] < at]
        previous = max(before, key=lambda r: r["departure"], default=None)
        known = previous is not None and previous["landed"] < at
        assert now["previous_delay"] == (clipped(previous["arr_delay"]) if previous and known else None)
        seen_previous += known

        by_then = [w for w in weather if w["origin"] == origin and w["time_hour"] <= at - timedelta(hours=1)]
        last = max(by_then, key=lambda w: w["time_hour"])
        fresh = last["time_hour"] >= at - timedelta(hours=6)
        for column in ("temp", "wind_speed", "pressure", "visib"):
            assert now[column] == (last[column] if fresh else None), column
    assert seen_previous > 10


def approx(value: float | None) -> object:
    return None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)


def clipped(value: float | None) -> float | None:
    return None if value is None else min(max(value, -30), 240)


def test_encodings_of_training_rows_are_those_of_earlier_months(unlearned: tuple[Manifest, Path]) -> None:
    """The mean of `late` over the months before, smoothed by 50 rows of the mean of all, in plain Python."""
    train = rows_of(*unlearned, "train")
    rows = train.select("departure", "late", "dest_code", "dest_target").to_dicts()
    checked = 0
    for now in random.Random(3).sample(rows, 40):
        month = now["departure"].replace(day=1, hour=0, minute=0, second=0)
        earlier = [r for r in rows if r["departure"] < month]
        if not earlier:
            assert now["dest_target"] == 0.25
            continue
        prior = sum(r["late"] for r in earlier) / len(earlier)
        own = [r["late"] for r in earlier if r["dest_code"] == now["dest_code"]]
        assert now["dest_target"] == pytest.approx((sum(own) + 50 * prior) / (len(own) + 50), rel=1e-6)
        checked += 1
    assert checked > 20


def test_a_small_sample_gives_equal_sums_however_it_is_run(
    sample: Path, whole: tuple[Manifest, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 1000)
    again, _ = published(variant(sample), tmp_path / "c", partition_bytes=1)
    assert sums(again) == sums(whole[0])


def test_damage_is_quarantined_and_the_counts_add_up(whole: tuple[Manifest, Path]) -> None:
    quality = whole[0].quality
    assert quality.rows_in == 1500 * len(MONTHS) + 40
    assert quality.quarantined == 40
    assert [Path(f.path).name for f in quality.bad_files] == ["flights-2013-13-truncated.parquet"]
    assert quality.rows_in == quality.rows_published + quality.filtered + quality.quarantined


def test_every_query_runs_on_the_gpu_but_for_the_named_kernels(sample: Path) -> None:
    findings = translation_report(variant(sample), read_tables(variant(sample), rows=False))
    assert [(f.part, f.lacking) for f in findings if f.lacking] == []
    assert {kernel for f in findings for kernel in f.kernels} <= set(translation.KERNELS)
    assert {f.part for f in findings if f.number == 0} == {"contract", "split"}


def test_all_flights_give_equal_sums_alone_and_on_a_cluster(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("all")
    everything = variant(write_sample(folder / "s").folder)
    alone, _ = published(everything, folder / "c")
    assert alone.quality.rows_in == 336_776 + 40
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 40_000)
    spread, _ = published(everything, folder / "c", cluster="local:2", partition_bytes=3_000_000)
    assert sums(spread) == sums(alone)
