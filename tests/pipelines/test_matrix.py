"""Parts of a split are the same rows as all at once, and what they hold that cannot be used is counted together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.pipelines.made_shards import FEATURES, made, publish

from headrace.pipelines.matrix import Refused, read_part, read_rows, refuse
from headrace.schemas.errors import DataError


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    return publish(tmp_path, {"train": made(2000, 0)}, shard_rows=333)["train"]


@pytest.mark.slow
@pytest.mark.parametrize("max_rows", [10_000, 1001, 3])
@pytest.mark.parametrize("parts", [1, 3, 4])
def test_parts_one_after_the_other_are_the_rows_of_all_at_once(shards: list[Path], max_rows: int, parts: int) -> None:
    whole = read_rows("train", shards, FEATURES, "late", max_rows=max_rows, seed=7)
    read = [
        read_part("train", shards, FEATURES, "late", max_rows=max_rows, seed=7, part=part, parts=parts)
        for part in range(parts)
    ]
    assert np.array_equal(np.concatenate([rows.features for rows, _ in read]), whole.features)
    assert np.array_equal(np.concatenate([rows.label for rows, _ in read]), whole.label)
    assert [rows.available for rows, _ in read] == [2000] * parts
    assert sum(found.rows for _, found in read) == whole.label.size


def test_a_part_reads_only_the_shards_that_hold_its_rows(shards: list[Path]) -> None:
    shards[0].rename(shards[0].with_suffix(".away"))
    pl.read_parquet(shards[0].with_suffix(".away")).with_columns(delay=pl.lit(None, pl.Float32)).write_parquet(
        shards[0]
    )
    _, found = read_part("train", shards, FEATURES, "late", max_rows=2000, seed=0, part=1, parts=2)
    assert found == Refused(1000, {}, {})
    _, found = read_part("train", shards, FEATURES, "late", max_rows=2000, seed=0, part=0, parts=2)
    assert found == Refused(1000, {"delay": 333}, {})


def test_what_parts_refuse_is_counted_over_all_of_them() -> None:
    with pytest.raises(DataError, match=r"split 'test': 5 nulls in 2 columns that a baseline reads: x \(4\), y \(1\)"):
        refuse("test", [Refused(10, {"x": 1}), Refused(0), Refused(7, {"x": 3, "y": 1}, {"z": 2})])
    with pytest.raises(DataError, match=r"7 values that are NaN, .* in 1 column that a baseline reads: z \(7\)"):
        refuse("test", [Refused(10, {}, {"z": 2}), Refused(7, {}, {"z": 5})])
    refuse("test", [Refused(10), Refused(7)])
