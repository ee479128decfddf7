"""Comparisons with NaN, remainders, powers and small logarithms as Polars has them.

To Polars NaN equals NaN and is greater than all else; libcudf compares as IEEE 754 does, where every comparison with
NaN is false. A remainder of floats is `x - floor(x / y) * y` to Polars, and C's `fmod` to libcudf; that of integers is
`(x % y + y) % y` there, which overflows where y is above half the type's range. A power of integers goes by way of
Float64. `log1p` is `log(1 + x)` there, which has no correct digit left where x is small, and rounding to some decimals
rounds the fraction alone, so that ties fall otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import polars as pl
from cudf_polars.containers import DataType
from cudf_polars.dsl import expr
from pylibcudf.binaryop import BinaryOperator as Op

from headrace.engines.gpu.dialect.once import BOOLEAN, Once, given, kind

_FLOAT64: Final = DataType(pl.Float64())
_SERIES_BELOW: Final = 1e-4
"""Up to here four terms of the series of log(1 + x) are exact in Float64, and from here on log(1 + x) is in Float32."""


def binary(node: expr.BinOp) -> expr.Expr:
    """The operation as Polars means it."""
    left, right = node.children
    own = kind(left)
    if node.op in _COMPARISONS and own.is_float():
        return _compared(node.op, left, right)
    if node.op == Op.NULL_LOGICAL_AND:  # of is_between, whose two comparisons have no expression of their own
        sides = [binary(s) if isinstance(s, expr.BinOp) and s.op in _COMPARISONS else s for s in (left, right)]
        return node if sides == [left, right] else node.reconstruct(sides)
    if node.op == Op.PYMOD and (own.is_float() or (own.is_integer() and not _small(right))):
        x, y = given(left.dtype), given(right.dtype, 1)
        whole = expr.BinOp(node.dtype, Op.MUL, expr.BinOp(node.dtype, Op.FLOOR_DIV, x, y), y)
        return Once(node.dtype, expr.BinOp(node.dtype, Op.SUB, x, whole), left, right)
    if node.op == Op.POW and kind(node).is_integer():
        return expr.BinOp(node.dtype, Op.INT_POW, left, right)
    return node


def log1p(node: expr.UnaryFunction) -> expr.Expr:
    """`log(1 + x)`, by its series where x is small."""
    [child], dtype = node.children, node.dtype
    x = given(dtype)

    def number(value: float) -> expr.Literal:
        return expr.Literal(dtype, value)

    series: expr.Expr = number(-1 / 4)
    for factor in (1 / 3, -1 / 2, 1.0):
        series = expr.BinOp(dtype, Op.ADD, number(factor), expr.BinOp(dtype, Op.MUL, x, series))
    small = expr.BinOp(BOOLEAN, Op.LESS, expr.UnaryFunction(dtype, "abs", (), x), number(_SERIES_BELOW))
    body = expr.Ternary(dtype, small, expr.BinOp(dtype, Op.MUL, x, series), node.reconstruct([x]))
    return Once(dtype, body, child if child.dtype == dtype else expr.Cast(dtype, True, child))


def rounded(node: expr.UnaryFunction) -> expr.Expr:
    """The nearest multiple of a power of ten: of the number times that power as Float64."""
    [child] = node.children
    decimals, mode = node.options
    if not decimals or not kind(child).is_float():
        return node
    wide = child if child.dtype == _FLOAT64 else expr.Cast(_FLOAT64, True, child)
    x, power = given(_FLOAT64), expr.Literal(_FLOAT64, 10.0**decimals)
    scaled = expr.BinOp(_FLOAT64, Op.MUL, x, power)
    nearest = expr.BinOp(_FLOAT64, Op.DIV, expr.UnaryFunction(_FLOAT64, "round", (0, mode), scaled), power)
    held = _of(Op.LESS, expr.UnaryFunction(_FLOAT64, "abs", (), scaled), expr.Literal(_FLOAT64, math.inf))
    body: expr.Expr = expr.Ternary(_FLOAT64, held, nearest, x)  # what is too large for the power has no decimals
    return Once(node.dtype, body if node.dtype == _FLOAT64 else expr.Cast(node.dtype, True, body), wide)


def _compared(op: Any, left: expr.Expr, right: expr.Expr) -> expr.Expr:
    """Null wherever IEEE's comparison is, by three-valued logic, and true where NaN makes it so."""
    a, b = given(left.dtype), given(right.dtype, 1)
    if not (_never_nan(left) or _never_nan(right)):
        return Once(BOOLEAN, _COMPARISONS[op](a, b), left, right)
    nan = {Op.GREATER: left, Op.GREATER_EQUAL: left, Op.LESS: right, Op.LESS_EQUAL: right}.get(op)
    if nan is None or _never_nan(nan):  # the side on which NaN makes it true
        return _of(op, left, right)
    return Once(BOOLEAN, _not(_of(_OPPOSITES[op], a, b)), left, right)


