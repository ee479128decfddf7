"""The ctr generator: the shape that is promised, from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.pipelines.gallery.ctr import generator as ctr


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    folder = tmp_path_factory.mktemp("ctr")
    ctr.write_ctr(folder, 50_000)
    return pl.read_parquet(folder / "*.parquet")


def test_columns_are_those_of_criteo(frame: pl.DataFrame) -> None:
    assert frame.columns == ["label", *(f"I{n}" for n in range(1, 14)), *(f"C{n}" for n in range(1, 27))]
    assert frame.dtypes == [pl.Int64] * 14 + [pl.String] * 26
    assert frame.height == 50_000


def test_categories_are_eight_hex_digits_within_their_cardinality(frame: pl.DataFrame) -> None:
    for name, cardinality in zip(ctr.CATEGORIES, ctr.CARDINALITIES, strict=True):
        values = frame[name].drop_nulls()
        assert values.str.contains("^[0-9a-f]{8}$").all(), name
        assert values.n_unique() <= cardinality, name
    assert frame["C9"].drop_nulls().n_unique() == 3
    assert frame["C20"].drop_nulls().n_unique() == 4


def test_about_three_percent_are_null_but_no_label(frame: pl.DataFrame) -> None:
    shares = frame.null_count().row(0, named=True)
    assert shares.pop("label") == 0
    assert all(0.025 < count / 50_000 < 0.035 for count in shares.values()), shares


def test_values_follow_the_power_law() -> None:
    ranks = ctr.zipf((np.arange(100_000) + 0.5) / 100_000, 1000)
    counts = np.bincount(ranks, minlength=1000)
    weights = np.arange(1, 1001) ** -0.1 - np.arange(2, 1002) ** -0.1  # the law's mass between r and r + 1
    expected = 100_000 * weights / weights.sum()
    assert np.abs(counts - expected).max() <= 1.5
    assert ranks.max() == 999


def test_integers_go_below_zero_in_the_second_column_only(frame: pl.DataFrame) -> None:
    lowest = frame.select(ctr.INTEGERS).min().row(0, named=True)
    assert lowest.pop("I2") == -2
    assert set(lowest.values()) == {0}


def test_the_label_can_be_learned_a_little(frame: pl.DataFrame) -> None:
    assert 0.15 < frame["label"].mean() < 0.35
    by_value = frame.group_by("C1").agg(pl.len(), pl.col("label").mean()).filter(pl.col("len") > 1000)
    assert by_value["label"].max() - by_value["label"].min() > 0.05


@pytest.mark.slow
def test_different_ranks_are_different_values() -> None:
    assert len(np.unique(ctr.mix(np.arange(1_000_000, dtype=np.uint32)))) == 1_000_000
    assert ctr.mix(np.array([0, 1], dtype=np.uint32)).tolist() == [0, 0x514E28B7]  # MurmurHash3's own test values


def test_hex_digits_are_in_reading_order() -> None:
    words = np.array([0x01ABCDEF, 5, 0xFFFFFFFF], dtype=np.uint32)
    strings = ctr.hex_strings(words, np.array([False, True, False]))
    assert strings.to_pylist() == ["01abcdef", None, "ffffffff"]
    strings.validate(full=True)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ctr, "ROW_GROUP", 1000)
    files = [
        ctr.write_ctr(tmp_path / name, 1000, seed=seed)[0].read_bytes() for name, seed in (("a", 7), ("b", 7), ("c", 8))
    ]
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_fewer_rows_are_the_beginning_of_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ctr, "ROW_GROUP", 1000)
    monkeypatch.setattr(ctr, "FILE_ROWS", 2000)
    few = pa.concat_tables([pq.read_table(path) for path in ctr.write_ctr(tmp_path / "few", 2500)])
    paths = ctr.write_ctr(tmp_path / "many", 4001)
    many = pa.concat_tables([pq.read_table(path) for path in paths])
    assert [pq.read_metadata(path).num_row_groups for path in paths] == [2, 2, 1]
    assert many.num_rows == 4001
    assert few.equals(many.slice(0, 2500))
