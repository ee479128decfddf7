"""Operations on two columns, or a column and a scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from pylibcudf.binaryop import BinaryOperator
from pylibcudf.types import DataType, TypeId
from tests.imitation.arrays import Stream, Values, from_numbers, numbers, physical, ready, valid
from tests.imitation.column import Column
from tests.imitation.scalar import Scalar

__all__ = ["BinaryOperator", "binary_operation"]

_ARITHMETIC: Final[dict[BinaryOperator, Callable[[Any, Any], Any]]] = {
    BinaryOperator.ADD: np.add,
    BinaryOperator.SUB: np.subtract,
    BinaryOperator.MUL: np.multiply,
    BinaryOperator.MOD: np.fmod,
}
_COMPARISONS: Final[dict[BinaryOperator, Callable[[Any, Any], Any]]] = {
    BinaryOperator.EQUAL: np.equal,
    BinaryOperator.NOT_EQUAL: np.not_equal,
    BinaryOperator.LESS: np.less,
    BinaryOperator.LESS_EQUAL: np.less_equal,
    BinaryOperator.GREATER: np.greater,
    BinaryOperator.GREATER_EQUAL: np.greater_equal,
    BinaryOperator.LOGICAL_AND: np.logical_and,
    BinaryOperator.LOGICAL_OR: np.logical_or,
}
_EXTREMES: Final[dict[BinaryOperator, Callable[[Any, Any], Any]]] = {
    BinaryOperator.NULL_MIN: np.minimum,
    BinaryOperator.NULL_MAX: np.maximum,
}


def binary_operation(
    lhs: Column | Scalar,
    rhs: Column | Scalar,
    op: BinaryOperator,
    output_type: DataType,
    stream: Stream | None = None,
    mr: None = None,
) -> Column:
    """Null where one side is; of NULL_MIN and NULL_MAX only where both are. The types of both sides must be equal."""
    ready(stream, mr, op=(op, BinaryOperator), output_type=(output_type, DataType))
    if not (isinstance(lhs, Column) or isinstance(rhs, Column)):
        raise TypeError("one side must be a column")
    if lhs.type() != rhs.type():
        raise TypeError(f"the sides have different types: {lhs.type().id().name} and {rhs.type().id().name}")
    height = lhs.size() if isinstance(lhs, Column) else rhs.size()  # type: ignore[union-attr]
    (left, left_known), (right, right_known) = _side(lhs, height), _side(rhs, height)
    if op in _COMPARISONS:
        if output_type.id() != TypeId.BOOL8:
            raise TypeError(f"{op.name} gives BOOL8, asked for {output_type.id().name}")
        return from_numbers(output_type, _COMPARISONS[op](left, right), left_known & right_known)
    if output_type != lhs.type():
        raise NotImplementedError(f"{op.name} of {lhs.type().id().name} as {output_type.id().name}")
    if op in _EXTREMES:
        chosen = np.where(left_known & right_known, _EXTREMES[op](left, right), np.where(left_known, left, right))
        return from_numbers(output_type, chosen, left_known | right_known)
    return from_numbers(output_type, _ARITHMETIC[op](left, right), left_known & right_known)


def _side(side: Column | Scalar, height: int) -> tuple[Values, Values]:
    if isinstance(side, Column):
        if side.size() != height:
            raise ValueError(f"the sides have {height} and {side.size()} rows")
        return numbers(side), valid(side)
    known = side._value is not None
    return np.full(height, side._value if known else 0, dtype=physical(side.type())), np.full(height, known)
