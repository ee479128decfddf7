"""Sums of floats that do not depend on the order of the terms: fixed-point numbers in Int64 limbs.

A number is cut into digits of base 2^32, one Int64 column each, and the digits are added as integers. That is exact,
associative and commutative, and runs on both engines, where a sum of floats is none of these.

Limits. Values are cut (downwards) to a multiple of 2^-64 (5.4e-20), their squares to one of 2^-128 (2.9e-39).
Values of 2^63 (9.2e18) and more, NaN and infinities are left out of sums and of counts. Up to 2^29 terms in a sum.
Integers beyond 2^53 are exact in sums; for squares they are first rounded to Float64, as are all integers there.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

BASE: Final = 32
LIMIT: Final = 2.0**63
_TERMS: Final = ("square0", "square1", "square2")
_HALVES: Final = (pl.Float32, pl.Int8, pl.Int16, pl.UInt8, pl.UInt16, pl.Boolean)  # at most 24 bits: squares fit
_SPLIT: Final = 2.0**27 + 1.0  # Veltkamp's constant for 53 bits

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Fixed(NamedTuple):
    """A fixed-point form: `limbs` digits, the last of weight 2^`lowest`; names `<name>:<i>` in tables."""

    lowest: int
    limbs: int

    def names(self, name: str) -> tuple[str, ...]:
        return tuple(f"{name}:{i}" for i in range(self.limbs))

    def digits(self, value: pl.Expr) -> list[pl.Expr]:
        """The digits of a Float64 expression below the form's limit, highest first; all but the first in [0, 2^32).

        A digit is the difference of two whole numbers, each what is left of the value above a place. All of it is
        exact: such a number is a Float64 as the value is, and so are the bits in which two of them differ.
        """
        found: list[pl.Expr] = []
        for i in range(self.limbs):
            weight = self.lowest + BASE * (self.limbs - 1 - i)
            whole = (value * 2.0**-weight).floor()
            if i:
                whole = whole - (value * 2.0 ** -(weight + BASE)).floor() * 2.0**BASE
            found.append(whole.cast(pl.Int64, wrap_numerical=True))
        return found

    def floats(self, digits: Sequence[Integers]) -> Floats:
        """The numbers that columns of summed digits stand for, as Float64, good to a few units in the last place.

        The result depends on the number alone, not on which digits make it up.
        """
        carried = _normalised(digits)
        negative = carried[0] < 0
        turned = _normalised([np.where(negative, -d, d) for d in carried])
        total = np.zeros(len(carried[0]), np.float64)
        for i in reversed(range(self.limbs)):  # all digits >= 0: smallest first loses nothing that matters
            total += turned[i].astype(np.float64) * 2.0 ** (self.lowest + BASE * (self.limbs - 1 - i))
        return np.where(negative, -total, total)

    def integers(self, digits: Sequence[Integers]) -> list[int]:
        """The same numbers in units of 2^`lowest`, as Python integers."""
        total = np.zeros(len(digits[0]), object)
        for column in digits:
            total = total * (1 << BASE) + column.astype(object)
        return list(total)


INTEGER: Final = Fixed(0, 2)
FLOAT: Final = Fixed(-64, 4)
SQUARE: Final = Fixed(-128, 8)


def finite(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The column with null for what cannot be summed: NaN, infinities and floats beyond the limit."""
    if not dtype.is_float():
        return column
    return pl.when(column.is_finite() & (column.abs() < LIMIT)).then(column)


def form(dtype: pl.DataType) -> Fixed:
    """The form in which values of a dtype are summed."""
    return FLOAT if dtype.is_float() else INTEGER


def sum_digits(column: pl.Expr, dtype: pl.DataType) -> list[pl.Expr]:
    """Per row the digits of a value; null counts nothing. Integers and booleans are cut in two by integer division."""
    if dtype.is_float():
        return FLOAT.digits(finite(column, dtype).cast(pl.Float64))
    if dtype == pl.UInt64:
        high = column // pl.lit(1 << BASE, pl.UInt64)
        low = column - high * pl.lit(1 << BASE, pl.UInt64)
        return [digit.cast(pl.Int64, wrap_numerical=True) for digit in (high, low)]
    whole = column.cast(pl.Int64)
    high = whole // (1 << BASE)
    return [high, whole - high * (1 << BASE)]


def square_stages(column: str, dtype: pl.DataType) -> list[list[pl.Expr]]:
    """What to add to a frame, stage by stage, so that `square_digits` finds the terms of the squares in it.

    Exact: x = a + b, and a^2, 2ab and b^2 each fit a Float64. In stages, because each reads the one before several
    times. Source: Dekker (1971), "A floating-point technique for extending the available precision".
    """
    value, high = pl.col(_term(column, "x")), pl.col(_term(column, "high"))
    begin = [finite(pl.col(column), dtype).cast(pl.Float64).alias(_term(column, "x"))]
    if dtype in _HALVES:
        return [begin, [], [(value * value).alias(_term(column, _TERMS[0]))]]
    low = value - high
    terms = (high * high, high * low * 2.0, low * low)
    return [
        begin,
        [(value * _SPLIT - (value * _SPLIT - value)).alias(_term(column, "high"))],
        [term.alias(_term(column, name)) for name, term in zip(_TERMS, terms, strict=True)],
    ]


def square_digits(column: str, dtype: pl.DataType) -> list[pl.Expr]:
    """Per row the digits of a value's square, from the terms that `square_stages` added."""
    terms = [SQUARE.digits(pl.col(_term(column, n))) for n in (_TERMS[:1] if dtype in _HALVES else _TERMS)]
    return [functools.reduce(operator.add, digits) for digits in zip(*terms, strict=True)]


def deviations(counts: Integers, sums: list[int], squares: list[int], lowest: int) -> list[float | None]:
    """Sample standard deviations (ddof 1) from exact sums in units of 2^`lowest` and squares in those of `SQUARE`.

    Null below two values. The variance is one correctly rounded division of two integers.
    """
    shift = SQUARE.lowest - 2 * lowest  # <= 0
    scale = 1 << -shift
    found: list[float | None] = []
    for count, total, square in zip(counts.tolist(), sums, squares, strict=True):
        if count < 2:
            found.append(None)
            continue
        spread = max(count * square - total * total * scale, 0)  # the cut of the sums may leave it just below 0
        found.append((spread / (count * (count - 1) << -SQUARE.lowest)) ** 0.5)
    return found


def _term(column: str, name: str) -> str:
    """A name that no column of the user's has."""
    return f"__{column}:{name}"


def _normalised(digits: Sequence[Integers]) -> list[Integers]:
    """The same number with all digits but the first in [0, 2^32)."""
    result = [d.copy() for d in digits]
    for i in range(len(result) - 1, 0, -1):
        carry = result[i] >> BASE
        result[i] = result[i] - (carry << BASE)
        result[i - 1] = result[i - 1] + carry
    return result
