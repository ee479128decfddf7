from __future__ import annotations

import io

import polars as pl
import pyarrow.parquet as pq
import pytest

from headrace.engines.thrift import Kind, Reader


def test_fields_are_told_and_skipped() -> None:
    # Field 1: 150 (i32). Field 2: "ab". Field 3: true. Field 20: -1 (i64), by a long header.
    # Field 21: a list of two i32. Field 22: a struct with one double. Stop.
    data = bytes.fromhex("15ac02 18026162 11 062801 1925 0204 1c 17 0000000000000840 00 00 ff")
    assert list(Reader(data).fields()) == [
        (1, Kind.I32),
        (2, Kind.BINARY),
        (3, Kind.TRUE),
        (20, Kind.I64),
        (21, Kind.LIST),
        (22, Kind.STRUCT),
    ]
    reader = Reader(data)
    assert [reader.integer() for number, _ in reader.fields() if number in (1, 20)] == [150, -1]
    assert data[reader.at] == 255
    reader = Reader(data)
    assert [(reader.binary(), reader.at) for number, _ in reader.fields() if number == 2] == [(b"ab", 7)]


def test_a_list_of_many_booleans_is_walked() -> None:
    data = bytes([0xF2, 20, *[1] * 20, 99])
    reader = Reader(data)
    assert list(reader.items()) == [Kind.FALSE] * 20
    assert data[reader.at] == 99


def test_a_real_footer_is_walked_to_its_end() -> None:
    sink = io.BytesIO()
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None], "c": [[1.5], []], "d": [{"e": True}, {"e": None}]})
    pq.write_table(frame.to_arrow(), sink, write_page_index=True)
    data = sink.getvalue()
    size = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - size : -8]
    reader = Reader(footer)
    assert {number for number, _ in reader.fields()} >= {1, 2, 3, 4, 6}
    assert reader.at == size


@pytest.mark.parametrize(("data", "error"), [(b"\x15", IndexError), (b"\x1f", ValueError), (b"\x1b\x00", ValueError)])
def test_other_data_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(Reader(data).fields())
