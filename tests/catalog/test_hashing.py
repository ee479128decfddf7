from __future__ import annotations

import math
import struct
from typing import Any

import polars as pl
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from headrace.catalog.hashing import bits, computed, hash_values, mixed, reinterpreted
from headrace.engines.engine import EngineName

EDGES = [
    0.0, -0.0, 5e-324, -5e-324, 2.225073858507201e-308, 2.2250738585072014e-308, 4.450147717014402e-308,
    4.450147717014403e-308, 1.0, math.nextafter(1.0, 0), 2.0**52, 2.0**53 + 2, 1.7976931348623157e308, -1.5,
]  # fmt: skip


def word(value: float) -> int:
    found: int = struct.unpack("<Q", struct.pack("<d", value or 0.0))[0]
    return found


@pytest.mark.parametrize("way", [reinterpreted, computed])
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=50))
def test_the_bits_of_finite_floats(way: Any, values: list[float]) -> None:
    values = [*EDGES, *values]
    assert pl.DataFrame({"x": values}).select(way(pl.col("x"))).to_series().to_list() == [word(v) for v in values]


@pytest.mark.parametrize("way", [reinterpreted, computed])
@given(values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=50))
def test_a_float32_has_the_bits_of_its_float64(way: Any, values: list[float]) -> None:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float32)})
    assert frame.select(way(pl.col("x"))).to_series().to_list() == [word(v) for v in values]


def test_what_is_not_finite_raises_nothing() -> None:
    frame = pl.DataFrame({"x": [None, math.nan, math.inf, -math.inf, 1.0]})
    assert frame.select(computed(pl.col("x"))).item(4, 0) == word(1.0)


def multiply_shift(word: int) -> int:
    product = word * 0x9E3779B185EBCA87 % 2**64
    return (product ^ (product >> 32)) * 0xC2B2AE3D27D4EB4F % 2**64


@pytest.mark.parametrize("engine", ["cpu", "gpu"])
@pytest.mark.parametrize(
    ("values", "dtype", "words"),
    [
        ([0, 1, -1, 127], pl.Int8, [0, 1, 2**64 - 1, 127]),
        ([-(2**63), 2**63 - 1], pl.Int64, [2**63, 2**63 - 1]),
        ([2**64 - 1, 2**32], pl.UInt64, [2**64 - 1, 2**32]),
        ([0.1, -0.0, 2.5], pl.Float64, [word(0.1), 0, word(2.5)]),
        ([0.5], pl.Float32, [word(0.5)]),
    ],
)
def test_numbers_are_mixed_alike_on_every_engine(
    engine: EngineName, values: list[Any], dtype: Any, words: list[int]
) -> None:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    found = frame.select(mixed(bits(pl.col("x"), frame.schema["x"], engine))).to_series()
    assert found.to_list() == [multiply_shift(word) for word in words]
    assert found.dtype == pl.UInt64


def test_text_is_hashed_by_its_bytes() -> None:
    texts = ["", "AA", "BÄÖ", "x" * 1000]
    found = pl.DataFrame({"x": texts}).select(hash_values(pl.col("x"), pl.String())).to_series()
    assert found.to_list() == [xxhash.xxh64_intdigest(text.encode()) for text in texts]
