"""What has to be equal between two runs of a pipeline on two engines, and how equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

from headrace.catalog.manifest import Manifest


def assert_same_dataset(one: tuple[Manifest, Path], other: tuple[Manifest, Path]) -> None:
    """Equal rows, shard by shard and in the same order; equal facts; floats within one ulp of float32."""
    (first, first_folder), (second, second_folder) = one, other
    assert second.arrow_schema == first.arrow_schema
    assert second.quality == first.quality
    assert list(second.splits) == list(first.splits)
    for name, split in first.splits.items():
        twin = second.splits[name]
        assert [(f.path, f.rows, f.row_groups) for f in twin.files] == [
            (f.path, f.rows, f.row_groups) for f in split.files
        ]
        for file in split.files:
            assert_same_rows(pl.read_parquet(first_folder / file.path), pl.read_parquet(second_folder / file.path))


def assert_same_rows(one: pl.DataFrame, other: pl.DataFrame) -> None:
    """Bit-equal but for floats, which may differ by one unit in the last place of a float32."""
    floats = [name for name, dtype in one.schema.items() if dtype.is_float()]
    assert_frame_equal(other.drop(floats), one.drop(floats))
    assert other.schema == one.schema
    for name in floats:
        assert other[name].is_null().equals(one[name].is_null()), name
        a, b = (f[name].fill_null(0.0).cast(pl.Float32).to_numpy() for f in (one, other))
        finite = np.isfinite(a)
        assert np.array_equal(a[~finite], b[~finite], equal_nan=True), name
        far = np.abs(a[finite] - b[finite]) > np.spacing(np.maximum(np.abs(a[finite]), np.abs(b[finite])))
        assert not far.any(), f"{name}: {far.sum()} of {a.size} values differ by more than one ulp of float32"
