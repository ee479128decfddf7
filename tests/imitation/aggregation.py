"""Descriptions of aggregations."""

from __future__ import annotations

from pylibcudf.aggregation import Kind
from pylibcudf.types import NullPolicy

__all__ = ["Aggregation", "Kind", "count", "max", "mean", "min", "std", "sum"]


class Aggregation:
    """What to compute; made by the functions of this module."""

    _kind: Kind
    _ddof: int

    def __init__(self) -> None:
        raise ValueError("Aggregations should be constructed using the factories")

    def kind(self) -> Kind:
        return self._kind


def sum() -> Aggregation:
    return _of(Kind.SUM)


def min() -> Aggregation:
    return _of(Kind.MIN)


def max() -> Aggregation:
    return _of(Kind.MAX)


def mean() -> Aggregation:
    return _of(Kind.MEAN)


def count(null_handling: NullPolicy = NullPolicy.INCLUDE) -> Aggregation:
    return _of(Kind.COUNT_ALL if null_handling == NullPolicy.INCLUDE else Kind.COUNT_VALID)


def std(ddof: int = 1) -> Aggregation:
    return _of(Kind.STD, ddof)


def _of(kind: Kind, ddof: int = 0) -> Aggregation:
    aggregation = Aggregation.__new__(Aggregation)
    aggregation._kind, aggregation._ddof = kind, ddof
    return aggregation
