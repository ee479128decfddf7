"""Columns of made-up values."""

from __future__ import annotations

import numpy as np
from tests.imitation.arrays import NUMBERS, Stream, from_numbers, ready
from tests.imitation.column import Column
from tests.imitation.scalar import Scalar


def sequence(size: int, init: Scalar, step: Scalar, stream: Stream | None = None) -> Column:
    """`init`, `init + step`, and so on."""
    ready(stream, None, size=(size, int), init=(init, Scalar), step=(step, Scalar))
    if init.type() != step.type() or init.type().id() not in NUMBERS:
        raise TypeError(f"a sequence of {init.type().id().name} by {step.type().id().name}")
    return from_numbers(init.type(), init._value + step._value * np.arange(size))
