"""Types and enumerations: pylibcudf's own, which need no device."""

from __future__ import annotations

from pylibcudf.types import (
    SIZE_TYPE,
    DataType,
    NanEquality,
    NanPolicy,
    NullEquality,
    NullOrder,
    NullPolicy,
    Order,
    Sorted,
    TypeId,
)

__all__ = [
    "SIZE_TYPE",
    "DataType",
    "NanEquality",
    "NanPolicy",
    "NullEquality",
    "NullOrder",
    "NullPolicy",
    "Order",
    "Sorted",
    "TypeId",
]
