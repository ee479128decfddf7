"""Shards read as on a GPU, with NumPy and pyarrow in CuPy's and cuDF's place: the host's rows, and its refusals."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.pipelines.imitated_cuml import read_parquet
from tests.pipelines.made_shards import FEATURES, made, publish

from headrace.pipelines import gpu_matrix
from headrace.pipelines.gpu_matrix import DevicePlace
from headrace.pipelines.matrix import Rows, read_part, read_rows, refuse
from headrace.schemas.errors import DataError

pytest.importorskip("sklearn")


def _read(paths: list[Path], features: tuple[str, ...], label: str, max_rows: int = 10_000, **more: Any) -> Rows:
    place = DevicePlace(np, more.pop("read", read_parquet))
    rows, found = read_part("test", paths, features, label, max_rows=max_rows, seed=7, place=place, **more)
    refuse("test", [found])
    return rows


@pytest.mark.parametrize("max_rows", [10_000, 600, 1])
def test_rows_are_those_of_the_host_in_columns(tmp_path: Path, max_rows: int) -> None:
    paths = publish(tmp_path, {"test": made(2000, 1)}, shard_rows=333)["test"]
    host = read_rows("test", paths, FEATURES, "late", max_rows=max_rows, seed=7)
    rows = _read(paths, FEATURES, "late", max_rows)
    assert np.array_equal(rows.features, host.features)
    assert np.array_equal(rows.label, host.label)
    assert (rows.names, rows.available) == (FEATURES, 2000)
    assert rows.features.dtype == np.float32
    assert rows.features.flags.f_contiguous
    assert rows.label.dtype == np.float64


def test_integers_decimals_booleans_and_columns_that_may_be_null_become_float32(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "big": pl.Series([2**53 + 1, -(2**24) - 1], dtype=pl.Int64),
            "decimal": pl.Series([Decimal("1.10"), Decimal("-2.25")], dtype=pl.Decimal(9, 2)),
            "flag": [True, False],
            "y": [0.5, 1.5],
        }
    )
    paths = publish(tmp_path, {"test": frame})["test"]
    rows = _read(paths, ("big", "decimal", "flag"), "y")
    expected = np.array([[2**53, 1.1, 1], [-(2**24), -2.25, 0]], dtype=np.float32)
    assert rows.features.tolist() == expected.tolist()
    assert rows.label.tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.lit(None, pl.Float32).alias("delay"), r"split 'test': 600 nulls in 1 column .* delay \(600\)"),
        (pl.lit(float("nan"), pl.Float32).alias("delay"), r"600 values that are NaN.*delay \(600\)"),
        (pl.lit(1e39).alias("distance"), r"too large for float32 in 1 column that .* distance \(600\)"),
        (pl.lit("x").alias("hour"), r"take numbers and booleans, got hour \(large_string\)"),
        (pl.lit(float("inf")).alias("late"), r"600 values that are .* late \(600\)"),
    ],
)
def test_refusals_are_those_of_the_host(tmp_path: Path, change: pl.Expr, message: str) -> None:
    paths = publish(tmp_path, {"test": made(600, 2).with_columns(change)})["test"]
    said = []
    for read in (
        lambda: _read(paths, FEATURES, "late"),
        lambda: read_rows("test", paths, FEATURES, "late", max_rows=10_000, seed=7),
    ):
        with pytest.raises(DataError, match=message) as error:
            read()
        said.append((str(error.value), error.value.hint))
    assert said[0] == said[1]


def test_nulls_in_rows_that_are_not_sampled_are_no_matter(tmp_path: Path) -> None:
    frame = made(2000, 3)
    clean = publish(tmp_path / "clean", {"test": frame})["test"]
    wanted = _read(clean, ("distance",), "late", 50)
    sampled = pl.col("distance").cast(pl.Float32).is_in(wanted.features[:, 0].tolist())
    paths = publish(tmp_path, {"test": frame.with_columns(distance=pl.when(sampled).then("distance"))})["test"]
    assert np.array_equal(_read(paths, ("distance",), "late", 50).features, wanted.features)


def test_row_groups_are_read_together_up_to_a_size_and_only_where_rows_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    made(1000, 4).write_parquet(path, row_group_size=100)
    asked: list[tuple[list[str], list[int]]] = []

    def read(path: str, *, columns: list[str], row_groups: list[list[int]]) -> Any:
        asked.append((columns, row_groups[0]))
        return read_parquet(path, columns=columns, row_groups=row_groups)

    monkeypatch.setattr(gpu_matrix, "_READ_BYTES", 8 * 2 * 450)
    rows = _read([path], ("hour",), "late", read=read)
    assert asked == [(["hour", "late"], [0, 1, 2, 3]), (["hour", "late"], [4, 5, 6, 7]), (["hour", "late"], [8, 9])]
    asked.clear()
    monkeypatch.setattr(gpu_matrix, "_READ_BYTES", 0)
    assert np.array_equal(_read([path], ("hour",), "late", read=read).features, rows.features)
    assert [groups for _, groups in asked] == [[group] for group in range(10)]
    asked.clear()
    _read([path], ("hour",), "late", max_rows=1, read=read)
    assert len(asked) == 1


def test_some_columns_are_taken_in_the_order_asked_for_and_all_without_a_copy(tmp_path: Path) -> None:
    place = DevicePlace(np, read_parquet)
    rows = _read(publish(tmp_path, {"test": made(100, 5)})["test"], FEATURES, "late")
    taken = place.take(rows, ("hour", "delay"))
    assert np.array_equal(taken, rows.features[:, [4, 0]])
    assert taken.flags.f_contiguous
    assert place.take(rows, FEATURES) is rows.features
