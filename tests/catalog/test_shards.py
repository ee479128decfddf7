from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.catalog.arrow_schema import arrow_fields
from headrace.catalog.files import durable_file
from headrace.catalog.shards import ROW_GROUP_ROWS, shard_path, write_shard, write_table
from headrace.engines.cpu import CpuEngine
from headrace.engines.kernels.parquet import plain_table
from headrace.schemas.errors import DataError, RunError

FRAME = pl.DataFrame(
    {
        "delay": pl.Series([0.5, -1.25, float("nan"), 8.5], dtype=pl.Float32),
        "carrier": pl.Series([2, 3, 2, 4], dtype=pl.Int32),
        "late": pl.Series([False, True, False, True]),
        "tailnum": pl.Series(["N1", "N2", "N1", "N3"], dtype=pl.Categorical),
        "at": pl.Series([datetime(2013, 1, day) for day in (1, 2, 3, 4)], dtype=pl.Datetime("us", "UTC")),
        "vector": pl.Series([[1.0, 2.0]] * 4, dtype=pl.Array(pl.Float32, 2)),
        "maybe": pl.Series([1, None, 3, None], dtype=pl.Int64),
    }
)


def column(path: Path, name: str) -> Any:
    group = pq.read_metadata(path).row_group(0)
    return next(c for i in range(group.num_columns) if (c := group.column(i)).path_in_schema.split(".")[0] == name)


def test_a_shard_says_what_it_is(tmp_path: Path) -> None:
    file = write_table(tmp_path, "train/part-00000.parquet", FRAME.to_arrow(), nullable={"maybe"})
    data = (tmp_path / "train" / "part-00000.parquet").read_bytes()
    assert (file.path, file.rows, file.row_groups) == ("train/part-00000.parquet", 4, (4,))
    assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert [path.name for path in (tmp_path / "train").iterdir()] == ["part-00000.parquet"]
    assert (tmp_path / file.path).stat().st_mode & 0o222 == 0


@pytest.mark.parametrize("profile", ["fast", "cold"])
def test_what_an_engine_holds_is_written_as_its_table(tmp_path: Path, profile: Any, small_groups: int) -> None:
    frame = pl.concat([FRAME] * 60)
    how: dict[str, Any] = {"profile": profile, "dictionary": {"tailnum"}, "nullable": {"maybe"}}
    engine = CpuEngine()
    shard = write_shard(tmp_path, "a.parquet", engine.hold(frame.lazy()), engine, **how)
    assert shard == write_table(tmp_path, "b.parquet", frame.to_arrow(), **how).model_copy(update={"path": "a.parquet"})
    assert shard.row_groups == (small_groups, small_groups, 40)
    with pytest.raises(DataError, match=r"c\.parquet: column 'maybe' is published as required"):
        write_shard(tmp_path, "c.parquet", engine.hold(frame.lazy()), engine)
    assert not (tmp_path / "c.parquet").exists()


@pytest.mark.parametrize("profile", ["fast", "cold"])
def test_both_engines_write_the_same_shard(tmp_path: Path, profile: Any, small_groups: int) -> None:
    from tests.imitation.fixture import imitation

    from headrace.engines.gpu.engine import GpuEngine

    frame = pl.concat([FRAME] * 60).with_columns(
        pl.col("tailnum").cast(pl.String), vector=pl.lit([1.0, 2.0], pl.List(pl.Float32))
    )
    how: dict[str, Any] = {"profile": profile, "dictionary": {"tailnum"}, "nullable": {"maybe"}}
    files = {}
    with imitation():
        for engine in (CpuEngine(), GpuEngine()):
            files[engine.name] = write_shard(
                tmp_path, f"{engine.name}.parquet", engine.hold(frame.lazy()), engine, **how
            )
    cpu, gpu = (tmp_path / files[name].path for name in ("cpu", "gpu"))
    assert (files["gpu"].bytes, files["gpu"].sha256) == (
        gpu.stat().st_size,
        hashlib.sha256(gpu.read_bytes()).hexdigest(),
    )
    assert files["gpu"].row_groups == files["cpu"].row_groups == (small_groups, small_groups, 40)
    assert arrow_fields(pq.read_schema(gpu)) == arrow_fields(pq.read_schema(cpu))
    assert pl.read_parquet(gpu).equals(pl.read_parquet(cpu))
    for name in frame.columns:
        assert column(gpu, name).compression == column(cpu, name).compression
        assert column(gpu, name).has_dictionary_page == column(cpu, name).has_dictionary_page
        split = "BYTE_STREAM_SPLIT"
        assert (split in column(gpu, name).encodings) == (split in column(cpu, name).encodings)


