"""Casts that lose nothing, or say so: libcudf's wrap around, and turn NaN into any number.

To Polars a value that the type cannot hold is null, or an error where the cast is strict; a fraction is cut off towards
0. `wrap_numerical=True` in Polars says that every value is known to fit, and such a cast is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import polars as pl
from cudf_polars.containers import Column, DataType
from cudf_polars.dsl import expr
from cudf_polars.dsl.expressions.base import ExecutionContext
from pylibcudf.binaryop import BinaryOperator as Op
from pylibcudf.strings.convert.convert_integers import is_integer

from headrace.engines.gpu.dialect.once import BOOLEAN, Checked, Once, given, kind

_INT64: Final = DataType(pl.Int64())
_NANOSECONDS: Final = {"ms": 1_000_000, "us": 1_000, "ns": 1}
_DAY: Final = 86_400_000
"""In milliseconds."""


def cast(node: expr.Cast) -> expr.Expr:
    """The cast as Polars means it.

    Raises
    ------
    NotImplementedError
        The text of floats, of which libcudf makes another one.
    """
    [child] = node.children
    source, target = kind(child), kind(node)
    if target == pl.String and source.is_float():
        raise NotImplementedError("the text of a float is another one in cuDF")
    if target.is_integer():
        if source.is_integer() or source.is_float():
            return _within(node, child, _range_of(target))
        if source in (pl.Date, pl.Datetime, pl.Duration):
            whole = DataType(pl.Int32() if source == pl.Date else pl.Int64())
            return _within(node, expr.Cast(whole, True, child), _range_of(target))
        if source == pl.String:
            x = given(child.dtype)
            return _guarded(node, child, x, IsInteger(BOOLEAN, node.dtype, x))
    if target == pl.Date and source.is_integer():
        return _date(node, child)
    if isinstance(target, pl.Datetime) and target.time_unit == "ns":
        factor = _nanoseconds(source)
        if factor > 1:  # they end in 2262
            low, high = _range_of(pl.Int64())
            # Polars checks strict casts of dates alone.
            own = expr.Cast(node.dtype, node.strict and source == pl.Date, child)
            return _within(own, child, (-(-low // factor), high // factor))
    return node


class IsInteger(expr.Expr):
    """Whether a text is an integer that the type `of` can hold; null for null."""

    __slots__ = ("of",)
    _non_child: ClassVar[tuple[str, ...]] = ("dtype", "of")

    def __init__(self, dtype: DataType, of: DataType, text: expr.Expr) -> None:
        self.dtype = dtype
        self.of = of
        self.children = (text,)
        self.is_pointwise = True

    def do_evaluate(self, df: Any, *, context: ExecutionContext = ExecutionContext.FRAME) -> Any:
        [text] = (child.evaluate(df, context=context) for child in self.children)
        return Column(is_integer(text.obj, self.of.plc_type, stream=df.stream), dtype=self.dtype)


def _date(node: expr.Cast, child: expr.Expr) -> expr.Expr:
    """By way of milliseconds: cudf-polars takes the bytes of an Int64 for days, of which two fit in it."""
    x = given(child.dtype)
    ticks = expr.BinOp(_INT64, Op.MUL, _as(_INT64, x), expr.Literal(_INT64, _DAY))
    moment = expr.Cast(DataType(pl.Datetime("ms")), True, ticks)
    limits = _comparisons(x, _range_of(pl.Int32()), _range_of(kind(child)))
    days = expr.Cast(node.dtype, True, moment)
    if limits is None:
        return Once(node.dtype, days, child)
    if node.strict:
        return Checked(node.dtype, days, limits, _refusal(node, child), child)
    return Once(node.dtype, expr.Ternary(node.dtype, limits, days, expr.Literal(node.dtype, None)), child)


def _within(node: expr.Cast, value: expr.Expr, limits: tuple[int, int]) -> expr.Expr:
    """The cast of a value that is null, or refused, outside of limits; the value's own are its type's."""
    own, x = kind(value), given(value.dtype)
    if own.is_float():
        return _guarded(node, value, x, _float_comparisons(x, limits))
    if own in (pl.Date, pl.Datetime):
        whole = DataType(pl.Int32() if own == pl.Date else pl.Int64())
        holds = _comparisons(_as(_INT64, _as(whole, x)), limits, _range_of(kind(given(whole))))
    else:
        holds = _comparisons(x, limits, _range_of(own))
    return node.reconstruct([value]) if holds is None else _guarded(node, value, x, holds)


def _guarded(node: expr.Cast, value: expr.Expr, x: expr.Expr, holds: expr.Expr) -> expr.Expr:
    if node.strict:
        return Checked(node.dtype, node.reconstruct([x]), holds, _refusal(node, value), value)
    kept = expr.Ternary(x.dtype, holds, x, expr.Literal(x.dtype, None))
    return Once(node.dtype, node.reconstruct([kept]), value)


def _refusal(node: expr.Cast, value: expr.Expr) -> str:
    return (
        f"conversion from {kind(value)} to {kind(node)} failed: a value that the type cannot "
        "hold; cast with strict=False to have null instead"
    )


def _nanoseconds(time: Any) -> int:
    """How many nanoseconds one step of a date or datetime is; 0 for any other type."""
    if time == pl.Date:
        return _DAY * 1_000_000
    return _NANOSECONDS[time.time_unit] if isinstance(time, pl.Datetime) else 0


def _range_of(dtype: Any) -> tuple[int, int]:
    return pl.select(low=dtype.min(), high=dtype.max()).row(0)


def _comparisons(x: expr.Expr, limits: tuple[int, int], own: tuple[int, int]) -> expr.Expr | None:
    """Whether an integer lies in limits; None where its own range does."""
    (low, high), (lowest, highest) = limits, own
    sides = [
        expr.BinOp(BOOLEAN, op, x, expr.Literal(x.dtype, limit))
        for op, limit, needed in ((Op.GREATER_EQUAL, low, low > lowest), (Op.LESS_EQUAL, high, high < highest))
        if needed
    ]
    return _all(sides) if sides else None


def _float_comparisons(x: expr.Expr, limits: tuple[int, int]) -> expr.Expr:
    """Whether what is before the point lies in limits; not for NaN, with which libcudf's comparisons are false."""
    low, high = limits
    bits = 24 if kind(x) == pl.Float32 else 53
    below = (Op.GREATER, low - 1) if abs(low - 1).bit_length() <= bits else (Op.GREATER_EQUAL, low)
    sides = [
        expr.BinOp(BOOLEAN, op, x, expr.Literal(x.dtype, float(limit))) for op, limit in (below, (Op.LESS, high + 1))
    ]
    return _all(sides)


def _all(sides: Sequence[expr.Expr]) -> expr.Expr:
    return sides[0] if len(sides) == 1 else expr.BinOp(BOOLEAN, Op.NULL_LOGICAL_AND, *sides)


def _as(dtype: DataType, value: expr.Expr) -> expr.Expr:
    return value if value.dtype == dtype else expr.Cast(dtype, True, value)
