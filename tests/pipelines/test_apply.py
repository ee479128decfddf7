from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.pipelines.conftest import Make, published, rows_of, small

from headrace.pipelines import stages
from headrace.pipelines.layout import Layout, rows_by_split
from headrace.pipelines.publish import label_over_time
from headrace.schemas.errors import DataError

pytestmark = pytest.mark.usefixtures("no_report")

BY_TIME = {"by": "time", "column": "at", "starts": {"test": "2024-01-02"}}


@pytest.mark.slow
def test_rows_without_a_time_are_in_no_split_and_count_as_filtered(make: Make, tmp_path: Path) -> None:
    frame = small().with_columns(pl.when(pl.col("id") % 10 == 3).then(None).otherwise(pl.col("at")).alias("at"))
    manifest, folder = published(make([], frame, split=BY_TIME, output={"features": ["x"], "keep": ["id"]}), tmp_path)
    assert {name: split.rows for name, split in manifest.splits.items()} == {"train": 21, "test": 15}
    assert rows_of(manifest, folder, "train")["id"].sort().to_list() == [i for i in range(24) if i % 10 != 3]
    assert (manifest.quality.filtered, manifest.quality.rows_published) == (4, 36)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["shuffle", "source"])
def test_a_filter_after_the_last_learner_may_leave_fewer_rows_than_were_counted(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr("headrace.pipelines.plan._shard_rows", lambda *_: 5)
    steps = [{"Standardize": {"columns": ["x"]}}, {"Filter": {"where": "id = 2 OR id = 38"}}]
    output = {"features": ["x"], "keep": ["id"], "order": order}
    manifest, folder = published(make(steps, split=BY_TIME, output=output), tmp_path)
    assert {name: len(split.files) for name, split in manifest.splits.items()} == {"train": 5, "test": 4}
    assert sum(file.rows for split in manifest.splits.values() for file in split.files) == 2
    assert rows_of(manifest, folder)["id"].to_list() == [2, 38]
    assert manifest.quality.filtered == 38


def test_a_split_without_rows_is_an_error_that_names_it(make: Make, tmp_path: Path) -> None:
    split = {**BY_TIME, "starts": {"validation": "2024-01-02", "test": "2025-01-01"}}
    with pytest.raises(DataError, match=r"no row in the split\(s\) test"):
        published(make([], split=split), tmp_path)


@pytest.mark.slow
def test_a_split_that_a_sequence_leaves_without_rows_says_why(make: Make, tmp_path: Path) -> None:
    steps = [{"Sequence": {"columns": ["x"], "by": ["c"], "order": "at", "max_length": 3}}]
    split = {**BY_TIME, "starts": {"test": "2024-01-02"}}
    rows = small().with_columns(c=pl.lit("one"))
    with pytest.raises(DataError, match=r"no row in the split\(s\) train") as caught:
        published(make(steps, rows, split=split, output={"features": ["x"]}), tmp_path)
    assert caught.value.hint == "Sequence keeps the last row of each entity: split by a hash of the entity"


@pytest.mark.slow
def test_a_value_that_a_cast_cannot_hold_says_what_to_do(make: Make, tmp_path: Path) -> None:
    cast = [{"Cast": {"columns": ["c"], "dtype": "Int32"}}]
    with pytest.raises(DataError, match=r"a value does not fit its type: .* column 'c'") as caught:
        published(make(cast), tmp_path)
    assert "invalid: null" in caught.value.hint
    published(make([{"Cast": {"columns": ["c"], "dtype": "Int32", "invalid": "null"}}]), tmp_path)


@pytest.mark.slow
def test_the_label_is_drawn_over_weeks_and_splits(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(stages, "label_over_time", lambda work: seen.append(label_over_time(work)))
    split = {**BY_TIME, "starts": {"test": "2024-01-10"}}
    published(make([], small(24 * 14), split=split), tmp_path, partition_bytes=1)
    # 1 January 2024 is a Monday; every third hour's label is 1.
    assert seen[0].rows() == [
        (date(2024, 1, 1), "train", 168, pytest.approx(1 / 3)),
        (date(2024, 1, 8), "train", 48, pytest.approx(1 / 3)),
        (date(2024, 1, 8), "test", 120, pytest.approx(1 / 3)),
    ]


def test_the_rows_of_a_split_are_those_of_its_shards() -> None:
    layout = Layout(shards=(2, 1, 3))
    assert layout.firsts == (0, 2, 3)
    assert rows_by_split(layout, {0: 1, 1: 10, 2: 100, 3: 7, 5: 8}) == (11, 100, 15)
