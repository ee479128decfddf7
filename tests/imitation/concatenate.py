"""Columns and tables one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pyarrow as pa
from tests.imitation.arrays import Stream, made, ready
from tests.imitation.column import Column
from tests.imitation.table import Table

ColumnOrTable = TypeVar("ColumnOrTable", Column, Table)


def concatenate(objects: Sequence[ColumnOrTable], stream: Stream | None = None, mr: None = None) -> ColumnOrTable:
    """All rows of the first, then all of the second; their types must be equal."""
    ready(stream, mr)
    if not objects:
        raise ValueError("input list may not be empty")
    first = objects[0]
    if isinstance(first, Column):
        if len({column.type() for column in objects}) > 1:  # type: ignore[union-attr]
            raise TypeError(f"the columns have different types: {[c.type().id().name for c in objects]}")  # type: ignore[union-attr]
        return made(first.type(), pa.concat_arrays([column._array for column in objects]))  # type: ignore[union-attr]
    height = sum(table.num_rows() for table in objects)  # type: ignore[union-attr]
    parts = zip(*(table.columns() for table in objects), strict=True)  # type: ignore[union-attr]
    return Table([concatenate(list(part), stream) for part in parts], height)
