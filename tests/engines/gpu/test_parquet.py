from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.imitation.fixture import imitation

from headrace.engines.gpu import parquet, query
from headrace.engines.kernels.parquet import Layout, cpu, stored_schema
from headrace.schemas.errors import DataError, RunError


@pytest.fixture(autouse=True)
def _imitated() -> Iterator[None]:
    with imitation():
        yield


TIMES = [datetime(2013, 7, day, 1, 2, 3, 4000) for day in (1, 2, 3, 4)]
ZONED = [time.replace(tzinfo=UTC) for time in TIMES]
FRAME = pl.DataFrame(
    {
        "delay": pl.Series([0.5, -1.25, 3.0, 8.5], dtype=pl.Float32),
        "real": [1.5, 2.5, -3.5, 0.0],
        "carrier": pl.Series([2, 3, 2, 4], dtype=pl.Int32),
        "small": pl.Series([0, 255, 7, 7], dtype=pl.UInt8),
        "late": [False, True, False, True],
        "tailnum": ["N1", "", "ä", "N3"],
        "maybe": [1, None, 3, None],
        "note": [None, "x", None, "y"],
        "day": [date(2020, 1, 1), date(1969, 12, 31), date(2020, 1, 2), date(2020, 1, 3)],
        "utc": pl.Series(ZONED, dtype=pl.Datetime("us", "UTC")),
        "tokyo": pl.Series(ZONED, dtype=pl.Datetime("ms", "Asia/Tokyo")),
        "naive": pl.Series(TIMES, dtype=pl.Datetime("us")),
        "nanos": pl.Series(TIMES, dtype=pl.Datetime("ns")),
        "price": pl.Series([Decimal("1.10"), Decimal("-3.30"), Decimal("0"), Decimal("9")], dtype=pl.Decimal(10, 2)),
        "wait": pl.Series([timedelta(days=40), timedelta(0), timedelta(-1), timedelta(1)], dtype=pl.Duration("us")),
        "ids": pl.Series([[1, 2], [], [3], [4]], dtype=pl.List(pl.Int32)),
        "floats": pl.Series([[0.5], [1.5, 2.5], [], []], dtype=pl.List(pl.Float32)),
        "words": [["a", None], None, [], ["b"]],
        "deep": [[[1], []], [], [[2, 3]], [[None]]],
        "pair": [{"a": 1, "t": TIMES[0]}, {"a": None, "t": None}, {"a": 3, "t": TIMES[1]}, {"a": 4, "t": None}],
    }
)
NULLABLE = ("maybe", "note", "words")
FAST = Layout(dictionary=("carrier", "tailnum"), nullable=NULLABLE)
COLD = Layout(
    compression="zstd",
    dictionary=("carrier", "tailnum"),
    nullable=NULLABLE,
    byte_stream_split=("delay", "real", "floats"),
)


def written(frame: pl.DataFrame, layout: Layout = FAST) -> bytes:
    sink = io.BytesIO()
    parquet.gpu(sink, query.from_polars(frame), layout)
    return sink.getvalue()


def both(frame: pl.DataFrame, layout: Layout, folder: Path) -> list[Path]:
    paths = [folder / "cpu.parquet", folder / "gpu.parquet"]
    with paths[0].open("wb") as out:
        groups = cpu(out, frame, layout)
    with paths[1].open("wb") as out:
        assert parquet.gpu(out, query.from_polars(frame), layout) == groups
    return paths


@pytest.mark.parametrize("layout", [FAST, COLD], ids=["fast", "cold"])
def test_both_bodies_write_the_same_rows_and_types(tmp_path: Path, layout: Layout) -> None:
    of_cpu, of_gpu = both(FRAME, layout, tmp_path)
    assert pq.read_schema(of_gpu).equals(pq.read_schema(of_cpu), check_metadata=True)
    assert pq.read_table(of_gpu).equals(pq.read_table(of_cpu))
    assert pq.read_table(of_gpu).schema.field("naive").type == pa.timestamp("us")
    assert pl.read_parquet(of_gpu).equals(FRAME)
    assert pl.read_parquet(of_gpu).schema == FRAME.schema
    columns = ", ".join(f'"{name}"' for name in FRAME.columns if name != "wait")
    rows = [duckdb.sql(f"select {columns} from '{path}'").fetchall() for path in (of_cpu, of_gpu)]
    assert rows[0] == rows[1]
    types = [duckdb.sql(f"describe select {columns} from '{path}'").fetchall() for path in (of_cpu, of_gpu)]
    assert types[0] == types[1]


def test_both_bodies_give_the_same_levels_and_statistics(tmp_path: Path) -> None:
    of_cpu, of_gpu = (pq.ParquetFile(path) for path in both(FRAME, FAST, tmp_path))
    for i in range(len(of_cpu.schema)):
        ours, theirs = of_gpu.schema.column(i), of_cpu.schema.column(i)
        assert ours.path == theirs.path
        assert (ours.max_definition_level, ours.max_repetition_level) == (
            theirs.max_definition_level,
            theirs.max_repetition_level,
        ), ours.path
        assert ours.logical_type.to_json() == theirs.logical_type.to_json(), ours.path
        found, expected = (file.metadata.row_group(0).column(i) for file in (of_gpu, of_cpu))
        assert found.is_stats_set
        if expected.statistics.has_min_max:
            assert (found.statistics.min, found.statistics.max) == (expected.statistics.min, expected.statistics.max)
        assert found.statistics.null_count == expected.statistics.null_count


def column(data: bytes, name: str) -> Any:
    group = pq.read_metadata(io.BytesIO(data)).row_group(0)
    return next(c for i in range(group.num_columns) if (c := group.column(i)).path_in_schema.split(".")[0] == name)


