"""Leaving rows out."""

from __future__ import annotations

import numpy as np
from pylibcudf.types import SIZE_TYPE, TypeId
from tests.imitation.arrays import Stream, Values, from_numbers, numbers, ready, valid
from tests.imitation.column import Column
from tests.imitation.copying import OutOfBoundsPolicy, gather
from tests.imitation.table import Table


def drop_nulls(
    source_table: Table, keys: list[int], keep_threshold: int, stream: Stream | None = None, mr: None = None
) -> Table:
    """The rows with at least `keep_threshold` values that are not null among the key columns."""
    ready(stream, mr, source_table=(source_table, Table), keys=(keys, list), keep_threshold=(keep_threshold, int))
    known = sum(valid(source_table.columns()[key]).astype("i8") for key in keys)
    return _kept(source_table, np.asarray(known >= keep_threshold), stream)


def apply_retention_mask(
    source_table: Table, retention_mask: Column, stream: Stream | None = None, mr: None = None
) -> Table:
    """The rows where the mask is true, neither false nor null."""
    ready(stream, mr, source_table=(source_table, Table), retention_mask=(retention_mask, Column))
    if retention_mask.type().id() != TypeId.BOOL8 or retention_mask.size() != source_table.num_rows():
        raise ValueError(f"a mask of {retention_mask.size()} {retention_mask.type().id().name} for the table's rows")
    return _kept(source_table, numbers(retention_mask), stream)


def _kept(table: Table, mask: Values, stream: Stream | None) -> Table:
    return gather(table, from_numbers(SIZE_TYPE, np.flatnonzero(mask)), OutOfBoundsPolicy.DONT_CHECK, stream)
