from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.kernels.test_pieces import ROWS
from tests.imitation.fixture import imitation

from headrace.engines.gpu import pieces, query
from headrace.engines.kernels.pieces import cpu_read, cpu_read_rows, cpu_write, cpu_write_rows


@pytest.fixture(autouse=True)
def _imitated() -> Iterator[None]:
    with imitation():
        yield


def write(path: Path, rows: pl.DataFrame, buckets: int) -> None:
    pieces.gpu_write(path, query.from_polars(rows), "bucket", buckets)


def read(paths: list[Path], bucket: int) -> pl.DataFrame:
    return query.to_polars(pieces.gpu_read(paths, bucket))


def test_a_bucket_is_its_rows_of_every_piece_in_order(tmp_path: Path) -> None:
    for piece, first in enumerate((0, 4)):
        rows = pl.DataFrame({"n": range(first, first + 4), "s": [None, "b", "c", "d"], "bucket": [2, 0, 2, 0]})
        write(tmp_path / f"{piece}", rows, 3)
    paths = [tmp_path / "0", tmp_path / "1"]
    assert read(paths, 0).rows() == [(1, "b"), (3, "d"), (5, "b"), (7, "d")]
    assert read(paths, 1).rows() == []
    assert read(paths, 1).schema == {"n": pl.Int64, "s": pl.String}
    assert read(paths, 2).rows() == [(0, None), (2, "c"), (4, None), (6, "c")]


def test_every_type_comes_back_on_both_engines(tmp_path: Path) -> None:
    write(tmp_path / "p", ROWS, 3)
    expected = ROWS.drop("bucket")
    for back in (read, cpu_read):
        assert back([tmp_path / "p"], 0).equals(expected[[1, 3]])
        assert back([tmp_path / "p"], 2).equals(expected[[0, 2]])
        assert back([tmp_path / "p"], 0).schema == back([tmp_path / "p"], 1).schema == expected.schema


@pytest.mark.parametrize("buckets", [1, 3])
def test_a_piece_without_rows_keeps_its_columns(tmp_path: Path, buckets: int) -> None:
    rows = ROWS.clear()
    write(tmp_path / "p", rows, buckets)
    for bucket in range(buckets):
        assert read([tmp_path / "p"], bucket).schema == rows.drop("bucket").schema
        assert cpu_read([tmp_path / "p"], bucket).schema == rows.drop("bucket").schema


@pytest.mark.parametrize("dtype", [pl.UInt8, pl.UInt32, pl.UInt64, pl.Int32])
def test_buckets_may_be_any_integers(tmp_path: Path, dtype: pl.DataType) -> None:
    rows = pl.DataFrame({"n": range(512), "bucket": [255 - n % 256 for n in range(512)]})
    write(tmp_path / "p", rows.with_columns(pl.col("bucket").cast(dtype)), 256)
    assert read([tmp_path / "p"], 255)["n"].to_list() == [0, 256]
    assert read([tmp_path / "p"], 0)["n"].to_list() == [255, 511]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=40), st.integers(1, 5))
