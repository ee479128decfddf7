"""Windows over a sorted column, group by group."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np
from pylibcudf.aggregation import Kind
from pylibcudf.types import DataType, NullOrder, Order, TypeId
from tests.imitation.aggregation import Aggregation
from tests.imitation.arrays import NUMBERS, Stream, Values, from_numbers, numbers, ranks, ready, valid
from tests.imitation.column import Column
from tests.imitation.scalar import Scalar
from tests.imitation.table import Table

_FLOAT64: Final = DataType(TypeId.FLOAT64)


class BoundedClosed:
    """A window's end at a distance, and the rows there are in it."""

    def __init__(self, delta: Scalar) -> None:
        self.delta = _delta(delta)


class BoundedOpen:
    """A window's end at a distance, and the rows there are not in it."""

    def __init__(self, delta: Scalar) -> None:
        self.delta = _delta(delta)


class RollingRequest:
    """A column and what to compute of it."""

    def __init__(self, values: Column, min_periods: int, aggregation: Aggregation) -> None:
        if not isinstance(values, Column) or not isinstance(aggregation, Aggregation) or min_periods < 1:
            raise TypeError("a request is a column, a number of rows from 1 on, and an aggregation")
        self._values, self._min_periods, self._aggregation = values, min_periods, aggregation


def grouped_range_rolling_window(
    group_keys: Table,
    orderby: Column,
    order: Order,
    null_order: NullOrder,
    preceding: BoundedClosed | BoundedOpen,
    following: BoundedClosed | BoundedOpen,
    requests: list[RollingRequest],
    stream: Stream | None = None,
    mr: None = None,
) -> Table:
    """Statistics of the rows of a row's group whose order lies within its window; sorted by group and order before."""
    ready(stream, mr, group_keys=(group_keys, Table), orderby=(orderby, Column), requests=(requests, list))
    ready(stream, mr, order=(order, Order), null_order=(null_order, NullOrder))
    if order != Order.ASCENDING or orderby.null_count():
        raise NotImplementedError("descending orders, and nulls in them")
    windows = _windows(_groups(group_keys, orderby.size()), orderby, preceding, following)
    return Table([_aggregated(request, windows) for request in requests], orderby.size())


def _delta(delta: Scalar) -> Scalar:
    if not isinstance(delta, Scalar) or delta._value is None:
        raise TypeError("a bound must be a valid scalar")
    return delta


def _groups(keys: Table, height: int) -> list[tuple[int, int]]:
    if keys.num_columns() == 0:
        return [(0, height)]
    if keys.num_rows() != height:
        raise ValueError(f"{keys.num_rows()} keys for {height} rows")
    width = keys.num_columns()
    [rank] = ranks([keys], [Order.ASCENDING] * width, [NullOrder.AFTER] * width)
    if (np.diff(rank) < 0).any():
        raise ValueError("the groups are not sorted")
    edges = [0, *(np.flatnonzero(np.diff(rank)) + 1), height]
    return [(int(first), int(last)) for first, last in pairwise(edges)]


def _windows(
    groups: list[tuple[int, int]],
    orderby: Column,
    preceding: BoundedClosed | BoundedOpen,
    following: BoundedClosed | BoundedOpen,
) -> list[tuple[int, int]]:
    unit = orderby.type().id().name.replace("TIMESTAMP_", "DURATION_")
    for bound in (preceding, following):
        if bound.delta.type().id().name != unit:
            raise TypeError(f"a distance of {orderby.type().id().name} is {unit}, got {bound.delta.type().id().name}")
    windows = []
    for first, last in groups:
        times = [int(t) for t in numbers(orderby)[first:last]]
        places = np.array(times, dtype=object)  # whole numbers of any size: the device's bounds stop at the limits
        if times != sorted(times):
            raise ValueError("the order is not sorted within its group")
        for time in times:
            begin = time - preceding.delta._value
            end = time + following.delta._value
            start = np.searchsorted(places, begin, "left" if isinstance(preceding, BoundedClosed) else "right")
            stop = np.searchsorted(places, end, "right" if isinstance(following, BoundedClosed) else "left")
            windows.append((first + int(start), first + max(int(start), int(stop))))
    return windows


def _aggregated(request: RollingRequest, windows: list[tuple[int, int]]) -> Column:
    kind, least = request._aggregation.kind(), request._min_periods
    values, known = numbers(request._values), valid(request._values)
    if kind == Kind.COUNT_VALID:
        counts = [int(known[first:last].sum()) for first, last in windows]
        return from_numbers(
            DataType(TypeId.INT32), np.array(counts), np.array([last - first >= least for first, last in windows])
        )
    if request._values.type().id() not in NUMBERS:
        raise NotImplementedError(f"{kind.name} of {request._values.type().id().name}")
    dtype = request._values.type() if kind in (Kind.MIN, Kind.MAX) else _FLOAT64
    if kind == Kind.SUM and values.dtype.kind != "f":
        raise NotImplementedError("sums of integers")
    if kind in (Kind.MIN, Kind.MAX) and np.isnan(values[known]).any():
        raise NotImplementedError("libcudf does not say what the extremes of NaN are")
    inside = [values[first:last][known[first:last]] for first, last in windows]
    enough = np.array([len(window) >= least for window in inside])
    results = [_statistic(kind, window, request._aggregation._ddof) if len(window) >= least else 0 for window in inside]
    return from_numbers(dtype, np.array(results, dtype="f8"), enough)


def _statistic(kind: Kind, window: Values, ddof: int) -> float:
    if kind == Kind.MIN:
        return float(window.min())
    if kind == Kind.MAX:
        return float(window.max())
    total = 0.0
    if kind in (Kind.SUM, Kind.MEAN):
        for value in window:
            total += float(value)
        return total if kind == Kind.SUM else total / len(window)
    if kind != Kind.STD:
        raise NotImplementedError(kind.name)
    mean = squares = 0.0
    for count, value in enumerate(window, 1):  # Welford's method
        apart = float(value) - mean
        mean += apart / count
        squares += apart * (float(value) - mean)
    return math.sqrt(squares / (len(window) - ddof)) if not math.isnan(squares) else math.nan
