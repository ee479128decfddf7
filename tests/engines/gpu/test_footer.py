from __future__ import annotations

import io
from datetime import datetime

import polars as pl
import pyarrow.parquet as pq
import pytest

from headrace.engines.gpu.footer import mended, zoneless_leaves
from headrace.engines.kernels.parquet import encoded_schema

FRAME = pl.DataFrame(
    {
        "a": pl.Series([datetime(2020, 1, 1)], dtype=pl.Datetime("us", "UTC")),
        "b": pl.Series(["x"]),
        "c": pl.Series([[datetime(2020, 1, 1)]], dtype=pl.List(pl.Datetime("ms", "UTC"))),
        "d": pl.Series([datetime(2020, 1, 1)], dtype=pl.Datetime("ns", "UTC")),
    }
)


def parts(frame: pl.DataFrame) -> tuple[bytes, bytes, bytes]:
    """A file's data, footer and end, as Arrow writes them."""
    sink = io.BytesIO()
    pq.write_table(frame.to_arrow(), sink, store_schema=False)
    data = sink.getvalue()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    return data[:start], data[start:-8], data[-8:]


def test_times_without_a_zone_are_not_said_to_be_utc() -> None:
    data, footer, end = parts(FRAME)
    schema = pq.read_schema(io.BytesIO(data + mended(footer, [False, False, True, True]) + end))
    assert [str(field.type) for field in schema] == [
        "timestamp[us, tz=UTC]",
        "string",
        "list<element: timestamp[ms]>",
        "timestamp[ns]",
    ]
    rows = pl.read_parquet(data + mended(footer, [True, False, False, True]) + end)
    assert rows.dtypes == [pl.Datetime("us"), pl.String, pl.List(pl.Datetime("ms", "UTC")), pl.Datetime("ns")]
    assert rows["a"].to_list() == [datetime(2020, 1, 1)]
    assert mended(footer, [False, True, False, False]) == footer


def test_other_leaves_than_expected_are_refused() -> None:
    _, footer, _ = parts(FRAME)
    with pytest.raises(ValueError, match="the footer has 4 leaves, expected 3"):
        mended(footer, [True] * 3)


def test_of_two_schemas_the_first_is_left() -> None:
    sink = io.BytesIO()
    table = FRAME.to_arrow()
    ours = encoded_schema(table.schema)
    with pq.ParquetWriter(sink, table.schema, store_schema=False) as writer:
        writer.add_key_value_metadata({"ARROW:schema": ours, "other": "x", "ARROW:schemb": "theirs"})
    data = sink.getvalue().replace(b"schemb", b"schema")
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    made = data[:start] + mended(data[start:-8], [False] * 4) + data[-8:]
    assert pq.read_metadata(io.BytesIO(made)).metadata == {
        b"ARROW:schema": ours.encode(),
        b"other": b"x",
        b"cudf::schema": b"theirs",
    }


def test_leaves_are_those_of_lists_and_structs() -> None:
    schema = pl.Schema(
        {
            "a": pl.Datetime("us"),
            "b": pl.List(pl.List(pl.Datetime("us"))),
            "c": pl.Struct({"x": pl.Int8, "y": pl.Datetime("us"), "z": pl.List(pl.Datetime("us", "UTC"))}),
            "d": pl.Date(),
        }
    )
    assert zoneless_leaves(schema) == [True, True, False, True, False, False]
