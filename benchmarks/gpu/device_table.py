"""The generator's arrays on the device as a Parquet file, by libcudf. Imports what needs CUDA: import it late."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pylibcudf as plc

if TYPE_CHECKING:
    from benchmarks.gpu_ctr import Values

CODECS: Final = {"snappy": plc.io.types.CompressionType.SNAPPY, "zstd": plc.io.types.CompressionType.ZSTD}


def write_table(
    path: Path,
    columns: Mapping[str, Values],
    texts: Mapping[str, tuple[Any, Any]],
    compression: str,
    row_group_rows: int,
    dictionary_bytes: int,
) -> None:
    """Write columns to one file: numbers from their values, strings from their bytes and offsets in `texts`.

    Columns that cannot hold nulls are REQUIRED in the file. The arrays must be ready: nothing here waits for them.
    """
    made = [
        strings(*texts[name], column.null) if name in texts else numbers(column.values, column.null)
        for name, column in columns.items()
    ]
    table = plc.Table(made)
    metadata = plc.io.types.TableInputMetadata(table)
    for about, (name, column) in zip(metadata.column_metadata, columns.items(), strict=True):
        about.set_name(name)
        about.set_nullability(column.null is not None)
    options = (
        plc.io.parquet.ParquetWriterOptions.builder(plc.io.types.SinkInfo([str(path)]), table)
        .metadata(metadata)
        .compression(CODECS[compression])
        .stats_level(plc.io.types.StatisticsFreq.STATISTICS_ROWGROUP)
        .dictionary_policy(plc.io.types.DictionaryPolicy.ADAPTIVE)
        .build()
    )
    options.set_row_group_size_rows(row_group_rows)
    options.set_max_dictionary_size(dictionary_bytes)
    plc.io.parquet.write_parquet(options)


def numbers(values: Any, null: Any) -> plc.Column:
    """A column over an array on the device; `null` is an array of booleans, or None."""
    column = plc.Column.from_cuda_array_interface(values)
    return column if null is None else column.with_mask(*mask(null))


def strings(digits: Any, offsets: Any, null: Any) -> plc.Column:
    """A column of strings over their bytes and int32 offsets on the device."""
    bits, nulls = mask(null)
    return plc.Column(
        plc.DataType(plc.TypeId.STRING),
        len(offsets) - 1,
        plc.gpumemoryview(digits),
        bits,
        nulls,
        0,
        [plc.Column.from_cuda_array_interface(offsets)],
    )


def mask(null: Any) -> tuple[plc.gpumemoryview, int]:
    """libcudf's bits of validity, and how many rows are null."""
    bits, nulls = plc.transform.bools_to_mask(plc.Column.from_cuda_array_interface(~null))
    return bits, nulls
