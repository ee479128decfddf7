from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal
from tests.catalog.dtypes import every_dtype

from headrace.catalog.partials import HASHES
from headrace.catalog.sketch import Sketch, Sketches, merge_sketches, sketch, sketch_rows, summarize_sketches
from headrace.catalog.sketch_files import load_sketches, save_sketches
from headrace.catalog.statistics import measure, merge, summarize
from headrace.engines.cpu import CpuEngine, InMemory
from headrace.schemas.errors import DataError, UsageError

FIELDS = ("name", "dtype", "family", "rows", "nulls", "nans", "infinities", "min", "max")


def assert_equal(one: Sketches, other: Sketches, *, moments: bool = True) -> None:
    """Every field, types included; `moments`: the last bits of mean and m2 as well."""
    assert list(one) == list(other)
    for name, a in one.items():
        b = other[name]
        assert [getattr(a.column, f) for f in FIELDS] == [getattr(b.column, f) for f in FIELDS], name
        assert [type(a.column.min), a.stride] == [type(b.column.min), b.stride]
        largest = max((abs(float(x)) for x in (a.column.min, a.column.max) if isinstance(x, int | float)), default=0.0)
        slack = 0.0 if moments else 1e-12
        assert a.column.mean == pytest.approx(b.column.mean, rel=slack, abs=slack * largest)
        assert a.column.m2 == pytest.approx(b.column.m2, rel=slack, abs=slack * largest**2 * a.column.rows)
        assert_frame_equal(a.sample, b.sample)
        assert (a.column.values is None, a.column.hashes is None) == (b.column.values is None, b.column.hashes is None)
        if a.column.values is not None and b.column.values is not None:
            assert_frame_equal(a.column.values, b.column.values)
        if a.column.hashes is not None and b.column.hashes is not None:
            assert_series_equal(a.column.hashes, b.column.hashes, check_names=False)


def many(rows: int, seed: int = 1) -> pl.DataFrame:
    """A number and a text of more than 1,024 values, one of few, and lists."""
    number = pl.int_range(rows, eager=True)
    return pl.DataFrame(
        {
            "many": (number * 7919 + seed) % 100_003,
            "text": (number * 31 % 5_000).cast(pl.String),
            "few": number % 7,
            "lists": pl.select(pl.concat_list(number)).to_series(),
        }
    )


def test_level_says_up_to_which_stride_a_row_stays() -> None:
    found = sketch_rows(pl.DataFrame({"x": [10, 11, 12, 13, 14, 15, 16, 17, 18]}))["x"]
    assert found.stride == 1
    assert dict(zip(found.sample["value"], found.sample["level"], strict=True)) == {
        10: 63, 11: 0, 12: 1, 13: 0, 14: 2, 15: 0, 16: 1, 17: 0, 18: 3,
    }  # fmt: skip


def test_a_wider_stride_keeps_the_rows_that_are_multiples_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.catalog.partials.SAMPLE_ROWS", 8)
    monkeypatch.setattr("headrace.catalog.partials.sample_stride.__defaults__", (8,))
    days = [sketch_rows(pl.DataFrame({"x": range(day * 100, day * 100 + 8)})) for day in range(2)]
    assert [day["x"].stride for day in days] == [1, 1]
    both = merge_sketches(days)["x"]
    assert both.stride == 2
    assert both.sample["value"].to_list() == [0, 2, 4, 6, 100, 102, 104, 106]


@pytest.mark.slow
def test_the_manifest_says_the_same_of_what_is_kept() -> None:
    partial = measure(InMemory(every_dtype(3_000, 70_000)), CpuEngine())
    assert summarize_sketches(sketch(partial)) == summarize(partial)


def test_a_split_in_shards_is_kept_as_one() -> None:
    frame, engine = many(9_000), CpuEngine()
    cut = [(0, 1), (1, 4_000), (4_001, 4_999)]
    parts = [measure(InMemory(frame.slice(at, n)), engine, first_row=at, total_rows=9_000) for at, n in cut]
    assert_equal(sketch(merge(parts)), sketch_rows(frame), moments=False)
    assert_equal(merge_sketches([sketch(part) for part in parts]), sketch_rows(frame), moments=False)


def test_a_split_of_several_strides_in_shards_is_kept_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.catalog.partials.sample_stride.__defaults__", (500,))
    frame, engine = many(9_000), CpuEngine()
    parts = [
        measure(InMemory(frame.slice(at, n)), engine, first_row=at, total_rows=9_000)
        for at, n in ((0, 17), (17, 4_000), (4_017, 4_983))
    ]
    assert [part.stride for part in parts] == [32, 32, 32]
    assert_equal(merge_sketches([sketch(part) for part in parts]), sketch(merge(parts)))


