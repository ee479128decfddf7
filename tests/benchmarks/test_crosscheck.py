"""The cross-check finds what differs, whatever the order of the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from benchmarks.crosscheck import compare


@pytest.fixture
def frame() -> pl.DataFrame:
    random = np.random.default_rng(5)
    return pl.DataFrame(
        {
            "label": random.integers(0, 2, 500),
            "I1": random.normal(size=500).astype(np.float32),
            "I2": random.normal(size=500).astype(np.float32),
            "C1": random.integers(0, 9, 500).astype(np.int32),
            "C2": random.integers(0, 3, 500).astype(np.int32),
        }
    )


def _write(frame: pl.DataFrame, path: Path) -> list[Path]:
    frame.write_parquet(path)
    return [path]


def test_order_of_rows_and_the_id_offset_do_not_matter(frame: pl.DataFrame, tmp_path: Path) -> None:
    other = frame.with_columns(pl.col("C1", "C2") + 1, pl.col("label").cast(pl.Int8)).sample(
        fraction=1, shuffle=True, seed=1
    )
    agreement = compare(_write(frame, tmp_path / "a"), _write(other, tmp_path / "b"), offset=1)
    assert agreement.ok
    assert agreement.rows == (500, 500)
    assert agreement.largest_difference == 0.0


@pytest.mark.parametrize("column", ["label", "C1", "C2"])
def test_one_wrong_id_or_label_is_found(frame: pl.DataFrame, tmp_path: Path, column: str) -> None:
    other = frame.with_columns(pl.when(pl.int_range(pl.len()) == 77).then(9).otherwise(pl.col(column)).alias(column))
    agreement = compare(_write(frame, tmp_path / "a"), _write(other, tmp_path / "b"))
    assert not agreement.ids_equal
    assert not agreement.ok


def test_ids_of_two_rows_exchanged_in_one_column_are_found(frame: pl.DataFrame, tmp_path: Path) -> None:
    other = frame.with_columns(pl.col("C1").reverse())
    assert not compare(_write(frame, tmp_path / "a"), _write(other, tmp_path / "b")).ids_equal


@pytest.mark.parametrize(("shift", "ok"), [(1e-7, True), (1e-5, False)])
def test_floats_may_differ_by_a_millionth(frame: pl.DataFrame, tmp_path: Path, shift: float, ok: bool) -> None:
    exact = frame.with_columns(pl.col("I1", "I2").cast(pl.Float64))
    other = exact.with_columns(pl.col("I2") + shift)
    agreement = compare(_write(exact, tmp_path / "a"), _write(other, tmp_path / "b"))
    assert agreement.ids_equal
    assert agreement.ok is ok
    assert agreement.largest_difference == pytest.approx(shift)


def test_missing_rows_are_found(frame: pl.DataFrame, tmp_path: Path) -> None:
    agreement = compare(_write(frame, tmp_path / "a"), _write(frame[1:], tmp_path / "b"))
    assert agreement.rows == (500, 499)
    assert not agreement.ok


def test_a_null_among_the_floats_is_a_difference(frame: pl.DataFrame, tmp_path: Path) -> None:
    other = frame.with_columns(pl.when(pl.int_range(pl.len()) != 3).then("I2").alias("I2"))
    assert not compare(_write(frame, tmp_path / "a"), _write(other, tmp_path / "b")).ok
