"""Hashes of values that decide which of them count: 64 bits, the same in every process and on every engine."""

from __future__ import annotations

from typing import Final

import polars as pl

from headrace.engines.engine import EngineName
from headrace.engines.kernels import xxhash64

HASH_SPACE: Final = 2**64


def hash_values(values: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Hashes on the CPU: XXH64 of text, `mixed` bits of numbers.

    Hashes of null, NaN and infinities mean nothing, and may be null: leave them out.
    """
    return xxhash64.text(values) if dtype == pl.String else mixed(bits(values, dtype))


def mixed(words: pl.Expr) -> pl.Expr:
    """Words of 64 bits multiplied, folded and multiplied.

    Two odd multiplications with the upper half folded down between them give what a count of distinct values needs:
    all bits of the input reach the high bits, at a quarter of the cost of XXH64.
    """
    product = words * pl.lit(0x9E3779B185EBCA87, pl.UInt64)
    folded = product ^ (product // pl.lit(1 << 32, pl.UInt64))
    return folded * pl.lit(0xC2B2AE3D27D4EB4F, pl.UInt64)


def bits(values: pl.Expr, dtype: pl.DataType, engine: EngineName = "cpu") -> pl.Expr:
    """The bits of numbers: of integers in two's complement, of floats as Float64.

    `engine`, which is to run the expression, decides how the bits of floats are got at, not what they are.
    """
    if dtype.is_float():
        return reinterpreted(values) if engine == "cpu" else computed(values)
    if dtype.is_unsigned_integer():
        return values.cast(pl.UInt64)
    return values.cast(pl.Int64).reinterpret(dtype=pl.UInt64)


def reinterpreted(values: pl.Expr) -> pl.Expr:
    """The bits of floats as Float64; both zeros, which are equal and differ in their bits, give those of 0.0."""
    number = values.cast(pl.Float64)
    return pl.when(number != 0).then(number).otherwise(pl.lit(0.0)).reinterpret(dtype=pl.UInt64)


def computed(values: pl.Expr) -> pl.Expr:
    """The same by exact arithmetic, for finite values: cudf-polars 26.10 reinterprets no floats.

    A value is a whole number of the distances between floats of its size, and dividing by them, a power of two, does
    not round. The layout is that of IEEE 754, binary64: sign, 11 bits of exponent, 52 of fraction; a number is its
    own bits plus 2^52 for each doubling from the second on, as the leading bit counts as one step of the exponent.
    """
    number = values.cast(pl.Float64)
    size = number.abs()
    binade = pl.lit(_FROM).search_sorted(size.fill_null(0.0), side="right") - 1
    steps = (size / pl.lit(_DISTANCE).gather(binade)).cast(pl.UInt64, strict=False)
    sign = pl.when(number < 0).then(pl.lit(1 << 63, pl.UInt64)).otherwise(pl.lit(0, pl.UInt64))
    return binade.cast(pl.UInt64) * pl.lit(1 << 52, pl.UInt64) + steps + sign


_EXPONENTS: Final = range(-1021, 1024)
_FROM: Final = pl.Series([0.0, *(2.0**e for e in _EXPONENTS)])
"""Where each run of equally distant floats begins: the subnormal ones go with the smallest normal ones."""

_DISTANCE: Final = pl.Series([5e-324, *(2.0 ** (e - 52) for e in _EXPONENTS)])