def test_columns_are_required_unless_named(tmp_path: Path) -> None:
    file = write_table(tmp_path, "a.parquet", FRAME.to_arrow(), nullable={"maybe"})
    schema = pq.read_schema(tmp_path / file.path)
    assert [field.name for field in schema if field.nullable] == ["maybe"]
    parquet = pq.ParquetFile(tmp_path / file.path).schema
    assert [parquet.column(i).max_definition_level for i in range(len(parquet))] == [0, 0, 0, 0, 0, 1, 1]


def test_rows_are_grouped_by_131072(tmp_path: Path) -> None:
    frame = pl.select(x=pl.int_range(300_000, dtype=pl.Int32))
    file = write_table(tmp_path, "a.parquet", frame.to_arrow())
    assert ROW_GROUP_ROWS == 131_072
    assert file.row_groups == (131_072, 131_072, 37_856)
    metadata = pq.read_metadata(tmp_path / file.path)
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == list(file.row_groups)


def test_fast_is_plain_and_cold_is_compressed(tmp_path: Path) -> None:
    table = FRAME.to_arrow()
    for profile in ("fast", "cold"):
        write_table(tmp_path, f"{profile}.parquet", table, profile=profile, dictionary={"tailnum"}, nullable={"maybe"})
    fast, cold = tmp_path / "fast.parquet", tmp_path / "cold.parquet"
    for name in ("delay", "vector"):
        assert (column(fast, name).compression, column(cold, name).compression) == ("UNCOMPRESSED", "ZSTD")
        assert "PLAIN" in column(fast, name).encodings
        assert "BYTE_STREAM_SPLIT" in column(cold, name).encodings
        assert not column(fast, name).has_dictionary_page
    assert "BYTE_STREAM_SPLIT" not in column(cold, "carrier").encodings
    assert column(fast, "tailnum").has_dictionary_page
    assert not column(fast, "carrier").has_dictionary_page
    assert pl.read_parquet(fast).equals(pl.read_parquet(cold))


def test_statistics_are_in_the_footer(tmp_path: Path) -> None:
    write_table(tmp_path, "a.parquet", FRAME.to_arrow(), nullable={"maybe"})
    statistics = column(tmp_path / "a.parquet", "carrier").statistics
    assert (statistics.min, statistics.max) == (2, 4)


def test_every_page_has_a_checksum_that_finds_a_flipped_bit(tmp_path: Path) -> None:
    frame = pl.select(x=pl.int_range(1_000, dtype=pl.Int64))
    write_table(tmp_path, "a.parquet", frame.to_arrow())
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[4_000] ^= 1
    (tmp_path / "b.parquet").write_bytes(data)
    assert not pl.from_arrow(pq.read_table(tmp_path / "b.parquet")).equals(frame)  # in silence
    with pytest.raises(OSError, match="CRC checksum verification failed"):
        pq.read_table(tmp_path / "b.parquet", page_checksum_verification=True)


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["fast", "cold"])
def test_equal_tables_give_equal_bytes_however_they_are_cut(tmp_path: Path, profile: Any, small_groups: int) -> None:
    frame = pl.concat([FRAME] * 100)
    pieces = [frame.slice(start, 37) for start in range(0, frame.height, 37)]
    tables = [
        frame.to_arrow(),
        frame.to_arrow(),
        pa.concat_tables([piece.to_arrow().cast(frame.to_arrow().schema) for piece in pieces]),
        frame.to_arrow().replace_schema_metadata({"made": "by someone"}),
        frame.with_columns(pl.col("tailnum").cast(pl.String)).to_arrow(),
    ]
    written = {
        write_table(tmp_path, f"{i}.parquet", table, profile=profile, dictionary={"tailnum"}, nullable={"maybe"}).sha256
        for i, table in enumerate(tables)
    }
    assert len(written) == 1
    assert pq.read_metadata(tmp_path / "2.parquet").num_row_groups == 400 // small_groups


