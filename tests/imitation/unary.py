"""Operations on one column."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from pylibcudf.types import DataType, TypeId
from tests.imitation.arrays import NUMBERS, Stream, arrow_type, from_numbers, made, numbers, physical, ready, valid
from tests.imitation.column import Column

_BOOL: Final = DataType(TypeId.BOOL8)


def is_null(input: Column, stream: Stream | None = None, mr: None = None) -> Column:
    ready(stream, mr, input=(input, Column))
    return from_numbers(_BOOL, ~valid(input))


def is_valid(input: Column, stream: Stream | None = None, mr: None = None) -> Column:
    ready(stream, mr, input=(input, Column))
    return from_numbers(_BOOL, valid(input))


def is_nan(input: Column, stream: Stream | None = None, mr: None = None) -> Column:
    """True for NaN, false for numbers and nulls."""
    ready(stream, mr, input=(input, Column))
    return from_numbers(_BOOL, np.isnan(numbers(input)) & valid(input))


def cast(input: Column, data_type: DataType, stream: Stream | None = None, mr: None = None) -> Column:
    """Numbers and booleans as C casts them; decimals become floats."""
    ready(stream, mr, input=(input, Column), data_type=(data_type, DataType))
    if input.type() == data_type:
        return input
    if input.type().id().name.startswith("DECIMAL") and data_type.id() == TypeId.FLOAT64:
        return made(data_type, input._array.cast(pa.float64()))
    for dtype in (input.type(), data_type):
        if dtype.id() not in NUMBERS and dtype.id() != TypeId.BOOL8:
            raise NotImplementedError(f"a cast of {input.type().id().name} to {data_type.id().name}")
    return from_numbers(data_type, numbers(input).astype(physical(data_type)), valid(input))


def bit_cast(input: Column, data_type: DataType, stream: Stream | None = None, mr: None = None) -> Column:
    """The same bits under another type of equal width."""
    ready(stream, mr, input=(input, Column), data_type=(data_type, DataType))
    if physical(input.type()).itemsize != physical(data_type).itemsize:
        raise TypeError(f"{input.type().id().name} and {data_type.id().name} are of different widths")
    return made(data_type, input._array.view(arrow_type(data_type)))