def _of(op: Any, a: expr.Expr, b: expr.Expr) -> expr.Expr:
    return expr.BinOp(BOOLEAN, op, a, b)


def _or(a: expr.Expr, b: expr.Expr) -> expr.Expr:
    return _of(Op.NULL_LOGICAL_OR, a, b)


def _and(a: expr.Expr, b: expr.Expr) -> expr.Expr:
    return _of(Op.NULL_LOGICAL_AND, a, b)


def _not(x: expr.Expr) -> expr.Expr:
    return expr.BooleanFunction(BOOLEAN, expr.BooleanFunction.Name.Not, (), x)


def _nan(x: expr.Expr) -> expr.Expr:
    return _of(Op.NOT_EQUAL, x, x)


def _number(x: expr.Expr) -> expr.Expr:
    return _of(Op.EQUAL, x, x)


def _greater(a: expr.Expr, b: expr.Expr) -> expr.Expr:
    return _or(_of(Op.GREATER, a, b), _and(_nan(a), _number(b)))


def _at_least(a: expr.Expr, b: expr.Expr) -> expr.Expr:
    return _or(_of(Op.GREATER_EQUAL, a, b), _and(_nan(a), _or(_number(b), _nan(b))))  # null where b is


def _equal(a: expr.Expr, b: expr.Expr) -> expr.Expr:
    return _or(_of(Op.EQUAL, a, b), _and(_nan(a), _nan(b)))


def _same(a: expr.Expr, b: expr.Expr) -> expr.Expr:
    both = expr.UnaryFunction(BOOLEAN, "fill_null", (), _and(_nan(a), _nan(b)), expr.Literal(BOOLEAN, False))
    return _or(_of(Op.NULL_EQUALS, a, b), both)


_COMPARISONS: Final[dict[Any, Callable[[expr.Expr, expr.Expr], expr.Expr]]] = {
    Op.GREATER: _greater,
    Op.GREATER_EQUAL: _at_least,
    Op.LESS: lambda a, b: _greater(b, a),
    Op.LESS_EQUAL: lambda a, b: _at_least(b, a),
    Op.EQUAL: _equal,
    Op.NOT_EQUAL: lambda a, b: _not(_equal(a, b)),
    Op.NULL_EQUALS: _same,
    Op.NULL_NOT_EQUALS: lambda a, b: _not(_same(a, b)),
}
_OPPOSITES: Final = {
    Op.GREATER: Op.LESS_EQUAL,
    Op.GREATER_EQUAL: Op.LESS,
    Op.LESS: Op.GREATER_EQUAL,
    Op.LESS_EQUAL: Op.GREATER,
}


def _never_nan(node: expr.Expr) -> bool:
    if isinstance(node, expr.Literal):
        return node.value is not None and not math.isnan(node.value)
    return isinstance(node, expr.Cast) and not kind(node.children[0]).is_float()


def _small(divisor: expr.Expr) -> bool:
    """Whether a remainder by it cannot overflow: it is a constant of at most half the largest value."""
    if not isinstance(divisor, expr.Literal) or divisor.value is None:
        return False
    largest: int = pl.select(kind(divisor).max()).item()
    return bool(abs(divisor.value) <= largest // 2)
