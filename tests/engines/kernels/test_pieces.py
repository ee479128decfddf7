from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.engines.kernels import pieces
from headrace.engines.kernels.pieces import cpu_read, cpu_read_rows, cpu_write, cpu_write_rows, stored

ROWS = pl.DataFrame(
    {
        "bucket": pl.Series([2, 0, 2, 0], dtype=pl.UInt32),
        "n": [1, 2, 3, None],
        "text": ["ä", None, "", "d"],
        "flag": [True, None, False, True],
        "small": pl.Series([1, 2, None, 255], dtype=pl.UInt8),
        "real": pl.Series([0.5, None, float("nan"), -0.0], dtype=pl.Float32),
        "list": [[1, None], [], None, [4]],
        "words": [["a", "b"], None, [], [None]],
        "day": [date(2020, 1, 1), None, date(1969, 12, 31), date(2020, 1, 2)],
        "zoned": pl.Series([datetime(2020, 7, 1, tzinfo=UTC), None] * 2, dtype=pl.Datetime("us", "America/New_York")),
        "naive": pl.Series([datetime(2020, 7, 1), None] * 2, dtype=pl.Datetime("ms")),
        "price": pl.Series([Decimal("1.10"), None, Decimal("-3.30"), Decimal("0")], dtype=pl.Decimal(10, 2)),
        "wait": [timedelta(days=40, microseconds=1), None, timedelta(0), timedelta(-1)],
        "pair": [{"a": 1, "b": "x"}, {"a": None, "b": None}, {"a": 3, "b": "z"}, {"a": 4, "b": None}],
    }
)


def test_a_bucket_is_its_rows_of_every_piece_in_order(tmp_path: Path) -> None:
    for piece, first in enumerate((0, 4)):
        rows = pl.DataFrame({"n": range(first, first + 4), "s": [None, "b", "c", "d"], "to": [2, 0, 2, 0]})
        cpu_write(tmp_path / f"{piece}", rows, "to", 3)
    paths = [tmp_path / "0", tmp_path / "1"]
    assert cpu_read(paths, 0).rows() == [(1, "b"), (3, "d"), (5, "b"), (7, "d")]
    assert cpu_read(paths, 1).rows() == []
    assert cpu_read(paths, 1).schema == {"n": pl.Int64, "s": pl.String}
    assert cpu_read(paths, 2).rows() == [(0, None), (2, "c"), (4, None), (6, "c")]


def test_every_type_comes_back(tmp_path: Path) -> None:
    cpu_write(tmp_path / "p", ROWS, "bucket", 3)
    assert cpu_read([tmp_path / "p"], 0).equals(ROWS.drop("bucket")[[1, 3]])
    assert cpu_read([tmp_path / "p"], 2).equals(ROWS.drop("bucket")[[0, 2]])
    assert cpu_read([tmp_path / "p"], 1).schema == ROWS.drop("bucket").schema


