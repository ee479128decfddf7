"""What has to be equal between two runs of a pipeline on two engines, and how equal."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from headrace.catalog.manifest import Manifest
from headrace.testing.compare import same_but_for_last_digits


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
    wrong = same_but_for_last_digits(one, other)
    assert not wrong, wrong
