from __future__ import annotations

import json
import math
import random
import statistics as independent
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.catalog.dtypes import every_dtype

from headrace.catalog.manifest import Histogram, Statistics, TopValue
from headrace.catalog.partials import ColumnPartial, Partial
from headrace.catalog.statistics import measure, merge, summarize
from headrace.engines.cpu import CpuEngine, InMemory
from headrace.engines.translation import available

NAN, INF = float("nan"), float("inf")


def measured(frame: pl.DataFrame, *, first_row: int = 0, total_rows: int | None = None) -> Partial:
    return measure(InMemory(frame), CpuEngine(), first_row=first_row, total_rows=total_rows)


def of(values: list[Any], dtype: Any = None) -> Statistics:
    return summarize(measured(pl.DataFrame({"x": pl.Series(values, dtype=dtype)})))["x"]


def cut(frame: pl.DataFrame, at: list[int]) -> dict[str, Statistics]:
    """The statistics of a frame that was cut into shards."""
    ends = [0, *sorted(at), frame.height]
    shards = [(start, frame.slice(start, end - start)) for start, end in pairwise(ends)]
    return summarize(merge([measured(shard, first_row=start) for start, shard in shards]))


def assert_same(whole: dict[str, Statistics], pieces: dict[str, Statistics]) -> None:
    """Equal but for the last bits of mean and standard deviation."""
    assert list(whole) == list(pieces)
    for name, expected in whole.items():
        got = pieces[name]
        assert got.model_copy(update={"mean": None, "std": None}) == expected.model_copy(
            update={"mean": None, "std": None}
        )
        for one, other in ((expected.mean, got.mean), (expected.std, got.std)):
            scale = max(abs(float(x)) for x in (expected.min, expected.max)) if one is not None else 0.0
            assert other == (one if one is None else pytest.approx(one, rel=1e-9, abs=1e-9 * scale))


def test_numbers_are_those_anyone_would_count() -> None:
    assert of([1.0, 2.0, 2.0, None, NAN, INF, -INF, 5.0]) == Statistics(
        count=8,
        nulls=1,
        nans=1,
        infinities=2,
        min=1.0,
        max=5.0,
        mean=2.5,
        std=1.5,
        distinct=3,
        quantiles={
            "0.01": 1.0,
            "0.05": 1.0,
            "0.1": 1.0,
            "0.25": 1.0,
            "0.5": 2.0,
            "0.75": 2.0,
            "0.9": 5.0,
            "0.95": 5.0,
            "0.99": 5.0,
        },
        histogram=Histogram(edges=tuple(1.0 + i / 16 for i in range(65)), counts=(1, *[0] * 15, 2, *[0] * 46, 1)),
        top=(TopValue(value=2.0, count=2), TopValue(value=1.0, count=1), TopValue(value=5.0, count=1)),
    )


def test_integers_have_a_bin_each_where_they_are_few() -> None:
    found = of([3, 5, 5, 3, 3, 6])
    assert (found.min, found.max, found.distinct) == (3, 6, 3)
    assert found.histogram == Histogram(edges=(3.0, 4.0, 5.0, 6.0, 7.0), counts=(3, 0, 2, 1))
    assert [(top.value, top.count) for top in found.top] == [(3, 3), (5, 2), (6, 1)]
    assert found.quantiles["0.5"] == 3


@pytest.mark.parametrize(("values", "dtype"), [([True, False, True, None], pl.Boolean), ([1, 0, 1, None], pl.UInt8)])
def test_a_mask_is_counted_by_its_mean(values: list[Any], dtype: Any) -> None:
    found = of(values, dtype)
    assert (found.count, found.nulls, found.min, found.max, found.distinct) == (4, 1, 0, 1, 2)
    assert found.mean == 2 / 3
    assert found.top == (TopValue(value=1, count=2), TopValue(value=0, count=1))
    assert found.histogram == Histogram(edges=(0.0, 1.0, 2.0), counts=(1, 2))


def test_integers_beyond_2_53_stay_exact() -> None:
    values = [2**63 - 1, 2**63 - 2, -(2**63)]
    found = of(values, pl.Int64)
    assert (found.min, found.max, found.quantiles["0.5"], found.distinct) == (-(2**63), 2**63 - 1, 2**63 - 2, 3)
    assert of([2**64 - 1, 2**63], pl.UInt64).max == 2**64 - 1
    assert json.loads(found.model_dump_json())["max"] == 9223372036854775807


