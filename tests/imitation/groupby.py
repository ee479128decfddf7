"""Grouping rows by keys."""

from __future__ import annotations

import numpy as np
from pylibcudf.aggregation import Kind
from pylibcudf.types import DataType, NullOrder, NullPolicy, Order, Sorted, TypeId
from tests.imitation.aggregation import Aggregation
from tests.imitation.arrays import NUMBERS, Stream, Values, from_numbers, numbers, ranks, ready, valid
from tests.imitation.column import Column
from tests.imitation.table import Table


class GroupByRequest:
    """A column and what to compute of it."""

    def __init__(self, values: Column, aggregations: list[Aggregation]) -> None:
        if not isinstance(values, Column) or not all(isinstance(a, Aggregation) for a in aggregations):
            raise TypeError("a request is a column and aggregations")
        self._values, self._aggregations = values, aggregations


class GroupBy:
    """Rows of equal keys; keys that are said to be sorted must be, and give their groups in that order."""

    def __init__(
        self,
        keys: Table,
        null_handling: NullPolicy = NullPolicy.EXCLUDE,
        keys_are_sorted: Sorted = Sorted.NO,
        column_order: list[Order] | None = None,
        null_precedence: list[NullOrder] | None = None,
    ) -> None:
        if null_handling != NullPolicy.EXCLUDE or keys_are_sorted != Sorted.YES or column_order or null_precedence:
            raise NotImplementedError("other than ascending keys")
        if any(column.null_count() for column in keys.columns()):
            raise NotImplementedError("null keys")
        width = keys.num_columns()
        [rank] = ranks([keys], [Order.ASCENDING] * width, [NullOrder.AFTER] * width)
        if (np.diff(rank) < 0).any():
            raise ValueError("the keys are not sorted")
        self._keys = keys
        self._firsts = np.flatnonzero(np.diff(rank, prepend=-1))

    def aggregate(
        self, requests: list[GroupByRequest], stream: Stream | None = None, mr: None = None
    ) -> tuple[Table, list[Table]]:
        """The keys, a row for each group, and a table for each request."""
        ready(stream, mr, requests=(requests, list))
        if any(request._values.size() != self._keys.num_rows() for request in requests):
            raise ValueError("values and keys have different lengths")
        rows = len(self._firsts)
        tables = [Table([self._aggregated(r._values, a) for a in r._aggregations], rows) for r in requests]
        keys = [from_numbers(c.type(), numbers(c)[self._firsts]) for c in self._keys.columns()]
        return Table(keys, rows), tables

    def _aggregated(self, column: Column, aggregation: Aggregation) -> Column:
        kind = aggregation.kind()
        known = np.split(valid(column), self._firsts[1:])
        counts = np.array([k.sum() for k in known])
        if kind == Kind.COUNT_VALID:
            return from_numbers(DataType(TypeId.INT32), counts)
        if column.type().id() not in NUMBERS:
            raise NotImplementedError(f"{kind.name} of {column.type().id().name}")
        groups = [v[k] for v, k in zip(np.split(numbers(column), self._firsts[1:]), known, strict=True)]
        values = np.array([_statistic(kind, group) if len(group) else 0 for group in groups])
        return from_numbers(_target(kind, column.type()), values, counts > 0)


def _target(kind: Kind, source: DataType) -> DataType:
    """What libcudf accumulates in: sums of integers of any type in INT64."""
    if kind == Kind.MEAN:
        return DataType(TypeId.FLOAT64)
    whole = source.id() not in (TypeId.FLOAT32, TypeId.FLOAT64)
    return DataType(TypeId.INT64) if kind == Kind.SUM and whole else source


def _statistic(kind: Kind, group: Values) -> float | int:
    if group.dtype.kind == "f" and kind in (Kind.MIN, Kind.MAX) and np.isnan(group).any():
        raise NotImplementedError("libcudf does not say what the extremes of NaN are")
    match kind:
        case Kind.MIN:
            return group.min().item()  # type: ignore[no-any-return]
        case Kind.MAX:
            return group.max().item()  # type: ignore[no-any-return]
        case Kind.SUM if group.dtype.kind != "f":
            total = sum(group.tolist()) + 2**63
            return total % 2**64 - 2**63  # type: ignore[no-any-return]
        case Kind.SUM | Kind.MEAN:
            total = 0.0
            for value in group.tolist():
                total += value
            return total if kind == Kind.SUM else total / len(group)
    raise NotImplementedError(kind.name)
