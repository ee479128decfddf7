"""Pages that are read into place: what Arrow reads of the same file, or nothing."""

from __future__ import annotations

import mmap
import os
import tracemalloc
from itertools import cycle, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.catalog.loader import plain
from headrace.catalog.loader.plain import Pages, Target, fill, pages_of

ROWS = 50_000  # more than two pages, which Arrow ends after 20,000 rows
NUMBERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
PLAIN: dict[str, Any] = {"compression": "none", "use_dictionary": False, "data_page_version": "1.0"}


def column(dtype: str, rows: int = ROWS) -> npt.NDArray[Any]:
    draw = np.random.default_rng(0)
    if dtype.startswith("float"):
        return draw.normal(size=rows).astype(dtype)
    limits = np.iinfo(dtype)
    return draw.integers(limits.min, limits.max, rows, dtype=dtype, endpoint=True)


def written(path: Path, values: Any, *, nullable: bool = False, **options: Any) -> pq.ColumnChunkMetaData:
    array = pa.array(values)
    schema = pa.schema([pa.field("x", array.type, nullable)])
    pq.write_table(pa.table([array], schema=schema), path, **PLAIN | options)
    return pq.read_metadata(path).row_group(0).column(0)


def pages(path: Path, chunk: pq.ColumnChunkMetaData, dtype: str) -> Pages | None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return pages_of(chunk, np.dtype(dtype), mapped)


def read(path: Path, found: Pages, *cuts: int) -> npt.NDArray[Any] | None:
    """Rows from the first cut to the last, each stretch to memory of its own."""
    parts = [np.zeros(stop - start, found.stored) for start, stop in pairwise(cuts)]
    bounds = zip(cuts, cuts[1:], parts, strict=False)
    with path.open("rb") as file:
        targets = [Target(a, z, part.data.cast("B"), 0) for a, z, part in bounds]
        whole = fill(file.fileno(), [(found, 0)], targets)
    return np.concatenate(parts) if whole else None


@pytest.mark.parametrize("checksums", [True, False])
@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("dtype", NUMBERS)
def test_numbers_are_those_that_were_written(tmp_path: Path, dtype: str, statistics: bool, checksums: bool) -> None:
    values = column(dtype)
    options = {"write_statistics": statistics, "write_page_checksum": checksums}
    found = pages(tmp_path / "f", written(tmp_path / "f", values, **options), dtype)
    assert found is not None
    assert found.rows == (0, 20_000, 40_000, 50_000)
    got = read(tmp_path / "f", found, 0, ROWS)
    assert got is not None
    assert np.array_equal(got.astype(dtype), values)


@given(cuts=st.lists(st.integers(0, ROWS), min_size=2, max_size=6, unique=True).map(sorted))
@settings(max_examples=30)
def test_any_rows_go_to_any_places(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.parquet"
    values = column("float32")
    chunk = pq.read_metadata(path).row_group(0).column(0) if path.exists() else written(path, values)
    found = pages(path, chunk, "float32")
    assert found is not None
    got = read(path, found, *cuts)
    assert got is not None
    assert np.array_equal(got, values[cuts[0] : cuts[-1]])


def test_more_places_than_the_system_takes_in_one_call(tmp_path: Path) -> None:
    found = pages(tmp_path / "f", written(tmp_path / "f", column("int64")), "int64")
    assert found is not None
    got = read(tmp_path / "f", found, *range(0, ROWS + 1, 20))
    assert got is not None
    assert np.array_equal(got, column("int64"))


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (column("int32") % 100, {"use_dictionary": True}),
        (column("int32"), {"compression": "zstd"}),
        (column("int32"), {"data_page_version": "2.0"}),
        (column("float32"), {"column_encoding": {"x": "BYTE_STREAM_SPLIT"}}),
        (column("int32"), {"column_encoding": {"x": "DELTA_BINARY_PACKED"}}),
        (column("int8") > 0, {}),
        (column("float32").astype("float16"), {}),
        (["a", "b"] * 9, {}),
        (np.array([], "int32"), {}),
    ],
    ids=["dictionary", "compressed", "second version", "split bytes", "deltas", "bits", "halves", "text", "no rows"],
)
def test_what_is_stored_in_another_way_is_left_to_arrow(tmp_path: Path, values: Any, options: dict[str, Any]) -> None:
    dtype = values.dtype.name if isinstance(values, np.ndarray) else "int32"
    chunk = written(tmp_path / "f", values, **options)
    assert pages(tmp_path / "f", chunk, dtype) in (None, Pages((), (0,), np.dtype("int32")))


def test_levels_of_nulls_are_no_values(tmp_path: Path) -> None:
    chunk = written(tmp_path / "f", column("int32"), nullable=True)
    assert pages(tmp_path / "f", chunk, "int32") is None


