from __future__ import annotations

import base64
import io
from datetime import datetime

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.engines.kernels.parquet import (
    PAGE_BYTES,
    PAGE_ROWS,
    Layout,
    cpu,
    encoded_schema,
    float_columns,
    plain_table,
    stored_schema,
)
from headrace.schemas.errors import DataError

FRAME = pl.DataFrame(
    {
        "delay": pl.Series([0.5, -1.25, float("nan"), 8.5] * 60, dtype=pl.Float32),
        "carrier": pl.Series([2, 3, 2, 4] * 60, dtype=pl.Int32),
        "tailnum": pl.Series(["N1", "N2", "N1", "N3"] * 60),
        "at": pl.Series([datetime(2013, 1, day) for day in (1, 2, 3, 4)] * 60, dtype=pl.Datetime("us", "Asia/Tokyo")),
        "vector": pl.Series([[1.0, 2.0], [], [3.0], [4.0]] * 60, dtype=pl.List(pl.Float64)),
        "maybe": pl.Series([1, None, 3, None] * 60, dtype=pl.Int64),
    }
)
COLD = Layout(
    row_group_rows=100,
    compression="zstd",
    dictionary=("tailnum",),
    nullable=("maybe",),
    byte_stream_split=("delay", "vector"),
)


def written(rows: pl.DataFrame | pa.Table, layout: Layout) -> bytes:
    sink = io.BytesIO()
    cpu(sink, rows, layout)
    return sink.getvalue()


def test_the_bytes_are_those_of_arrows_writer_told_all_this() -> None:
    sink = io.BytesIO()
    schema = pa.schema(
        [
            pa.field("delay", pa.float32(), nullable=False),
            pa.field("carrier", pa.int32(), nullable=False),
            pa.field("tailnum", pa.large_string(), nullable=False),
            pa.field("at", pa.timestamp("us", "Asia/Tokyo"), nullable=False),
            pa.field("vector", pa.large_list(pa.field("element", pa.float64(), nullable=False)), nullable=False),
            pa.field("maybe", pa.int64()),
        ]
    )
    with pq.ParquetWriter(
        sink,
        schema,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        use_dictionary=["tailnum"],
        column_encoding={"delay": "BYTE_STREAM_SPLIT", "vector.list.element": "BYTE_STREAM_SPLIT"},
        write_statistics=True,
        write_page_checksum=True,
        store_schema=True,
    ) as writer:
        table = pa.table([column.cast(f.type) for column, f in zip(FRAME.to_arrow(), schema, strict=True)], schema)
        for start in (0, 100, 200):
            writer.write_table(table.slice(start, 100).combine_chunks())
    assert written(FRAME, COLD) == sink.getvalue()


def test_rows_of_row_groups_are_the_answer() -> None:
    assert cpu(io.BytesIO(), FRAME, COLD) == (100, 100, 40)
    assert cpu(io.BytesIO(), FRAME.head(200), COLD) == (100, 100)
    assert cpu(io.BytesIO(), FRAME.clear(), COLD) == ()


def test_frames_and_tables_are_the_same_rows() -> None:
    assert written(FRAME, COLD) == written(FRAME.to_arrow(), COLD)


@pytest.mark.slow
def test_the_limits_of_pages_are_arrows_own() -> None:
    table = pa.table({"x": pa.array(range(300_000), pa.int64()), "s": pa.array(["x" * 200] * 300_000)})
    ours, said = io.BytesIO(), io.BytesIO()
    pq.write_table(table, ours, use_dictionary=False)
    try:
        pq.write_table(table, said, use_dictionary=False, data_page_size=PAGE_BYTES, max_rows_per_page=PAGE_ROWS)
    except TypeError:
        pytest.skip("this pyarrow has no limit of rows")
    assert ours.getvalue() == said.getvalue()


def test_a_null_where_none_may_be_is_an_error() -> None:
    with pytest.raises(DataError, match=r"column 'maybe' is published as required and has 120 nulls in 240 rows"):
        written(FRAME, Layout())
    with pytest.raises(DataError, match=r"column 'x' is published as required and has 2 nulls in its lists"):
        written(pl.DataFrame({"x": [[1, None], [None], []]}), Layout())
    with pytest.raises(DataError, match="nullable names columns that are not there: other"):
        written(FRAME, Layout(nullable=("maybe", "other")))


def test_the_schema_is_known_without_rows() -> None:
    assert stored_schema(FRAME.schema, ["maybe"]) == plain_table(FRAME.to_arrow(), nullable=["maybe"]).schema
    assert float_columns(stored_schema(FRAME.schema)) == ["delay", "vector"]
    with pytest.raises(DataError, match="not there: other"):
        stored_schema(FRAME.schema, ["other"])


def test_a_schema_is_encoded_as_arrow_does() -> None:
    schema = stored_schema(FRAME.schema, ["maybe"])
    sink = io.BytesIO(written(FRAME, COLD))
    footer = pq.read_metadata(sink).metadata
    assert footer[b"ARROW:schema"].decode() == encoded_schema(schema)
    assert pa.ipc.read_schema(pa.py_buffer(base64.b64decode(encoded_schema(schema)))) == schema


def test_views_and_categories_are_stored_as_strings() -> None:
    table = pa.table({"a": pa.array(["x"], pa.string_view()), "b": pa.array(["y"]).dictionary_encode()})
    assert [field.type for field in plain_table(table).schema] == [pa.large_string(), pa.string()]