def test_nulls_in_a_required_column_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'maybe' is published as required and has 2 nulls in 4 rows") as caught:
        write_table(tmp_path, "a.parquet", FRAME.to_arrow())
    assert "FillNull" in caught.value.hint
    assert caught.value.where == "a.parquet"
    assert list(tmp_path.iterdir()) == []


def test_items_of_a_required_list_are_required(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [[1, 2], [], [3]], "b": [[1.5, 2.5], [3.5, 4.5], [5.5, 6.5]]})
    table = frame.with_columns(pl.col("b").list.to_array(2)).to_arrow().slice(1)
    write_table(tmp_path, "a.parquet", table)
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert [str(field.type) for field in schema] == [
        "large_list<element: int64 not null>",
        "fixed_size_list<element: double not null>[2]",
    ]
    assert pl.read_parquet(tmp_path / "a.parquet").to_dict(as_series=False) == {
        "a": [[], [3]],
        "b": [[3.5, 4.5], [5.5, 6.5]],
    }
    with pytest.raises(DataError, match="'a' is published as required and has 1 nulls in its lists"):
        write_table(tmp_path, "b.parquet", pl.DataFrame({"a": [[1, None]]}).to_arrow())


def test_nullable_names_columns_that_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not there: other"):
        write_table(tmp_path, "a.parquet", FRAME.to_arrow(), nullable={"maybe", "other"})


def test_a_shard_is_written_once(tmp_path: Path) -> None:
    write_table(tmp_path, "a.parquet", FRAME.to_arrow(), nullable={"maybe"})
    with pytest.raises(DataError, match="is there already"):
        write_table(tmp_path, "a.parquet", FRAME.to_arrow(), nullable={"maybe"})


def test_a_path_outside_the_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a plain relative path"):
        write_table(tmp_path, "../a.parquet", FRAME.to_arrow(), nullable={"maybe"})


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "full").open("wb") as whole:
        whole.write(b"")
    (tmp_path / "full").unlink()

    def full(_: Any, __: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headrace.catalog.shards._HashingSink.write", full)
    with pytest.raises(RunError, match="No space left on device") as caught:
        write_table(tmp_path, "a.parquet", FRAME.to_arrow(), nullable={"maybe"})
    assert "nothing was published" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_an_empty_table_is_a_shard(tmp_path: Path) -> None:
    file = write_table(tmp_path, "a.parquet", FRAME.clear().to_arrow(), nullable={"maybe"})
    assert (file.rows, file.row_groups) == (0, ())
    assert pl.read_parquet(tmp_path / "a.parquet").height == 0


def test_it_opens_in_pyarrow_polars_and_duckdb(tmp_path: Path) -> None:
    write_table(tmp_path, "a.parquet", FRAME.to_arrow(), nullable={"maybe"})
    path = tmp_path / "a.parquet"
    expected = FRAME.with_columns(pl.col("tailnum").cast(pl.String))
    assert pl.read_parquet(path).equals(expected)
    assert pl.read_parquet(path).schema == expected.schema
    assert pq.read_table(path).column("carrier").to_pylist() == [2, 3, 2, 4]
    rows = duckdb.sql(
        f"select tailnum, carrier, maybe, vector[2] from read_parquet('{path}') order by \"at\""
    ).fetchall()
    assert rows == [("N1", 2, 1, 2.0), ("N2", 3, None, 2.0), ("N1", 2, 3, 2.0), ("N3", 4, None, 2.0)]


def test_views_and_categories_are_stored_as_strings() -> None:
    table = pa.table({"a": pa.array(["x"], pa.string_view()), "b": pa.array(["y"]).dictionary_encode()})
    assert [field.type for field in plain_table(table).schema] == [pa.large_string(), pa.string()]


def test_shards_are_numbered_so_that_names_sort() -> None:
    assert shard_path("train", 12) == "train/part-00012.parquet"


def test_a_temporary_file_of_a_dead_writer_is_no_obstacle(tmp_path: Path) -> None:
    with durable_file(tmp_path / "a.parquet") as out:
        (tmp_path / "dead").write_bytes(Path(out.name).read_bytes())
        (tmp_path / ".a.parquet.1.tmp").write_bytes(b"half a")
    assert (tmp_path / "a.parquet").exists()