def test_a_small_spread_far_from_zero() -> None:
    found = of([1.6e9, 1.6e9 + 1, 1.6e9 + 2] * 1000)
    assert found.mean == 1.6e9 + 1
    assert found.std == pytest.approx(math.sqrt(2 / 3), rel=1e-9)
    pieces = cut(pl.DataFrame({"x": [1.6e9, 1.6e9 + 1, 1.6e9 + 2] * 1000}), [1, 500, 501, 2999])["x"]
    assert pieces.std == pytest.approx(math.sqrt(2 / 3), rel=1e-9)


def test_float32_is_summed_in_double() -> None:
    found = of([0.1] * 1000, pl.Float32)
    assert found.mean == pytest.approx(0.10000000149011612, rel=1e-15)
    assert found.std == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("values", [[], [None, None], [NAN, INF], [NAN, None]])
def test_a_column_without_a_value_has_no_numbers(values: list[Any]) -> None:
    found = of(values, pl.Float64)
    assert found.count == len(values)
    assert (found.min, found.max, found.mean, found.std, found.histogram) == (None, None, None, None, None)
    assert (found.distinct, found.quantiles, found.top) == (0, {}, ())
    json.dumps(found.model_dump(), allow_nan=False)


def test_one_row_and_constants() -> None:
    for values in ([7.5], [7.5] * 9):
        found = of(values)
        assert (found.min, found.max, found.mean, found.std, found.distinct) == (7.5, 7.5, 7.5, 0.0, 1)
        assert found.histogram == Histogram(edges=(7.5, 7.5), counts=(len(values),))
        assert set(found.quantiles.values()) == {7.5}


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32, pl.Decimal(9, 1)])
def test_a_constant_that_no_float_sums_exactly_has_no_spread(dtype: Any) -> None:
    constant = pl.Series([0.1]).cast(pl.Float32).cast(pl.Float64).item() if dtype == pl.Float32 else 0.1
    got = of([0.1] * 1000, dtype)
    assert (got.mean, got.std) == (constant, 0.0)


def test_numbers_too_large_to_sum_are_left_out_not_wrong() -> None:
    found = of([1.7e308, 1.7e308, -1.7e308])
    assert (found.min, found.max) == (-1.7e308, 1.7e308)
    json.dumps(found.model_dump(), allow_nan=False)


@pytest.mark.parametrize("more", [[], [float(n) for n in range(1, 2000)]])
@pytest.mark.parametrize("zeros", [[0.0, -0.0], [-0.0, 0.0]])
def test_the_two_zeros_are_one_in_any_order(zeros: list[float], more: list[float]) -> None:
    assert "-0.0" not in of([*zeros, *more]).model_dump_json()


def test_times_are_iso_8601() -> None:
    stamp = of([datetime(2013, 1, 1, 5), datetime(2013, 12, 31, 23, 59, 59)], pl.Datetime("us", "UTC"))
    assert (stamp.min, stamp.max) == ("2013-01-01T05:00:00.000000+00:00", "2013-12-31T23:59:59.000000+00:00")
    assert datetime.fromisoformat(str(stamp.min)) == datetime(2013, 1, 1, 5, tzinfo=UTC)
    assert (stamp.mean, stamp.std) == (None, None)
    day = of([date(2013, 1, 2), None, date(2013, 1, 1)])
    assert (day.min, day.max, day.distinct, day.quantiles["0.5"]) == ("2013-01-01", "2013-01-02", 2, "2013-01-01")
    assert day.histogram == Histogram(edges=(15706.0, 15707.0, 15708.0), counts=(1, 1))
    assert of([timedelta(hours=36)]).max == "P1DT12H"


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["B6", "UA", "AA"])])
def test_texts_have_values_but_no_numbers(dtype: Any) -> None:
    found = of(["UA", "AA", "UA", None], dtype)
    assert found == Statistics(
        count=4,
        nulls=1,
        min="AA",
        max="UA",
        distinct=2,
        top=(TopValue(value="UA", count=2), TopValue(value="AA", count=1)),
    )


