"""Kernel `hash64`: XXH64 of each value, equal on every engine and in every process.

Contract: `output` (UInt64) is XXH64 with the given seed of the UTF-8 bytes of a string, or of the eight little-endian
bytes of an integer, as Int64 or, where it is unsigned, UInt64, whose bytes are the same below 2^63 (booleans, dates and
times by their integer). Null stays null. Floats are refused by the
operators that call it: equal numbers need not have equal bytes.

Integers and pairs have two bodies: an expression that every engine runs, and NumPy on the CPU, which is about six times
faster, because what it works on stays in the processor's cache.

Source: the XXH64 specification, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from headrace.engines.engine import Engine

    Words = npt.NDArray[np.uint64]

_P1 = 0x9E3779B185EBCA87
_P2 = 0xC2B2AE3D27D4EB4F
_P3 = 0x165667B19E3779F9
_P4 = 0x85EBCA77C2B2AE63
_P5 = 0x27D4EB2F165667C5
_MASK = (1 << 64) - 1


def hash64(
    engine: Engine, frame: pl.LazyFrame, column: str, dtype: pl.DataType, output: str, seed: int = 0
) -> pl.LazyFrame:
    """The column `output` of the hashes of `column`, which is of type `dtype`."""
    if dtype == pl.String:
        return engine.kernel(frame, Hash64(column, output, seed))
    hashed = _by_numpy(column, dtype, seed) if engine.name == "cpu" else integer(pl.col(column), dtype, seed)
    return frame.with_columns(hashed.alias(output))


def hash64_pair(
    engine: Engine, frame: pl.LazyFrame, first: str, second: str, output: str, seed: int = 0
) -> pl.LazyFrame:
    """The column `output` of what `pair` gives of two UInt64 columns."""
    if engine.name == "cpu":
        return _pair_by_numpy(frame, first, second, output, seed)
    return frame.with_columns(pair(pl.col(first), pl.col(second), seed).alias(output))


@dataclass(frozen=True)
class Hash64:
    """The hashes of a column of strings."""

    column: str
    output: str
    seed: int = 0
    name: ClassVar[str] = "hash64"

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    def writes(self, schema: pl.Schema, engine: Engine) -> dict[str, pl.DataType]:
        return {self.output: pl.UInt64()}

    def cpu(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """By polars-hash."""
        return frame.with_columns(text(pl.col(self.column), self.seed).alias(self.output))

    def stand_in(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(pl.col(self.column).is_null().cast(pl.UInt64).alias(self.output))


def _by_numpy(column: str, dtype: pl.DataType, seed: int) -> pl.Expr:
    """Integers with NumPy on UInt64, which wraps as the specification asks."""
    value = pl.col(column)
    if not dtype.is_unsigned_integer():
        value = (value if dtype.is_integer() or dtype == pl.Boolean else value.to_physical()).cast(pl.Int64)
    words = value.fill_null(0).map_batches(partial(_words, seed), return_dtype=pl.UInt64, is_elementwise=True)
    return pl.when(pl.col(column).is_not_null()).then(words)


def _pair_by_numpy(frame: pl.LazyFrame, first: str, second: str, output: str, seed: int) -> pl.LazyFrame:
    both = pl.col(first, second)
    words = pl.map_batches(
        [pl.col(first).fill_null(0), pl.col(second).fill_null(0)],
        partial(_pairs, seed),
        return_dtype=pl.UInt64,
        is_elementwise=True,
    )
    return frame.with_columns(pl.when(pl.all_horizontal(both.is_not_null())).then(words).alias(output))


def text(column: pl.Expr, seed: int = 0) -> pl.Expr:
    """XXH64 of a string's UTF-8 bytes, on the CPU."""
    import polars_hash  # noqa: F401  adds the namespace to expressions

    hashed: pl.Expr = column.nchash.xxhash64(seed=seed)  # type: ignore[attr-defined]
    return hashed


def integer(column: pl.Expr, dtype: pl.DataType, seed: int) -> pl.Expr:
    """XXH64 of an integer's eight bytes as an expression that both engines run."""
    if dtype.is_unsigned_integer():
        value = column.cast(pl.UInt64)
    else:
        signed = (column if dtype.is_integer() or dtype == pl.Boolean else column.to_physical()).cast(pl.Int64)
        # Two's complement without reinterpret, which cudf-polars lacks.
        rest = pl.when(signed >= 0).then(signed).otherwise(signed - _INT64_MIN)
        value = rest.cast(pl.UInt64, wrap_numerical=True) + pl.when(signed >= 0).then(_u64(0)).otherwise(_u64(1 << 63))
    return _avalanche(_lane(_u64((seed + _P5 + 8) & _MASK), value))


def pair(first: pl.Expr, second: pl.Expr, seed: int) -> pl.Expr:
    """XXH64 of the sixteen little-endian bytes of two UInt64 expressions; null where one of them is."""
    return _avalanche(_lane(_lane(_u64((seed + _P5 + 16) & _MASK), first), second))


_INT64_MIN = -(1 << 63)


def _u64(value: int) -> pl.Expr:
    return pl.lit(value, pl.UInt64)


def _lane(h: pl.Expr, value: pl.Expr) -> pl.Expr:
    """One eight-byte step of the specification's tail."""
    h = h ^ (_rotate(value * _u64(_P2), 31) * _u64(_P1))
    return _rotate(h, 27) * _u64(_P1) + _u64(_P4)


def _avalanche(h: pl.Expr) -> pl.Expr:
    h = (h ^ (h // _u64(1 << 33))) * _u64(_P2)
    h = (h ^ (h // _u64(1 << 29))) * _u64(_P3)
    return h ^ (h // _u64(1 << 32))


def _rotate(value: pl.Expr, bits: int) -> pl.Expr:
    return (value * _u64(1 << bits)) ^ (value // _u64(1 << (64 - bits)))


def _words(seed: int, values: pl.Series) -> pl.Series:
    import numpy as np

    numbers = values.to_numpy()
    words = numbers.view(np.uint64) if numbers.dtype == np.int64 else numbers.astype(np.uint64, copy=False)
    return _hashed((seed + _P5 + 8) & _MASK, [words])


def _pairs(seed: int, pair_: Sequence[pl.Series]) -> pl.Series:
    return _hashed((seed + _P5 + 16) & _MASK, [half.to_numpy() for half in pair_])


def _hashed(start: int, columns: list[Words]) -> pl.Series:
    """The specification's tail for words of eight bytes, one after the other, a block of rows at a time."""
    import numpy as np  # readers of datasets have none, and hash no integers

    found: Words = np.empty(len(columns[0]), np.uint64)
    for first in range(0, len(found), _BLOCK):
        rows = slice(first, first + _BLOCK)
        h: Any = np.uint64(start)
        for words in columns:
            lane = words[rows] * np.uint64(_P2)
            lane = ((lane << np.uint64(31)) | (lane >> np.uint64(33))) * np.uint64(_P1)
            lane ^= h
            h = ((lane << np.uint64(27)) | (lane >> np.uint64(37))) * np.uint64(_P1)
            h += np.uint64(_P4)
        h ^= h >> np.uint64(33)
        h *= np.uint64(_P2)
        h ^= h >> np.uint64(29)
        h *= np.uint64(_P3)
        h ^= h >> np.uint64(32)
        found[rows] = h
    return pl.Series(found)


_BLOCK: Final = 1 << 14
"""Rows whose words, and what is worked out of them, stay in the cache."""
