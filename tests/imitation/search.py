"""Binary search in sorted tables."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pylibcudf.types import SIZE_TYPE, NullOrder, Order
from tests.imitation.arrays import Stream, from_numbers, ranks, ready
from tests.imitation.column import Column
from tests.imitation.table import Table


def lower_bound(
    haystack: Table,
    needles: Table,
    column_order: list[Order],
    null_precedence: list[NullOrder],
    stream: Stream | None = None,
    mr: None = None,
) -> Column:
    """Where each row would be inserted before its equals."""
    ready(stream, mr, haystack=(haystack, Table), needles=(needles, Table))
    return _found(haystack, needles, column_order, null_precedence, "left")


def upper_bound(
    haystack: Table,
    needles: Table,
    column_order: list[Order],
    null_precedence: list[NullOrder],
    stream: Stream | None = None,
    mr: None = None,
) -> Column:
    """Where each row would be inserted after its equals."""
    ready(stream, mr, haystack=(haystack, Table), needles=(needles, Table))
    return _found(haystack, needles, column_order, null_precedence, "right")


def _found(
    haystack: Table, needles: Table, orders: list[Order], nulls: list[NullOrder], side: Literal["left", "right"]
) -> Column:
    there, asked = ranks([haystack, needles], orders, nulls)
    if (np.diff(there) < 0).any():
        raise ValueError("the haystack is not sorted")
    return from_numbers(SIZE_TYPE, np.searchsorted(there, asked, side))