def test_another_type_than_the_columns_is_left_to_arrow(tmp_path: Path) -> None:
    chunk = written(tmp_path / "f", column("int32"))
    for dtype in ("float32", "int64", "uint64", "bool"):
        assert pages(tmp_path / "f", chunk, dtype) is None


@given(data=st.data())
@settings(max_examples=300)
def test_a_flip_in_a_header_gives_the_same_places_or_none(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "flips.parquet"
    chunk = pq.read_metadata(path).row_group(0).column(0) if path.exists() else written(path, column("float64"))
    found = pages(path, chunk, "float64")
    assert found is not None
    ends = [chunk.data_page_offset, *(s + 8 * n for s, n in zip(found.starts, np.diff(found.rows), strict=True))]
    headers = [at for end, start in zip(ends, found.starts, strict=False) for at in range(end, start)]
    flipped = bytearray(path.read_bytes())
    flipped[data.draw(st.sampled_from(headers))] ^= 1 << data.draw(st.integers(0, 7))
    with mmap.mmap(-1, len(flipped)) as memory:
        memory[:] = bytes(flipped)
        assert pages_of(chunk, np.dtype("float64"), memory) in (None, found)


def test_a_file_that_ends_too_early_is_told(tmp_path: Path) -> None:
    found = pages(tmp_path / "f", written(tmp_path / "f", column("int64")), "int64")
    assert found is not None
    data = (tmp_path / "f").read_bytes()
    (tmp_path / "f").write_bytes(data[: found.starts[-1] + 80_000 - 1])
    assert read(tmp_path / "f", found, 0, ROWS) is None
    assert read(tmp_path / "f", found, 0, ROWS - 1) is not None


@given(limits=st.lists(st.integers(1, 100_000), min_size=1, max_size=8))
@settings(max_examples=30)
def test_less_than_was_asked_for_is_gone_on_with(tmp_path_factory: pytest.TempPathFactory, limits: list[int]) -> None:
    path = tmp_path_factory.getbasetemp() / "short.parquet"
    chunk = pq.read_metadata(path).row_group(0).column(0) if path.exists() else written(path, column("float32"))
    found = pages(path, chunk, "float32")
    assert found is not None
    limit = cycle([*limits, 100_000])

    def some(descriptor: int, buffers: list[memoryview], at: int) -> int:
        data, got = os.pread(descriptor, min(sum(map(len, buffers)), next(limit)), at), 0
        for buffer in buffers:
            part = data[got : got + len(buffer)]
            buffer[: len(part)] = part
            got += len(part)
        return len(data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain.os, "preadv", some)
        got = read(path, found, 3, 20_001, 20_002, ROWS)
    assert got is not None
    assert np.array_equal(got, column("float32")[3:])


@given(data=st.data())
@settings(max_examples=100)
def test_anything_in_the_place_of_a_header_gives_the_same_places_or_none(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbled.parquet"
    chunk = pq.read_metadata(path).row_group(0).column(0) if path.exists() else written(path, column("int32"))
    found = pages(path, chunk, "int32")
    assert found is not None
    page = data.draw(st.integers(0, 2))
    start = chunk.data_page_offset if page == 0 else found.starts[page - 1] + 4 * 20_000
    at = data.draw(st.integers(start, found.starts[page] - 1))
    garbled = data.draw(st.binary(min_size=1, max_size=found.starts[page] - at))
    whole = path.read_bytes()
    for end in (len(whole), at + len(garbled)):
        with mmap.mmap(-1, end) as memory:
            memory[:] = (whole[:at] + garbled + whole[at + len(garbled) :])[:end]
            assert pages_of(chunk, np.dtype("int32"), memory) in (None, found)


def test_a_header_without_an_end_is_not_looked_for_beyond_what_one_takes(tmp_path: Path) -> None:
    chunk = written(tmp_path / "f", np.full(1_000_000, 0x11111111, np.int32), data_page_size=1 << 30)
    with (tmp_path / "f").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        data = bytearray(mapped)
    assert pages_of(chunk, np.dtype("int32"), cast(Any, data)) is not None
    begin = chunk.data_page_offset
    end = data.index(b"\x00\x00\x00\x11\x11", begin)
    data[end : end + 3] = b"\x11\x11\x11"
    tracemalloc.start()
    assert pages_of(chunk, np.dtype("int32"), cast(Any, data)) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_column_in_another_file_is_left_to_arrow(tmp_path: Path) -> None:
    chunk = written(tmp_path / "f", column("int32"))
    names = "physical_type compression has_dictionary_page encodings num_values data_page_offset total_compressed_size"
    parts: dict[str, Any] = {name: getattr(chunk, name) for name in [*names.split(), "file_path"]}
    with (tmp_path / "f").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert pages_of(cast(Any, SimpleNamespace(**parts)), np.dtype("int32"), mapped) is not None
        assert pages_of(cast(Any, SimpleNamespace(**parts | {"file_path": "other"})), np.dtype("int32"), mapped) is None
