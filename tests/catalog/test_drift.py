from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError
from tests.catalog.conftest import FRAME, Make

from headrace.catalog.drift import ColumnDrift, Drift, compare, compare_splits
from headrace.catalog.reader import open_dataset
from headrace.catalog.sketch import merge_sketches, sketch_rows


def moved(first: pl.Series, second: pl.Series, *, category: bool = False) -> ColumnDrift:
    """The drift of one column."""
    one, two = (sketch_rows(pl.DataFrame({"x": values})) for values in (first, second))
    return compare(one, two, ["x"] if category else []).columns[0]


def test_the_same_rows_have_not_moved() -> None:
    frame = pl.DataFrame({"n": range(5_000), "t": [f"v{i % 3_000}" for i in range(5_000)], "l": [[1]] * 5_000})
    found = compare(sketch_rows(frame), sketch_rows(frame))
    assert [(c.name, c.kind, c.psi, c.verdict) for c in found.columns] == [
        ("l", "opaque", 0.0, "stable"),
        ("n", "number", 0.0, "stable"),
        ("t", "category", 0.0, "stable"),
    ]
    assert found.rows == (5_000, 5_000)
    assert [c.ks for c in found.columns] == [None, 0.0, None]
    assert [c.js for c in found.columns] == [None, None, 0.0]


def test_a_number_that_moves_by_a_decile() -> None:
    # Deciles of 0..9,999; all rows 1,000 further: the first bin is empty, the last has two tenths.
    found = moved(pl.Series(range(10_000)), pl.Series(range(1_000, 11_000)))
    assert found.psi == pytest.approx((0.0001 - 0.1) * math.log(0.001) + 0.1 * math.log(2), abs=1e-6)
    assert found.ks == pytest.approx(0.1)
    assert found.mean_shift == pytest.approx(1_000 / 2_886.7513, rel=1e-6)
    assert (found.js, found.verdict, found.new) == (None, "major", ())


def test_a_category_by_its_values() -> None:
    first = pl.Series(["a"] * 500 + ["b"] * 300 + ["c"] * 200)
    second = pl.Series(["a"] * 500 + ["b"] * 250 + ["d"] * 250)
    found = moved(first, second)
    bins = [(0.3, 0.25), (0.2, 0.0001), (0.0001, 0.25)]
    assert found.psi == pytest.approx(sum((q - p) * math.log(q / p) for p, q in bins))
    # Of the bins b, c and others: (0.3 log 0.3/0.275 + 0.25 log 0.25/0.275 + 0.2 + 0.25) / 2
    assert found.js == pytest.approx((0.3 * math.log2(12 / 11) + 0.25 * math.log2(10 / 11) + 0.45) / 2)
    assert (found.new, found.vanished, found.ks, found.mean_shift) == (("d",), ("c",), None, None)


def test_ids_are_categories() -> None:
    first, second = pl.Series([2, 3] * 500, dtype=pl.Int32), pl.Series([2, 900] * 500, dtype=pl.Int32)
    found = moved(first, second, category=True)
    assert (found.kind, found.mean_shift, found.ks, found.new, found.vanished) == ("category", None, None, (900,), (3,))
    assert moved(first, second).kind == "number"


def test_nulls_are_a_bin() -> None:
    found = moved(pl.Series([1.0, 2.0] * 500), pl.Series([1.0, None] * 250 + [2.0, 1.0] * 250))
    assert found.nulls is not None
    assert (found.nulls.first, found.nulls.second, found.nulls.change) == (0.0, 0.25, 0.25)
    # 1.0 stays at a half, 2.0 goes from a half to a quarter, null from none to a quarter.
    assert found.psi == pytest.approx(0.25 * math.log(2) + 0.2499 * math.log(2_500))


def test_values_that_are_not_finite_are_a_bin() -> None:
    found = moved(pl.Series([1.0, 2.0] * 500), pl.Series([1.0, float("nan")] * 500))
    assert found.psi == pytest.approx(0.4999 * math.log(5_000) * 2)