def test_long_texts_are_cut_where_they_are_shown_and_told_apart_where_they_are_counted() -> None:
    found = of(["x" * 10_000_000, "x" * 10_000_000 + "y", "x" * 300])
    assert found.distinct == 3
    assert found.max == "x" * 256
    assert len(found.model_dump_json()) < 2_000


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([[1], None], pl.List(pl.Int64)), ([[1.0, 2.0], None], pl.Array(pl.Float32, 2)), ([None] * 2, pl.Null)],
)
def test_other_types_are_counted(values: list[Any], dtype: Any) -> None:
    found = of(values, dtype)
    assert (found.count, found.nulls) == (2, values.count(None))
    assert found.distinct is None


def test_decimals_are_numbers() -> None:
    assert of([1.5, 2.5], pl.Decimal(10, 2)).mean == 2.0


def test_an_empty_frame_and_a_frame_without_columns() -> None:
    assert summarize(measured(pl.DataFrame())) == {}
    assert of([], pl.Int64).count == 0


ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(width=32),
        st.none() | st.sampled_from("abc") | st.text(max_size=3),
        st.none() | st.booleans(),
        st.none() | st.dates(),
    ),
    max_size=60,
)
SCHEMA = {"i": pl.Int64, "f": pl.Float32, "s": pl.String, "b": pl.Boolean, "d": pl.Date}


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, data=st.data())
@pytest.mark.slow
def test_no_cut_of_the_rows_changes_anything(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    at = data.draw(st.lists(st.integers(0, len(rows)), max_size=4))
    whole, pieces = summarize(measured(frame)), cut(frame, at)
    assert_same(whole, pieces)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.none() | st.integers(-1000, 1000), min_size=1, max_size=200))
def test_statistics_equal_an_independent_count(values: list[int | None]) -> None:
    found = of(values, pl.Int64)
    there = sorted(value for value in values if value is not None)
    assert (found.count, found.nulls) == (len(values), len(values) - len(there))
    if there:
        assert found.mean == pytest.approx(independent.fmean(there))
        assert found.std == pytest.approx(independent.pstdev(there), abs=1e-9)
        assert found.distinct == len(set(there))
        for share, value in found.quantiles.items():
            below = sum(other < value for other in there)
            upto = sum(other <= value for other in there)
            assert below < float(share) * len(there) + 1e-6
            assert upto >= float(share) * len(there) - 1e-6
        assert [(top.value, top.count) for top in found.top] == sorted(
            Counter(there).items(), key=lambda item: (-item[1], item[0])
        )[:10]
        assert found.histogram is not None
        assert sum(found.histogram.counts) == len(there)


@pytest.fixture(scope="module")
def many() -> pl.DataFrame:
    """200,000 rows: columns of more values than are counted exactly, with a few nulls and NaN."""
    draw = random.Random(7)
    rows = range(200_000)
    return pl.DataFrame(
        {
            "unique": pl.Series(draw.sample(rows, len(rows)), dtype=pl.Int64),
            "normal": pl.Series([draw.gauss(0, 1) if i % 100 else NAN for i in rows], dtype=pl.Float32),
            "skewed": pl.Series([int(draw.paretovariate(0.7)) % 5_000 for _ in rows], dtype=pl.Int32),
            "text": [f"N{i * 7919 % 30_011}" if i % 50 else None for i in rows],
            "barely": pl.Series([i % 1_024 for i in rows], dtype=pl.Int32),
            "over": pl.Series([1_000 + i % 1_025 for i in rows], dtype=pl.Int32),
        }
    )


def test_many_values_are_estimated_within_the_stated_errors(many: pl.DataFrame) -> None:
    found = summarize(measured(many))
    for name in ("unique", "normal", "skewed", "text"):
        column = many[name].drop_nulls()
        column = column.filter(column.is_finite()) if column.dtype.is_float() else column
        values, statistics = column.sort(), found[name]
        assert statistics.distinct_error == 0.0313
        assert statistics.distinct == pytest.approx(values.n_unique(), rel=4 * statistics.distinct_error)
        assert statistics.sample is not None
        assert 45_000 < statistics.sample <= 65_536
        assert 0 < statistics.quantile_error < 0.008
        for share, value in statistics.quantiles.items():
            below = values.search_sorted(value, side="left") / len(values)
            upto = values.search_sorted(value, side="right") / len(values)
            assert below - statistics.quantile_error <= float(share) <= upto + statistics.quantile_error
    assert found["normal"].nans == 2_000
    assert found["normal"].top == ()
    assert found["text"].nulls == 4_000


