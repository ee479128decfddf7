"""Strings into lists of their parts."""

from __future__ import annotations

import re

import pyarrow as pa
from pylibcudf.types import DataType, TypeId
from tests.imitation.arrays import Stream, made, ready
from tests.imitation.column import Column
from tests.imitation.scalar import Scalar


def split_record(
    strings: Column, delimiter: Scalar, maxsplit: int, stream: Stream | None = None, mr: None = None
) -> Column:
    """The parts between white space, none of them empty; a null list for a null string."""
    ready(stream, mr, strings=(strings, Column), delimiter=(delimiter, Scalar), maxsplit=(maxsplit, int))
    if delimiter._value != "" or maxsplit != -1:
        raise NotImplementedError("other than all parts between white space")
    # libcudf takes every character up to U+0020 for white space.
    parts = [None if t is None else re.findall(r"[^\x00-\x20]+", t) for t in strings._array.to_pylist()]
    return made(DataType(TypeId.LIST), pa.array(parts, pa.list_(strings._array.type)))
