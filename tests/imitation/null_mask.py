"""Masks of null rows; one bit for a row is one boolean here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tests.imitation.arrays import Stream, Values, ready, valid
from tests.imitation.column import Column


def bitmask_and(columns: Sequence[Column], stream: Stream | None = None, mr: None = None) -> tuple[Values, int]:
    """Which rows are known in all columns, and how many are not. Without any null there would be no mask at all."""
    ready(stream, mr)
    if not any(column.null_count() for column in columns):
        raise NotImplementedError("an empty mask")
    known = np.logical_and.reduce([valid(column) for column in columns])
    return known, int(np.count_nonzero(~known))