def test_up_to_1024_values_are_counted_exactly(many: pl.DataFrame) -> None:
    found = summarize(measured(many))
    assert (found["barely"].distinct, found["barely"].distinct_error, found["barely"].sample) == (1_024, 0.0, None)
    assert found["barely"].top[0].count == 196
    assert found["over"].distinct_error > 0
    assert found["over"].distinct == 1_025  # the range of an integer column is a bound


@pytest.mark.slow
@pytest.mark.parametrize("at", [[1, 2, 3], [65_536], [100_000, 100_001, 199_999], [10_000, 77_777, 150_000]])
def test_samples_and_hashes_do_not_depend_on_the_cut(many: pl.DataFrame, at: list[int]) -> None:
    whole, pieces = summarize(measured(many)), cut(many, at)
    assert_same(whole, pieces)


def test_a_known_total_keeps_partials_small_and_changes_nothing(many: pl.DataFrame) -> None:
    shard = measured(many.head(1_000), total_rows=many.height)
    assert shard.sample.height == 250
    rest = measured(many.slice(1_000), first_row=1_000, total_rows=many.height)
    assert summarize(merge([shard, rest]))["unique"].quantiles == summarize(measured(many))["unique"].quantiles


def test_what_is_kept_of_the_columns_does_not_depend_on_the_sample(many: pl.DataFrame) -> None:
    alone, of_many = measured(many), measured(many, total_rows=10**9)
    assert of_many.sample.height == 13  # every 2^14th
    assert [same_but_frames(c) for c in of_many.columns] == [same_but_frames(c) for c in alone.columns]


def test_no_more_than_a_sample_counts_and_hashes_leave_the_engine(many: pl.DataFrame) -> None:
    heights: list[int] = []

    class Watched(CpuEngine):
        def collect(self, frames: Sequence[pl.LazyFrame], *, any_order: bool = False) -> list[pl.DataFrame]:
            found = super().collect(frames, any_order=any_order)
            heights.extend(max([frame.height, *(_longest(column) for column in frame)]) for frame in found)
            return found

    measure(InMemory(many), Watched())
    assert max(heights) <= 65_536
    assert sorted(heights)[-2] <= 1_025  # all but the sample


def _longest(column: pl.Series) -> int:
    return max(map(len, column.to_list()), default=0) if column.dtype == pl.List else 0


def same_but_frames(column: ColumnPartial) -> dict[str, Any]:
    """A column's partial as something that can be compared."""
    return vars(column) | {
        "values": None if column.values is None else column.values.rows(),
        "hashes": None if column.hashes is None else column.hashes.to_list(),
    }


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
@pytest.mark.parametrize(("count", "rows"), [(2, 50), (1_000, 3_000), (1_100, 1_500), (20_000, 20_000), (1, 0)])
@pytest.mark.slow
def test_every_query_translates_and_the_gpu_engine_measures_the_same(count: int, rows: int) -> None:
    from tests.imitation.fixture import imitation

    from headrace.engines.gpu.engine import GpuEngine

    frame = every_dtype(count, rows)
    with imitation():
        engine = GpuEngine(strict=True)  # raises where a query does not translate
        found = measure(engine.hold(frame.lazy()), engine, first_row=5)
    expected = measured(frame, first_row=5)
    assert_frame_equal(found.sample, expected.sample)
    assert [same_but_frames(c) for c in found.columns] == [same_but_frames(c) for c in expected.columns]


def test_runs_must_follow_each_other() -> None:
    frame = pl.DataFrame({"x": [1, 2]})
    with pytest.raises(ValueError, match="rows from 5 on follow row 1: pass all runs in row order"):
        merge([measured(frame), measured(frame, first_row=5)])
    with pytest.raises(ValueError, match="nothing to merge"):
        merge([])
    with pytest.raises(ValueError, match="different columns"):
        merge([measured(frame), measured(frame.rename({"x": "y"}), first_row=2)])
