"""Arrow IPC files: `train/part-00000.arrow`, uncompressed, so that readers can map them into memory.

A record batch for each published row group, or the part of it that a file holds; types, nulls and REQUIRED columns
are as published.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from headrace.catalog.export.formats import Format
from headrace.catalog.export.rows import Part


def _columns(schema: pa.Schema) -> dict[str, str]:
    return {field.name: str(field.type) for field in schema}


def _write(folder: Path, parts: Iterator[Part], schema: pa.Schema) -> list[str]:
    written = []
    for part in parts:
        name = f"part-{part.number:05d}.arrow"
        with pa.ipc.new_file(folder / name, schema) as writer:
            for table in part.tables:
                writer.write_table(table.combine_chunks())
        written.append(name)
    return written


ARROW = Format(name="arrow", rows_per_file=1 << 20, columns=_columns, write=_write)
