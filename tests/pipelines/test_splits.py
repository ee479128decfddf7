from __future__ import annotations

from datetime import date, datetime
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from headrace.engines.cpu import CpuEngine
from headrace.pipelines.splits import FractionSplit, HashSplit, TimeSplit
from headrace.schemas.errors import PipelineError
from headrace.schemas.names import ROW, SPLIT


def parts(split: TimeSplit | HashSplit | FractionSplit, frame: pl.DataFrame) -> list[int | None]:
    """The split of each row."""
    frame = frame.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW))
    given = split.assign(frame.lazy(), frame.schema, CpuEngine()).collect()
    assert given.columns == [*frame.columns, SPLIT]
    assert given.schema[SPLIT] == pl.UInt8
    return given[SPLIT].to_list()


def by_time(**starts: Any) -> TimeSplit:
    return TimeSplit(column="t", starts=starts)


def test_a_start_belongs_to_its_split_and_null_to_none() -> None:
    split = by_time(validation="2013-10-01", test="2013-12-01")
    assert split.names == ("train", "validation", "test")
    texts = ["2013-09-30T23:59:59.999999", "2013-10-01", "2013-11-30T23:59:59.999999", "2013-12-01", None, "1969-01-01"]
    frame = pl.DataFrame({"t": [None if text is None else datetime.fromisoformat(text) for text in texts]})
    assert parts(split, frame) == [0, 1, 1, 2, None, 0]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_any_unit_of_time(unit: Any) -> None:
    frame = pl.DataFrame({"t": [datetime(2013, 9, 30, 23, 59, 59), datetime(2013, 10, 1)]})
    assert parts(by_time(test="2013-10-01"), frame.cast({"t": pl.Datetime(unit)})) == [0, 1]


def test_dates_split_by_dates() -> None:
    frame = pl.DataFrame({"t": [date(2013, 9, 30), date(2013, 10, 1), None]})
    assert parts(by_time(test="2013-10-01"), frame) == [0, 1, None]
    with pytest.raises(PipelineError, match="give dates"):
        parts(by_time(test="2013-10-01T04:00"), frame)


def test_a_start_without_a_zone_is_meant_in_the_columns_and_one_with_a_zone_is_that_moment() -> None:
    # Midnight of 1 October in New York is 04:00 in UTC.
    utc = [datetime(2013, 10, 1, 3, 59), datetime(2013, 10, 1, 4)]
    local = pl.DataFrame({"t": pl.Series(utc).dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")})
    assert parts(by_time(test="2013-10-01"), local) == [0, 1]
    assert parts(by_time(test="2013-10-01T04:00Z"), local) == [0, 1]
    assert parts(by_time(test="2013-10-01T06:00+02:00"), local) == [0, 1]
    assert parts(by_time(test="2013-10-01T04:00Z"), local.select(pl.col("t").dt.convert_time_zone("UTC"))) == [0, 1]
    assert parts(by_time(test="2013-10-01"), local.select(pl.col("t").dt.convert_time_zone("UTC"))) == [1, 1]
    with pytest.raises(PipelineError, match="has no time zone"):
        parts(by_time(test="2013-10-01T04:00Z"), pl.DataFrame({"t": utc}))


def test_clocks_that_are_set_back_or_forward() -> None:
    hours = pl.datetime_range(datetime(2013, 11, 3, 4), datetime(2013, 11, 3, 7), "1h", time_zone="UTC", eager=True)
    local = pl.DataFrame({"t": hours.dt.convert_time_zone("America/New_York")})
    assert parts(by_time(test="2013-11-03T01:00"), local) == [0, 1, 1, 1]  # the first of the two
    with pytest.raises(PipelineError, match="America/New_York skips"):
        parts(by_time(test="2013-03-10T02:30"), local)


def test_only_times_split_by_time() -> None:
    with pytest.raises(PipelineError, match="got Int64 in column 't'"):
        parts(by_time(test="2013-10-01"), pl.DataFrame({"t": [1]}))


@pytest.mark.parametrize(
    ("starts", "words"),
    [
        ({"validation": "2013-12-01", "test": "2013-10-01"}, "ascend"),
        ({"validation": "2013-10-01", "test": "2013-10-01"}, "ascend"),
        ({"train": "2013-10-01"}, "no start of its own"),
        ({"validation": "2013-10-01", "test": "2013-12-01T00:00Z"}, "time zone, or none"),
        ({"../test": "2013-10-01"}, "cannot be a split's name"),
        ({"state": "2013-10-01"}, "cannot be a split's name"),
        ({}, "at least 1"),
    ],
)
def test_starts_that_mean_nothing_are_refused(starts: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TimeSplit(column="t", starts=starts)  # type: ignore[arg-type]


def test_a_hash_split_keeps_a_key_together_and_stays_when_rows_are_added() -> None:
    split = HashSplit(columns=("k",), fractions={"train": 0.5, "test": 0.5})
    few = parts(split, pl.DataFrame({"k": ["a", "b", "c", "a", None]}))
    assert few[0] == few[3]
    assert few == parts(split, pl.DataFrame({"k": ["a", "b", "c", "a", None, "d"]}))[:5]
    assert few[0] == 1  # XXH64 of a is d24ec4f1a98c6e5b: in the upper half


def test_shares_are_those_asked_for() -> None:
    split = HashSplit(columns=("k",), fractions={"train": 0.8, "validation": 0.15, "test": 0.05})
    given = parts(split, pl.DataFrame({"k": range(100_000)}))
    assert [round(given.count(i) / 100_000, 2) for i in range(3)] == [0.8, 0.15, 0.05]


def test_the_order_of_keys_counts_and_so_does_the_seed() -> None:
    frame = pl.DataFrame({"a": range(64), "b": range(64, 128)})
    fractions = {"train": 0.5, "test": 0.5}
    one = parts(HashSplit(columns=("a", "b"), fractions=fractions), frame)
    assert one != parts(HashSplit(columns=("b", "a"), fractions=fractions), frame)
    assert one != parts(HashSplit(columns=("a", "b"), fractions=fractions, seed=1), frame)


def test_a_fraction_split_goes_by_the_number_of_the_row() -> None:
    split = FractionSplit(fractions={"train": 0.5, "test": 0.5})
    given = parts(split, pl.DataFrame({"x": ["same"] * 1000}))
    assert 450 < given.count(0) < 550
    assert given == parts(HashSplit(columns=("n",), fractions=split.fractions), pl.DataFrame({"n": range(1000)}))


@pytest.mark.parametrize(
    ("fractions", "words"),
    [
        ({"train": 0.5, "test": 0.4}, "add up to 1"),
        ({"train": 1.5, "test": -0.5}, "positive"),
        ({}, "add up to 1"),
        ({"test": 0.2, "train": 0.8}, "name train first"),
        ({"train": 0.5, "Test": 0.5}, "cannot be a split's name"),
    ],
)
def test_fractions_that_mean_nothing_are_refused(fractions: dict[str, float], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HashSplit(columns=("k",), fractions=fractions)


def test_floats_have_no_hash() -> None:
    with pytest.raises(PipelineError, match="got Float64 in column 'k'"):
        parts(HashSplit(columns=("k",), fractions={"train": 1.0}), pl.DataFrame({"k": [1.0]}))
