"""Replacing values."""

from __future__ import annotations

from pylibcudf.types import DataType, TypeId
from tests.imitation.arrays import Stream, from_numbers, ready, valid
from tests.imitation.column import Column
from tests.imitation.copying import copy_if_else
from tests.imitation.scalar import Scalar


def replace_nulls(
    source_column: Column, replacement: Column | Scalar, stream: Stream | None = None, mr: None = None
) -> Column:
    """The values, and the replacement where they are null."""
    ready(stream, mr, source_column=(source_column, Column))
    known = from_numbers(DataType(TypeId.BOOL8), valid(source_column))
    return copy_if_else(source_column, replacement, known, stream)
