from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.pipelines.exchange import read_bucket, read_rows, write_pieces


def test_a_bucket_is_its_rows_of_every_piece_in_order(tmp_path: Path) -> None:
    for piece, first in enumerate((0, 4)):
        rows = pl.DataFrame({"n": range(first, first + 4), "s": [None, "b", "c", "d"]})
        write_pieces(tmp_path / f"{piece}", rows, pl.Series([2, 0, 2, 0], dtype=pl.UInt64), 3)
    paths = [tmp_path / "0", tmp_path / "1"]
    assert read_bucket(paths, 0).rows() == [(1, "b"), (3, "d"), (5, "b"), (7, "d")]
    assert read_bucket(paths, 1).rows() == []
    assert read_bucket(paths, 1).schema == {"n": pl.Int64, "s": pl.String}
    assert read_bucket(paths, 2).rows() == [(0, None), (2, "c"), (4, None), (6, "c")]


@pytest.mark.parametrize("buckets", [1, 3])
def test_a_piece_without_rows_keeps_its_columns(tmp_path: Path, buckets: int) -> None:
    rows = pl.DataFrame(schema={"n": pl.Int64, "t": pl.Datetime("us", "UTC"), "l": pl.List(pl.Int8)})
    write_pieces(tmp_path / "p", rows, pl.Series([], dtype=pl.UInt64), buckets)
    for bucket in range(buckets):
        assert read_bucket([tmp_path / "p"], bucket).schema == rows.schema


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=40), st.integers(1, 5))
def test_every_row_comes_out_once(tmp_path_factory: pytest.TempPathFactory, buckets: list[int], pieces: int) -> None:
    folder = tmp_path_factory.mktemp("exchange")
    rows = pl.DataFrame({"n": range(len(buckets)), "bucket": buckets}, schema={"n": pl.Int64, "bucket": pl.UInt64})
    size = -(-rows.height // pieces) or 1
    paths = []
    for start in range(0, max(rows.height, 1), size):
        piece = rows.slice(start, size)
        paths.append(folder / f"{start}")
        write_pieces(paths[-1], piece, piece["bucket"], 5)
    for bucket in range(5):
        assert read_bucket(paths, bucket)["n"].to_list() == [n for n, b in enumerate(buckets) if b == bucket]


def test_rows_of_a_range_out_of_sorted_files(tmp_path: Path) -> None:
    for name, numbers in {"a": [1, 5, 9], "b": [2, 5, 6], "c": []}.items():
        rows = pl.DataFrame(
            {"n": pl.Series(numbers, dtype=pl.Int64), "from": pl.repeat(name, len(numbers), eager=True)}
        )
        rows.write_ipc(tmp_path / name)
    paths = [tmp_path / name for name in "abc"]
    assert read_rows(paths, "n", 2, 9).rows() == [(2, "b"), (5, "a"), (5, "b"), (6, "b")]
    assert read_rows(paths, "n", 10, 20).rows() == []


def test_nothing_but_the_whole_file_is_left(tmp_path: Path) -> None:
    write_pieces(tmp_path / "p", pl.DataFrame({"n": [1]}), pl.Series([0], dtype=pl.UInt64), 1)
    assert [p.name for p in tmp_path.iterdir()] == ["p"]