def test_every_row_comes_out_once(tmp_path_factory: pytest.TempPathFactory, buckets: list[int], pieces: int) -> None:
    folder = tmp_path_factory.mktemp("exchange")
    rows = pl.DataFrame({"n": range(len(buckets)), "bucket": buckets}, schema={"n": pl.Int64, "bucket": pl.UInt64})
    size = -(-rows.height // pieces) or 1
    paths = []
    with imitation():
        for start in range(0, max(rows.height, 1), size):
            paths.append(folder / f"{start}")
            write(paths[-1], rows.slice(start, size), 5)
        for bucket in range(5):
            assert read(paths, bucket)["n"].to_list() == [n for n, b in enumerate(buckets) if b == bucket]


def test_both_engines_read_what_either_has_written(tmp_path: Path) -> None:
    write(tmp_path / "a", ROWS, 3)
    cpu_write(tmp_path / "b", ROWS, "bucket", 3)
    write(tmp_path / "c", ROWS, 3)
    paths = [tmp_path / name for name in "abc"]
    for bucket, kept in ((0, [1, 3]), (1, []), (2, [0, 2])):
        expected = pl.concat([ROWS.drop("bucket")[kept]] * 3)
        assert read(paths, bucket).equals(expected)
        assert cpu_read(paths, bucket).equals(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.arrow", "c.parquet"]


def test_a_row_group_holds_one_bucket_and_nothing_is_compressed(tmp_path: Path) -> None:
    rows = pl.DataFrame({"n": range(30_000), "bucket": [n % 3 * 2 for n in range(30_000)]})
    write(tmp_path / "p", rows, 5)
    metadata = pq.read_metadata(tmp_path / "p.parquet")
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [10_000] * 3
    assert {group.column(0).compression for group in groups} == {"UNCOMPRESSED"}
    assert not any(group.column(0).has_dictionary_page for group in groups)
    assert metadata.metadata[b"headrace:bucket_rows"] == b"[10000,0,10000,0,10000]"


def test_a_large_bucket_is_read_whole(tmp_path: Path) -> None:
    rows = pl.select(n=pl.int_range(2_100_000, dtype=pl.Int32)).with_columns(bucket=pl.col("n") % 2)
    write(tmp_path / "p", rows, 2)
    assert pq.read_metadata(tmp_path / "p.parquet").num_row_groups == 4
    for back in (read, cpu_read):
        assert back([tmp_path / "p"], 1)["n"].equals(rows.filter(pl.col("bucket") == 1)["n"])


def test_rows_of_a_range_out_of_files_of_both_kinds(tmp_path: Path) -> None:
    rows = ROWS.drop("bucket").with_columns(n=pl.Series([1, 5, 9, 12], dtype=pl.Int64))
    pieces.gpu_write_rows(tmp_path / "a", query.from_polars(rows))
    cpu_write_rows(tmp_path / "b", rows.with_columns(pl.col("n") + 1))
    pieces.gpu_write_rows(tmp_path / "c", query.from_polars(rows.clear()))
    paths = [tmp_path / name for name in "abc"]
    expected = pl.concat([rows, rows.with_columns(pl.col("n") + 1)]).sort("n").filter(pl.col("n").is_between(2, 9))
    found = cpu_read_rows(paths, "n", 2, 10)
    assert found.collect_schema() == rows.schema
    assert found.collect().equals(expected)
    assert query.to_polars(query.run(found.drop("pair"))).equals(expected.drop("pair"))
    assert cpu_read_rows(paths[:1], "n", 0, 2**63 - 1).collect().equals(rows)


def test_a_range_of_rows_translates_for_the_device(tmp_path: Path) -> None:
    for name in "ab":
        rows = pl.DataFrame({"n": [1, 2], "s": ["x", None], "l": [[1], []]})
        pieces.gpu_write_rows(tmp_path / name, query.from_polars(rows))
    query.translated(cpu_read_rows([tmp_path / "a", tmp_path / "b"], "n", 0, 2**63 - 1))
    cpu_write_rows(tmp_path / "c", pl.DataFrame({"n": [1, 2], "s": ["x", None], "l": [[1], []]}))
    query.translated(cpu_read_rows([tmp_path / name for name in "abc"], "n", 0, 2))


def test_answers_have_the_statistics_that_a_range_is_found_by(tmp_path: Path) -> None:
    rows = pl.select(n=pl.int_range(300_000))
    pieces.gpu_write_rows(tmp_path / "a", query.from_polars(rows))
    metadata = pq.read_metadata(tmp_path / "a.parquet")
    found = [metadata.row_group(i).column(0).statistics for i in range(metadata.num_row_groups)]
    assert [(s.min, s.max) for s in found] == [(0, 131_071), (131_072, 262_143), (262_144, 299_999)]


def test_nothing_but_the_whole_file_is_left(tmp_path: Path) -> None:
    write(tmp_path / "p", pl.DataFrame({"n": [1], "bucket": [0]}), 1)
    pieces.gpu_write_rows(tmp_path / "r", query.from_polars(pl.DataFrame({"n": [1]})))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.parquet", "r.parquet"]
