"""Transformations of columns."""

from __future__ import annotations

import numpy as np
from tests.imitation.arrays import Stream, from_numbers, numbers, ready, valid
from tests.imitation.column import Column


def column_nans_to_nulls(input: Column, stream: Stream | None = None, mr: None = None) -> Column:
    """Floats with null in the place of NaN."""
    ready(stream, mr, input=(input, Column))
    values = numbers(input)
    if values.dtype.kind != "f":
        raise TypeError(f"{input.type().id().name} has no NaN")
    return from_numbers(input.type(), values, valid(input) & ~np.isnan(values))