def test_a_mask_that_turns() -> None:
    found = moved(pl.Series([True] * 950 + [False] * 50), pl.Series([True] * 600 + [False] * 400))
    assert found.kind == "category"
    assert found.psi == pytest.approx(0.35 * math.log(0.95 / 0.6) + 0.35 * math.log(0.4 / 0.05))


def test_few_rows_differ_by_chance() -> None:
    found = moved(pl.Series([1] * 12 + [2] * 8), pl.Series([1] * 8 + [2] * 12))
    assert found.psi == pytest.approx(0.4 * math.log(1.5))
    assert (found.verdict, found.psi_by_chance > 0.25) == ("stable", True)
    assert moved(pl.Series([1] * 1200 + [2] * 800), pl.Series([1] * 800 + [2] * 1200)).verdict == "moderate"


def test_times_are_compared_in_order() -> None:
    days = pl.date_range(date(2024, 1, 1), date(2024, 3, 31), eager=True)
    found = moved(days, days.dt.offset_by("91d"))
    assert (found.ks, found.mean_shift, found.verdict) == (1.0, None, "major")
    assert found.new[0] == "2024-04-01"


@pytest.mark.parametrize("values", [[], [None] * 4])
def test_columns_without_values(values: list[None]) -> None:
    empty = pl.Series(values, dtype=pl.Float64)
    full = pl.Series([float(i) for i in range(100)])
    for first, second in ((empty, full), (full, empty), (empty, empty)):
        found = moved(first, second)
        assert (found.ks, found.mean_shift) == (None, None)
        assert found.verdict == ("unknown" if not values else "stable" if first is second else "major")


def test_types_that_changed() -> None:
    number, text = pl.Series([1, 2] * 100), pl.Series(["1", "2"] * 100)
    found = moved(number, text)
    assert (found.dtype, found.verdict, found.psi, found.ks) == ("Int64 -> String", "unknown", None, None)
    found = moved(number, number.cast(pl.Float32))
    assert (found.dtype, found.verdict, found.psi, found.ks) == ("Int64 -> Float32", "stable", 0.0, 0.0)


def test_columns_that_came_and_went_and_the_order() -> None:
    one = pl.DataFrame({"gone": [1], "b": [1], "a": [1], "c": [1]})
    two = pl.DataFrame({"new": [1], "a": [1], "b": [1], "c": [2]})
    found = compare(sketch_rows(one), sketch_rows(two), names=("monday", "tuesday"))
    assert (found.first, found.second, found.added, found.removed) == ("monday", "tuesday", ("new",), ("gone",))
    assert [c.name for c in found.columns] == ["c", "a", "b"]
    assert [c.name for c in found.beyond(0.5)] == ["c"]
    assert Drift.model_validate_json(found.model_dump_json()) == found
    with pytest.raises(ValidationError):
        found.first = "x"


def test_new_rows_against_two_days() -> None:
    days = [sketch_rows(pl.DataFrame({"x": range(at, at + 2_000)})) for at in (0, 2_000)]
    rows = sketch_rows(pl.DataFrame({"x": range(4_000)}))
    assert compare(merge_sketches(days), rows).columns[0].psi == 0.0


@pytest.mark.slow
def test_versions_and_splits(make: Make, catalog: Path) -> None:
    make()
    make(frame=FRAME.with_columns(pl.col("delay") + 1))
    first, second = (open_dataset(catalog / "demo", version=version) for version in (1, 2))
    found = compare_splits(first, "train", second, "test")
    assert (found.first, found.second, found.rows) == ("demo@1/train", "demo@2/test", (4, 2))
    kinds = {c.name: c.kind for c in found.columns}
    assert kinds == {"delay": "number", "carrier": "category", "late": "number"}


def test_keys_are_left_out(make: Make, catalog: Path) -> None:
    make()
    dataset = open_dataset(catalog / "demo")
    columns = tuple(
        c.model_copy(update={"role": "key"}) if c.name == "carrier" else c for c in dataset.manifest.columns
    )
    make("keyed", columns=columns)
    keyed = open_dataset(catalog / "keyed")
    assert {c.name for c in compare_splits(keyed, "train", keyed, "test").columns} == {"delay", "late"}