def test_columns_are_encoded_as_the_layout_says() -> None:
    frame = pl.concat([FRAME] * 2_000)
    fast, cold = written(frame), written(frame, COLD)
    assert [n for n in FRAME.columns if column(fast, n).has_dictionary_page] == ["carrier", "tailnum"]
    split = [name for name in FRAME.columns if "BYTE_STREAM_SPLIT" in column(cold, name).encodings]
    assert split == ["delay", "real", "floats"]
    assert {column(fast, name).compression for name in FRAME.columns} == {"UNCOMPRESSED"}
    assert {column(cold, name).compression for name in FRAME.columns} == {"ZSTD"}
    without = written(frame, Layout(nullable=NULLABLE))
    assert not any(column(without, name).has_dictionary_page for name in FRAME.columns)


def test_row_groups_have_the_rows_that_they_are_to_have() -> None:
    frame = pl.select(x=pl.int_range(300_000, dtype=pl.Int32))
    sink = io.BytesIO()
    assert parquet.gpu(sink, query.from_polars(frame), Layout()) == (131_072, 131_072, 37_856)
    metadata = pq.read_metadata(sink)
    assert [metadata.row_group(i).num_rows for i in range(3)] == [131_072, 131_072, 37_856]
    assert pl.read_parquet(sink).equals(frame)


def test_row_groups_may_be_smaller_than_libcudfs_fragments() -> None:
    frame = pl.concat([FRAME] * 60)
    sink = io.BytesIO()
    assert parquet.gpu(sink, query.from_polars(frame), FAST._replace(row_group_rows=100)) == (100, 100, 40)
    assert pl.read_parquet(sink).equals(frame)


def test_no_rows_are_a_file() -> None:
    data = written(FRAME.clear())
    assert pq.read_metadata(io.BytesIO(data)).num_row_groups == 0
    assert pq.read_schema(io.BytesIO(data)) == stored_schema(FRAME.schema, NULLABLE)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (FRAME, "column 'maybe' is published as required and has 2 nulls in 4 rows"),
        (pl.DataFrame({"x": [[1, None], [None], []]}), "column 'x' is published as required and has 2 nulls in its"),
    ],
)
def test_nulls_are_refused_as_on_the_cpu_and_nothing_is_written(frame: pl.DataFrame, words: str) -> None:
    sink = io.BytesIO()
    with pytest.raises(DataError, match=words) as caught:
        parquet.gpu(sink, query.from_polars(frame), Layout())
    with pytest.raises(DataError) as expected:
        cpu(io.BytesIO(), frame, Layout())
    assert (str(caught.value), caught.value.hint) == (str(expected.value), expected.value.hint)
    assert sink.getvalue() == b""


def test_null_items_in_rows_of_others_do_not_matter() -> None:
    frame = pl.DataFrame({"x": [[1, 2], [], [3], [None]], "s": [["a"], [""], ["b"], [None]]})
    rows = query.from_polars(frame).slice(0, 3)
    sink = io.BytesIO()
    parquet.gpu(sink, rows, Layout())
    assert pl.read_parquet(sink).equals(frame.head(3))


def test_all_bytes_go_through_the_sink_once_and_in_order(tmp_path: Path) -> None:
    class Hashing:
        def __init__(self, out: BinaryIO) -> None:
            self.out, self.hash, self.bytes = out, hashlib.sha256(), 0

        def write(self, data: Any) -> int:
            self.hash.update(data)
            self.bytes += len(data)
            return self.out.write(data)

    with (tmp_path / "a").open("wb") as out:
        sink: Any = Hashing(out)
        parquet.gpu(sink, query.from_polars(FRAME), FAST)
    data = (tmp_path / "a").read_bytes()
    assert (sink.bytes, sink.hash.hexdigest()) == (len(data), hashlib.sha256(data).hexdigest())
    assert pl.read_parquet(data).equals(FRAME)


@pytest.mark.parametrize("after", [0, 1, 2, 5])
def test_what_the_sink_raises_is_raised(after: int) -> None:
    class Full:
        left = after

        def write(self, data: Any) -> int:
            self.left -= 1
            if self.left < 0:
                raise OSError(28, "No space left on device")
            return len(data)

    full: Any = Full()
    with pytest.raises(OSError, match="No space left on device"):
        parquet.gpu(full, query.from_polars(FRAME), FAST)


def test_nothing_is_written_behind_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    # The destructor of libcudf's writer writes a footer.
    from tests.imitation.io.parquet import ChunkedParquetWriter

    sink = io.BytesIO()
    real = ChunkedParquetWriter.write

    def fails(writer: Any, table: Any, partitions_info: Any = None) -> None:
        if sink.tell() > 100_000:
            del writer, table  # as C++ has no frames that would keep them
            raise RuntimeError("CUDF failure at: somewhere")
        real(writer, table, partitions_info)

    monkeypatch.setattr(ChunkedParquetWriter, "write", fails)
    frame = pl.select(x=pl.int_range(300_000, dtype=pl.Int32))
    with pytest.raises(RunError, match="CUDF failure at: somewhere"):
        parquet.gpu(sink, query.from_polars(frame), Layout())
    assert b"PAR1" not in sink.getvalue()[4:]


def test_the_footer_holds_arrows_schema_alone() -> None:
    for frame in (FRAME, FRAME.drop("wait")):
        data = written(frame)
        said = pq.read_metadata(io.BytesIO(data)).metadata[b"ARROW:schema"]
        assert pa.ipc.read_schema(pa.py_buffer(base64.b64decode(said))) == stored_schema(frame.schema, NULLABLE)
        assert data.count(b"ARROW:schema") == 1
