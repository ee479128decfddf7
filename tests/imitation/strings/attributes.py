"""What is known of each string."""

from __future__ import annotations

import numpy as np
from pylibcudf.types import DataType, TypeId
from tests.imitation.arrays import Stream, from_numbers, ready, valid
from tests.imitation.column import Column


def count_characters(source_strings: Column, stream: Stream | None = None, mr: None = None) -> Column:
    """How many code points each string has, null for a null string."""
    ready(stream, mr, source_strings=(source_strings, Column))
    lengths = [len(text or "") for text in source_strings._array.to_pylist()]
    return from_numbers(DataType(TypeId.INT32), np.array(lengths, dtype="i8"), valid(source_strings))
