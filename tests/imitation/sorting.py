"""Sorting. Where it need not be stable, equal rows come in the reverse of their order, so that nobody relies on it."""

from __future__ import annotations

import numpy as np
from pylibcudf.types import SIZE_TYPE, NullOrder, Order
from tests.imitation.arrays import Stream, from_numbers, ranks, ready
from tests.imitation.column import Column
from tests.imitation.copying import OutOfBoundsPolicy, gather
from tests.imitation.table import Table


def sorted_order(
    source_table: Table,
    column_order: list[Order],
    null_precedence: list[NullOrder],
    stream: Stream | None = None,
    mr: None = None,
) -> Column:
    ready(stream, mr, source_table=(source_table, Table))
    [rank] = ranks([source_table], column_order, null_precedence)
    backwards = np.arange(len(rank))[::-1]
    return from_numbers(SIZE_TYPE, backwards[np.argsort(rank[backwards], kind="stable")])


def stable_sorted_order(
    source_table: Table,
    column_order: list[Order],
    null_precedence: list[NullOrder],
    stream: Stream | None = None,
    mr: None = None,
) -> Column:
    ready(stream, mr, source_table=(source_table, Table))
    [rank] = ranks([source_table], column_order, null_precedence)
    return from_numbers(SIZE_TYPE, np.argsort(rank, kind="stable"))


def sort_by_key(
    values: Table,
    keys: Table,
    column_order: list[Order],
    null_precedence: list[NullOrder],
    stream: Stream | None = None,
    mr: None = None,
) -> Table:
    ready(stream, mr, values=(values, Table), keys=(keys, Table))
    order = sorted_order(keys, column_order, null_precedence, stream)
    return gather(values, order, OutOfBoundsPolicy.DONT_CHECK, stream)


def stable_sort_by_key(
    values: Table,
    keys: Table,
    column_order: list[Order],
    null_precedence: list[NullOrder],
    stream: Stream | None = None,
    mr: None = None,
) -> Table:
    ready(stream, mr, values=(values, Table), keys=(keys, Table))
    order = stable_sorted_order(keys, column_order, null_precedence, stream)
    return gather(values, order, OutOfBoundsPolicy.DONT_CHECK, stream)