@pytest.mark.parametrize("buckets", [1, 3])
def test_a_piece_without_rows_keeps_its_columns(tmp_path: Path, buckets: int) -> None:
    rows = pl.DataFrame(schema={"n": pl.Int64, "t": pl.Datetime("us", "UTC"), "l": pl.List(pl.Int8), "to": pl.UInt64})
    cpu_write(tmp_path / "p", rows, "to", buckets)
    for bucket in range(buckets):
        assert cpu_read([tmp_path / "p"], bucket).schema == rows.drop("to").schema


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=40), st.integers(1, 5))
def test_every_row_comes_out_once(tmp_path_factory: pytest.TempPathFactory, buckets: list[int], pieces: int) -> None:
    folder = tmp_path_factory.mktemp("exchange")
    rows = pl.DataFrame({"n": range(len(buckets)), "bucket": buckets}, schema={"n": pl.Int64, "bucket": pl.UInt64})
    size = -(-rows.height // pieces) or 1
    paths = []
    for start in range(0, max(rows.height, 1), size):
        paths.append(folder / f"{start}")
        cpu_write(paths[-1], rows.slice(start, size), "bucket", 5)
    for bucket in range(5):
        assert cpu_read(paths, bucket)["n"].to_list() == [n for n, b in enumerate(buckets) if b == bucket]


def test_rows_of_a_range_out_of_sorted_files(tmp_path: Path) -> None:
    for name, numbers in {"a": [1, 5, 9], "b": [2, 6], "c": []}.items():
        column = pl.Series(numbers, dtype=pl.Int64)
        cpu_write_rows(tmp_path / name, pl.DataFrame({"n": column, "from": pl.repeat(name, len(numbers), eager=True)}))
    paths = [tmp_path / name for name in "abc"]
    assert cpu_read_rows(paths, "n", 2, 9).collect().rows() == [(2, "b"), (5, "a"), (6, "b")]
    assert cpu_read_rows(paths, "n", 10, 20).collect().rows() == []
    assert cpu_read_rows(paths[:1], "n", 0, 2**63 - 1).collect().rows() == [(1, "a"), (5, "a"), (9, "a")]


def parquet_piece(path: Path) -> None:
    """As the GPU's body writes it, by Arrow: a row group per bucket, or two, and what the footer says."""
    parts = [ROWS.drop("bucket")[[1, 3]], ROWS.drop("bucket")[[0, 2]]]
    schema = parts[0].to_arrow().schema
    with pq.ParquetWriter(path.with_suffix(".parquet"), schema) as writer:
        writer.add_key_value_metadata(pieces.footer(schema, [2, 0, 2]))
        writer.write_table(parts[0].to_arrow())
        writer.write_table(parts[1].to_arrow(), row_group_size=1)


def test_files_of_both_kinds_are_read_in_the_order_of_the_paths(tmp_path: Path) -> None:
    parquet_piece(tmp_path / "a")
    cpu_write(tmp_path / "b", ROWS, "bucket", 3)
    parquet_piece(tmp_path / "c")
    paths = [tmp_path / name for name in "abc"]
    assert cpu_read(paths, 2).equals(pl.concat([ROWS.drop("bucket")[[0, 2]]] * 3))
    assert cpu_read(paths, 1).equals(ROWS.drop("bucket").clear())
    assert cpu_read(paths[::2], 0).equals(pl.concat([ROWS.drop("bucket")[[1, 3]]] * 2))


def test_a_bucket_is_found_by_its_row_groups(tmp_path: Path) -> None:
    parquet_piece(tmp_path / "a")
    metadata = pq.read_metadata(tmp_path / "a.parquet")
    assert [pieces.row_groups(metadata, bucket) for bucket in range(3)] == [[0], [], [1, 2]]
    assert json.loads(metadata.metadata[b"headrace:bucket_rows"]) == [2, 0, 2]


def test_rows_of_a_range_are_read_from_files_of_both_kinds(tmp_path: Path) -> None:
    cpu_write_rows(tmp_path / "a", pl.DataFrame({"n": [1, 4]}))
    pl.DataFrame({"n": [2, 3]}).write_parquet(tmp_path / "b.parquet")
    pl.DataFrame({"n": [0, 5]}).write_parquet(tmp_path / "c.parquet")
    paths = [tmp_path / name for name in "abc"]
    assert cpu_read_rows(paths, "n", 1, 5).collect()["n"].to_list() == [1, 2, 3, 4]
    assert cpu_read_rows(paths[1:2], "n", 3, 5).collect()["n"].to_list() == [3]


def test_nothing_but_the_whole_file_is_left(tmp_path: Path) -> None:
    cpu_write(tmp_path / "p", pl.DataFrame({"n": [1], "to": [0]}), "to", 1)
    cpu_write_rows(tmp_path / "r", pl.DataFrame({"n": [1]}))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.arrow", "r.arrow"]


def test_a_temporary_file_is_not_found_by_the_name_of_the_file(tmp_path: Path) -> None:
    assert not pieces.temporary_file(tmp_path / "bucket-00001.arrow").name.startswith("bucket-00001")


def test_a_path_that_names_its_file_is_taken_at_its_word(tmp_path: Path) -> None:
    cpu_write(tmp_path / "p", ROWS, "bucket", 3)
    assert stored(tmp_path / "p") == stored(tmp_path / "p.arrow") == tmp_path / "p.arrow"
    with pytest.raises(FileNotFoundError, match="no engine has written these rows"):
        stored(tmp_path / "q")
