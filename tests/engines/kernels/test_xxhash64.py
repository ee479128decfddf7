from __future__ import annotations

import struct
from datetime import date

import polars as pl
import pytest
import xxhash

from headrace.engines.cpu import CpuEngine
from headrace.engines.kernels import xxhash64
from headrace.engines.kernels.xxhash64 import Hash64, hash64, hash64_pair
from headrace.engines.translation import TranslationEngine

ENGINE = CpuEngine()


def hashed(values: pl.Series, seed: int = 0) -> list[int | None]:
    """What the CPU's body gives, which is what the expression for every engine gives."""
    frame = pl.DataFrame({"x": values}).lazy()
    found: list[int | None] = ENGINE.collect([hash64(ENGINE, frame, "x", values.dtype, "h", seed)])[0]["h"].to_list()
    if values.dtype != pl.String:
        assert hash64(TranslationEngine(), frame, "x", values.dtype, "h", seed).collect()["h"].to_list() == found
    return found


def test_published_vectors() -> None:
    # xxHash's own sanity values: the empty input without and with the seed PRIME32, and two well-known texts.
    assert hashed(pl.Series([""])) == [0xEF46DB3751D8E999]
    assert hashed(pl.Series([""]), seed=2654435761) == [0xAC75FDA2929B17EF]
    assert hashed(pl.Series(["a", "abc"])) == [0xD24EC4F1A98C6E5B, 0x44BC2CF5AD770999]


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_strings_hash_by_their_utf8_bytes(seed: int) -> None:
    texts = ["", "a", "abcdefg", "abcdefgh", "x" * 31, "y" * 32, "z" * 1000, "žluť", "日本", "\x00", "a\x00"]
    assert hashed(pl.Series(texts), seed) == [xxhash.xxh64_intdigest(t.encode(), seed) for t in texts]


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (pl.Int64, [0, 1, -1, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]),
        (pl.Int32, [0, 1, -1, 2**31 - 1, -(2**31)]),
        (pl.Int8, [0, -128, 127]),
        (pl.UInt8, [0, 255]),
    ],
)
def test_integers_hash_by_their_eight_bytes(dtype: pl.DataType, values: list[int], seed: int) -> None:
    expected = [xxhash.xxh64_intdigest(struct.pack("<q", v), seed) for v in values]
    assert hashed(pl.Series(values, dtype=dtype), seed) == expected


def test_unsigned_integers_beyond_int64_hash_by_their_bytes() -> None:
    values = [2**63, 2**64 - 1]
    expected = [xxhash.xxh64_intdigest(struct.pack("<Q", v)) for v in values]
    assert hashed(pl.Series(values, dtype=pl.UInt64)) == expected


def test_booleans_and_dates_hash_by_their_integer() -> None:
    one = xxhash.xxh64_intdigest(struct.pack("<q", 1))
    assert hashed(pl.Series([True])) == [one]
    assert hashed(pl.Series([date(1970, 1, 2)])) == [one]


@pytest.mark.parametrize("values", [pl.Series([None, "a"]), pl.Series([None, 1]), pl.Series([None, True])])
def test_null_stays_null(values: pl.Series) -> None:
    first, second = hashed(values)
    assert first is None
    assert second is not None


def test_a_pair_hashes_by_its_sixteen_bytes() -> None:
    frame = pl.DataFrame({"a": [1, 2**64 - 1], "b": [2, 0]}, schema={"a": pl.UInt64, "b": pl.UInt64})
    expected = [xxhash.xxh64_intdigest(struct.pack("<QQ", a, b), 3) for a, b in frame.iter_rows()]
    assert frame.select(xxhash64.pair(pl.col("a"), pl.col("b"), 3)).to_series().to_list() == expected
    assert hash64_pair(ENGINE, frame.lazy(), "a", "b", "b", 3).collect()["b"].to_list() == expected


def test_a_pair_with_a_null_has_no_hash() -> None:
    frame = pl.LazyFrame({"a": [1, None, 1], "b": [None, 2, 2]}, schema={"a": pl.UInt64, "b": pl.UInt64})
    assert frame.select(h=xxhash64.pair(pl.col("a"), pl.col("b"), 0)).collect()["h"].is_null().to_list() == [
        True,
        True,
        False,
    ]
    assert hash64_pair(ENGINE, frame, "a", "b", "h").collect()["h"].is_null().to_list() == [True, True, False]


@pytest.mark.slow
@pytest.mark.parametrize("rows", [0, 1, 16_384, 40_000])
@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt64, pl.UInt16])
def test_columns_of_many_blocks_and_chunks_hash_value_by_value(dtype: pl.DataType, rows: int) -> None:
    half = pl.Series([v if v % 7 else None for v in range(rows)], dtype=pl.Int64).cast(dtype, strict=False)
    found = hashed(pl.concat([half, half], rechunk=False))
    assert found == 2 * [None if v is None else xxhash.xxh64_intdigest(struct.pack("<q", v)) for v in half]


def test_the_stand_in_has_the_output_type() -> None:
    frame = pl.LazyFrame({"x": ["a"]})
    assert Hash64("x", "h").stand_in(frame, ENGINE).collect_schema()["h"] == pl.UInt64