@pytest.mark.slow
def test_what_is_read_back_is_what_was_saved(tmp_path: Path) -> None:
    splits = {"train": sketch_rows(every_dtype(3_000, 70_000)), "test": sketch_rows(every_dtype(3, 12))}
    paths = save_sketches(tmp_path / "statistics", splits)
    first = [path.read_bytes() for path in paths]
    assert [path.name for path in paths] == ["columns.parquet", "values.parquet"]
    for name, sketches in splits.items():
        assert_equal(load_sketches(tmp_path / "statistics", name), sketches)
    save_sketches(tmp_path / "statistics", splits)
    assert [path.read_bytes() for path in paths] == first


EDGES: dict[str, Any] = {
    "constant": pl.Series([3.5] * 5),
    "null": pl.Series([None] * 5, dtype=pl.Int16),
    "null text": pl.Series([None] * 5, dtype=pl.String),
    "special": pl.Series([float("nan"), float("inf"), None, -0.0, 0.0]),
    "empty": pl.Series([], dtype=pl.Float32),
    "one": pl.Series(["x"]),
    "large": pl.Series([2**63 - 1, -(2**63), 2**53 + 1]),
    "unsigned": pl.Series([2**64 - 1, 2**63], dtype=pl.UInt64),
    "choice": pl.Series(["b", "a"], dtype=pl.Categorical),
    "enum": pl.Series(["b", "a"], dtype=pl.Enum(["a", "b"])),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges_are_read_back(name: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": EDGES[name]})
    kept = sketch_rows(frame)
    save_sketches(tmp_path, {"all": kept})
    found = load_sketches(tmp_path, "all")
    assert_equal(found, kept)
    assert summarize_sketches(found) == summarize(measure(InMemory(frame), CpuEngine()))


runs = st.lists(
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.sampled_from([1, 2, 3])), max_size=12),
    min_size=3,
    max_size=3,
)


def sets_of(lists: list[list[int | None]]) -> list[dict[str, Sketch]]:
    columns = [
        {
            "whole": pl.Series(values, dtype=pl.Int64),
            "number": pl.Series([None if v is None else v / 3 for v in values], dtype=pl.Float64),
            "text": pl.Series([None if v is None else f"t{v}" for v in values], dtype=pl.String),
        }
        for values in lists
    ]
    return [sketch_rows(pl.DataFrame(some)) for some in columns]


@pytest.mark.slow
@given(runs)
def test_merging_is_associative_commutative_and_has_an_identity(lists: list[list[int | None]]) -> None:
    a, b, c = sets_of(lists)
    whole = merge_sketches([a, b, c])
    assert_equal(merge_sketches([merge_sketches([a, b]), c]), whole, moments=False)
    assert_equal(merge_sketches([a, merge_sketches([b, c])]), whole, moments=False)
    for order in itertools.permutations([a, b, c]):
        assert_equal(merge_sketches(order), whole, moments=False)
    [nothing] = sets_of([[]])
    assert_equal(merge_sketches([nothing, a]), a)
    assert_equal(merge_sketches([a, nothing]), a)
    assert_equal(merge_sketches([a]), a)


def test_merging_many_values_is_associative_and_commutative() -> None:
    a, b, c = (sketch_rows(many(rows, seed)) for rows, seed in ((40_000, 1), (50_000, 2), (700, 3)))
    whole = merge_sketches([a, b, c])
    assert_equal(merge_sketches([merge_sketches([a, b]), c]), whole, moments=False)
    assert_equal(merge_sketches([c, merge_sketches([b, a])]), whole, moments=False)
    assert whole["many"].column.hashes is not None
    assert len(whole["many"].column.hashes) == HASHES
    assert whole["many"].stride == 2
    assert whole["many"].sample["count"].sum() == 45_350


def test_days_that_are_merged_are_one_day_but_for_the_sample(tmp_path: Path) -> None:
    days = [many(3_000, 1), many(4_000, 2)]
    for number, day in enumerate(days):
        save_sketches(tmp_path / str(number), {"train": sketch_rows(day)})
    merged = summarize_sketches(merge_sketches([load_sketches(tmp_path / str(i), "train") for i in range(2)]))
    whole = summarize(measure(InMemory(pl.concat(days)), CpuEngine()))
    for name, expected in whole.items():  # 7,000 rows are all in the sample, so quantiles are exact as well
        assert merged[name].model_copy(update={"mean": None, "std": None}) == expected.model_copy(
            update={"mean": None, "std": None}
        )
        assert merged[name].mean == pytest.approx(expected.mean)
    assert merged["few"].distinct == 7
    assert merged["text"].distinct == pytest.approx(4_000, rel=0.1)


def test_other_columns_and_types_are_not_merged() -> None:
    one = sketch_rows(pl.DataFrame({"x": [1], "y": [1]}))
    with pytest.raises(DataError, match="1 columns are in one set of statistics only: y"):
        merge_sketches([one, sketch_rows(pl.DataFrame({"x": [1]}))])
    with pytest.raises(DataError, match="column 'y' is Int64 in one set of statistics and String in another"):
        merge_sketches([one, sketch_rows(pl.DataFrame({"x": [1], "y": ["1"]}))])
    with pytest.raises(UsageError, match="no statistics to merge"):
        merge_sketches([])
