"""Kernel `pieces` on the device: rows sorted by bucket, and written as Parquet with row groups that hold one bucket."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import accumulate, groupby
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pylibcudf as plc

from headrace.engines.gpu import query
from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.gpu.memory import device_errors
from headrace.engines.gpu.parquet import gpu as write_parquet
from headrace.engines.gpu.parquet import has_durations, table_metadata
from headrace.engines.kernels.parquet import Layout
from headrace.engines.kernels.pieces import (
    cpu_read,
    file_schema,
    footer,
    row_groups,
    stored,
    temporary_file,
    with_suffix,
)


def gpu_write(path: Path, rows: DeviceFrame, bucket: str, buckets: int) -> None:
    """Write one Parquet file with one row group per bucket, or more for one of over a million rows.

    Nothing is compressed, and there are no dictionaries or statistics. A file is written once and read once, soon and
    mostly from the page cache; its columns are floats, and ids and hashes that compression hardly makes smaller, so
    that it would add a pass on each side for little. PLAIN pages are what libcudf decodes fastest.

    Cost: a sort of row numbers, a copy of the rows, and one encoded bucket in device memory.

    Raises
    ------
    GpuMemoryError
        No memory for these.
    """
    with device_errors():
        pieces, sizes = _sorted(rows, bucket, buckets)
        path = with_suffix(path, ".parquet")
        temporary = temporary_file(path)
        target = plc.io.SinkInfo([str(temporary)])  # must outlive the writer, which uses it and keeps no reference
        options = _options(target, pieces, sizes)
        writer = plc.io.parquet.ChunkedParquetWriter.from_options(options, stream=pieces.stream)
        for end, size in zip(accumulate(sizes), sizes, strict=True):
            if size:
                writer.write(pieces.slice(end - size, size).table)
        if not pieces.height:
            writer.write(pieces.table)  # the columns are known from the first write
        writer.close([])
        os.replace(temporary, path)


def gpu_read(paths: Sequence[Path], bucket: int) -> DeviceFrame:
    """One bucket's rows from every partition's file, those of one run of ``.parquet`` files in one read.

    ``.arrow`` files are read on the host.

    Raises
    ------
    GpuMemoryError
        No memory for the rows.
    """
    kinds = groupby(map(stored, paths), key=lambda path: path.suffix)
    parts = [
        _decoded(list(files), bucket) if kind == ".parquet" else query.from_polars(cpu_read(list(files), bucket))
        for kind, files in kinds
    ]
    if len(parts) == 1:
        return parts[0]
    with device_errors():
        table = plc.concatenate.concatenate([part.table for part in parts], stream=parts[0].stream)
    return DeviceFrame(table, parts[0].schema, parts[0].stream)


def gpu_write_rows(path: Path, rows: DeviceFrame) -> None:
    """Write rows that are sorted by their number as one Parquet file, whose statistics `cpu_read_rows` goes by."""
    path = with_suffix(path, ".parquet")
    temporary = temporary_file(path)
    with temporary.open("wb") as out:
        write_parquet(out, rows, Layout(nullable=tuple(rows.schema)))
    os.replace(temporary, path)


def _sorted(rows: DeviceFrame, bucket: str, buckets: int) -> tuple[DeviceFrame, list[int]]:
    """The rows bucket by bucket, in each in their order, and how many each has."""
    if buckets == 1:
        return rows.drop([bucket]), [rows.height]
    up, nulls = [plc.types.Order.ASCENDING], [plc.types.NullOrder.AFTER]
    keys = plc.Table([rows.column(bucket)])
    # libcudf's `partition` would be faster and leaves the order within a bucket open.
    table = plc.sorting.stable_sort_by_key(rows.table, keys, up, nulls, stream=rows.stream)
    pieces = DeviceFrame(table, rows.schema, rows.stream)
    key = pieces.column(bucket)
    zero, one = (plc.Scalar.from_py(value, key.type(), stream=rows.stream) for value in (0, 1))
    numbers = plc.Table([plc.filling.sequence(buckets, zero, one, stream=rows.stream)])
    firsts = plc.search.lower_bound(plc.Table([key]), numbers, up, nulls, stream=rows.stream)
    found = query.to_polars(DeviceFrame(plc.Table([firsts]), pl.Schema({"first": pl.Int32()}), rows.stream))
    ends = [*found["first"].to_list()[1:], rows.height]
    return pieces.drop([bucket]), [end - first for first, end in zip(found["first"], ends, strict=True)]


def _options(
    target: plc.io.SinkInfo, rows: DeviceFrame, sizes: Sequence[int]
) -> plc.io.parquet.ChunkedParquetWriterOptions:
    schema = pl.DataFrame(schema=rows.schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    options = (
        plc.io.parquet.ChunkedParquetWriterOptions.builder(target)
        .metadata(table_metadata(rows, Layout(nullable=tuple(rows.schema))))
        .key_value_metadata([footer(schema, sizes)])
        .write_arrow_schema(any(map(has_durations, rows.schema.dtypes())))
        .compression(plc.io.types.CompressionType.NONE)
        .stats_level(plc.io.types.StatisticsFreq.STATISTICS_NONE)
        .build()
    )
    options.set_dictionary_policy(plc.io.types.DictionaryPolicy.NEVER)
    return options


def _decoded(paths: Sequence[Path], bucket: int) -> DeviceFrame:
    footers = [pq.read_metadata(path) for path in paths]
    found = pl.from_arrow(file_schema(footers[0]).empty_table())
    assert isinstance(found, pl.DataFrame)
    groups = {str(path): row_groups(known, bucket) for path, known in zip(paths, footers, strict=True)}
    held = {path: numbers for path, numbers in groups.items() if numbers}
    empty = query.from_polars(found)
    if not held:
        return empty
    with device_errors():
        options = plc.io.parquet.ParquetReaderOptions.builder(plc.io.SourceInfo(list(held))).build()
        options.set_row_groups(list(held.values()))
        table = plc.io.parquet.read_parquet(options, stream=empty.stream).tbl
        return DeviceFrame(table, empty.schema, empty.stream)
