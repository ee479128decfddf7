"""What libcudf makes of an expression of cudf-polars, value by value, as its headers and documentation say.

Comparisons are C++'s (`detail/operators/comparison.cuh`), casts are `static_cast`s, which wrap integers around and turn
NaN and what is out of range into anything (here the smallest integer), remainders are `arithmetic.cuh`'s, logic has
three values where the operator's name begins with NULL. It says nothing about whether libcudf keeps to that.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from cudf_polars.dsl import expr
from pylibcudf.binaryop import BinaryOperator as Op

from headrace.engines.gpu.dialect.casts import IsInteger
from headrace.engines.gpu.dialect.once import Checked, Once
from headrace.engines.gpu.dialect.translator import Dialect

EPOCH = datetime(1970, 1, 1)
NANOSECONDS = {"ms": 1_000_000, "us": 1_000, "ns": 1}


def computed(frame: pl.DataFrame, expression: pl.Expr) -> pl.Series:
    """The column that the device would give, by the tree that headrace hands to it."""
    [node], [name] = translated(frame.lazy().select(expression)), frame.select(expression).columns
    rows = [{n: physical(v, frame.schema[n]) for n, v in row.items()} for row in frame.iter_rows(named=True)]
    return of_physical(name, [value(node, row) for row in rows], node.dtype.polars_type)


def translated(frame: pl.LazyFrame, translator: Any = Dialect) -> list[expr.Expr]:
    """The expressions of a query that ends in a selection."""
    made = translator(frame._ldf.visit(), pl.GPUEngine(executor="in-memory"))
    node = made.translate_ir()
    assert made.errors == []
    return [named.value for named in node.exprs]


def refusals(frame: pl.LazyFrame) -> list[str]:
    made = Dialect(frame._ldf.visit(), pl.GPUEngine(executor="in-memory"))
    made.translate_ir()
    return [str(error) for error in made.errors]


def physical(value: Any, dtype: Any) -> Any:
    """A date or time as the integer that it is stored as."""
    if isinstance(value, datetime):
        since = value.replace(tzinfo=None) - (value.utcoffset() or timedelta(0)) - EPOCH
        return since // timedelta(microseconds=1) * 1_000 // NANOSECONDS[dtype.time_unit]
    return (value - EPOCH.date()).days if isinstance(value, date) else value


def of_physical(name: str, values: list[Any], dtype: Any) -> pl.Series:
    if dtype == pl.Date:
        return pl.Series(name, values, pl.Int32).cast(dtype)
    if isinstance(dtype, pl.Datetime):
        return pl.Series(name, values, pl.Int64).cast(dtype)
    return pl.Series(name, values, dtype)


def value(node: expr.Expr, row: Mapping[str, Any]) -> Any:
    """What an expression gives on one row."""
    match node:
        case expr.Col():
            return row[node.name]
        case expr.Literal():
            return scalar(node)
        case Checked():
            given = {str(i): value(child, row) for i, child in enumerate(node.children)}
            if value(node.holds, given) is False:
                raise pl.exceptions.InvalidOperationError(node.refusal)
            return value(node.body, given)
        case Once():
            return value(node.body, {str(i): value(child, row) for i, child in enumerate(node.children)})
        case IsInteger():
            return is_integer(value(node.children[0], row), node.of.polars_type)
        case expr.BinOp():
            return binary(node, *(value(child, row) for child in node.children))
        case expr.Cast():
            return cast(value(node.children[0], row), node.children[0].dtype.polars_type, node.dtype.polars_type)
        case expr.Ternary():
            when, then, otherwise = node.children
            return value(then if value(when, row) else otherwise, row)
        case expr.BooleanFunction():
            assert node.name == expr.BooleanFunction.Name.Not
            [x] = (value(child, row) for child in node.children)
            return None if x is None else not x
        case expr.Gather():
            column, place = node.children
            return physical_at(column.value, value(place, row))
        case expr.UnaryFunction():
            return unary(node, row)
        case expr.TemporalFunction():
            return part(node, value(node.children[0], row))
    raise NotImplementedError(type(node).__name__)


def scalar(node: expr.Literal) -> Any:
    """As `pylibcudf.Scalar.from_py`: times by way of their seconds as a float."""
    found, dtype = node.value, node.dtype.polars_type
    if isinstance(found, datetime):
        since = found.replace(tzinfo=None) - (found.utcoffset() or timedelta(0)) - EPOCH
        return int(since.total_seconds() * (1_000_000_000 // NANOSECONDS[dtype.time_unit]))
    return physical(found, dtype)


def cast(x: Any, source: Any, target: Any) -> Any:
    if x is None or target == source:
        return x
    if source == pl.String:
        return float(x) if target.is_float() else wrapped(int(x), target)
    if target.is_integer() or target == pl.Boolean:
        if isinstance(x, float) and not (math.isfinite(x) and low(target) - 1 < x < high(target) + 1):
            return True if target == pl.Boolean else low(target)
        return bool(x) if target == pl.Boolean else wrapped(int(x), target)
    if target == pl.Float32:
        with np.errstate(over="ignore"):
            return float(np.float32(x))
    if target == pl.Float64:
        return float(x)
    if target == pl.String:
        return str(x).lower()
    return time_of(x, source, target)


def time_of(x: int, source: Any, target: Any) -> int:
    if source.is_integer():
        assert target != pl.Date, "cudf-polars takes eight bytes for four"
        return x
    nanoseconds = x * (86_400 * 10**9 if source == pl.Date else NANOSECONDS[source.time_unit])
    if target == pl.Date:
        return nanoseconds // (86_400 * 10**9)
    return wrapped(nanoseconds // NANOSECONDS[target.time_unit], pl.Int64())


def low(dtype: Any) -> int:
    return 0 if dtype == pl.Boolean else pl.select(dtype.min()).item()


def high(dtype: Any) -> int:
    return 1 if dtype == pl.Boolean else pl.select(dtype.max()).item()


def wrapped(x: int, dtype: Any) -> int:
    size = high(dtype) - low(dtype) + 1
    return (x - low(dtype)) % size + low(dtype)


def is_integer(text: str | None, dtype: Any) -> bool | None:
    if text is None:
        return None
    digits = text[1:] if text[:1] in ("+", "-") else text
    return digits.isascii() and digits.isdigit() and low(dtype) <= int(text) <= high(dtype)


def binary(node: expr.BinOp, a: Any, b: Any) -> Any:
    kind, op = node.dtype.polars_type, node.op
    if op == Op.NULL_LOGICAL_AND:
        return False if a is False or b is False else None if a is None or b is None else True
    if op == Op.NULL_LOGICAL_OR:
        return True if a or b else None if a is None or b is None else False
    if op == Op.NULL_EQUALS:
        return a is b is None or (a is not None and b is not None and a == b)
    if op == Op.NULL_NOT_EQUALS:
        return not (a is b is None or (a is not None and b is not None and a == b))
    if a is None or b is None or (b == 0 and kind.is_integer() and op in (Op.FLOOR_DIV, Op.PYMOD)):
        return None
    compare = {Op.EQUAL: "__eq__", Op.NOT_EQUAL: "__ne__", Op.LESS: "__lt__", Op.LESS_EQUAL: "__le__"}
    compare |= {Op.GREATER: "__gt__", Op.GREATER_EQUAL: "__ge__"}
    if op in compare:
        return getattr(a, compare[op])(b)
    return calculated(op, a, b, kind)


def calculated(op: Any, a: Any, b: Any, kind: Any) -> Any:
    if kind.is_float():
        single = np.float32 if kind == pl.Float32 else np.float64
        a, b = single(a), single(b)
        with np.errstate(all="ignore"):
            found = {
                Op.ADD: lambda: a + b,
                Op.SUB: lambda: a - b,
                Op.MUL: lambda: a * b,
                Op.DIV: lambda: a / b,
                Op.TRUE_DIV: lambda: a / b,
                Op.FLOOR_DIV: lambda: np.floor(a / b),
                Op.PYMOD: lambda: np.fmod(np.fmod(a, b) + b, b),
            }[op]()
        return float(found)

    def remainder(x: int, y: int) -> int:
        return abs(x) % abs(y) * (-1 if x < 0 else 1)

    found = {
        Op.ADD: lambda: a + b,
        Op.SUB: lambda: a - b,
        Op.MUL: lambda: a * b,
        Op.FLOOR_DIV: lambda: a // b,
        Op.PYMOD: lambda: remainder(wrapped(remainder(a, b) + b, kind), b),
        Op.POW: lambda: int(float(a) ** float(b)),
        Op.INT_POW: lambda: a**b,
    }[op]()
    return found if kind.is_temporal() else wrapped(found, kind)


def unary(node: expr.UnaryFunction, row: Mapping[str, Any]) -> Any:
    if node.name == "search_sorted":
        column, needle = node.children
        x = value(needle, row)
        assert node.options == ("right", False)
        return 0 if x is None else bisect.bisect_right(column.value.to_physical().to_list(), x)
    found = [value(child, row) for child in node.children]
    x = found[0]
    match node.name:
        case "fill_null":
            return found[1] if x is None else x
        case "abs":
            return None if x is None else abs(x)
        case "round":
            if x is None or isinstance(x, int) or not math.isfinite(x):
                return x
            assert node.options[0] == 0
            return (
                float(np.rint(x)) if node.options[1] == "half_to_even" else math.copysign(math.floor(abs(x) + 0.5), x)
            )
        case "log1p":  # by libcudf's expression: log(x + 1)
            with np.errstate(all="ignore"):
                return None if x is None else float(np.log(np.float64(x) + 1.0))
    raise NotImplementedError(node.name)


def physical_at(column: pl.Series, place: int) -> Any:
    return column.to_physical()[place]


def part(node: expr.TemporalFunction, x: int | None) -> Any:
    """Of the stored instant, whatever its zone."""
    if x is None:
        return None
    unit = node.children[0].dtype.polars_type.time_unit
    moment = EPOCH + timedelta(microseconds=x * NANOSECONDS[unit] // 1_000)
    match node.name:
        case expr.TemporalFunction.Name.Hour:
            return moment.hour
        case expr.TemporalFunction.Name.WeekDay:
            return moment.isoweekday()
        case expr.TemporalFunction.Name.ConvertTimeZone | expr.TemporalFunction.Name.ReplaceTimeZone:
            return x
    raise NotImplementedError(node.name)
