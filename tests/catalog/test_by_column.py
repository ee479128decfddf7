from __future__ import annotations

import polars as pl
import xxhash

from headrace.catalog import by_column
from headrace.engines.cpu import CpuEngine, InMemory


def rows(**columns: pl.Series) -> InMemory:
    return InMemory(pl.DataFrame(columns))


def test_finite_values_are_counted_in_order() -> None:
    data = rows(x=pl.Series([2.0, -0.0, None, 0.0, float("nan"), float("inf")]), s=pl.Series(["b", "a", None] * 2))
    found = by_column.group(data, ["x", "s"], CpuEngine())
    assert {name: counts.rows() for name, counts in found.items()} == {
        "x": [(0.0, 2), (2.0, 1)],
        "s": [("a", 2), ("b", 2)],
    }
    assert found["x"].schema == {"value": pl.Float64, "count": pl.UInt64}


def test_1024_values_are_counted_and_1025_are_not() -> None:
    data = rows(x=pl.Series(range(1_025)) % 1_024, y=pl.Series(range(1_025)))
    assert list(by_column.group(data, ["x", "y"], CpuEngine())) == ["x"]
    assert by_column.group(data, [], CpuEngine()) == {}


def test_hashes_below_the_limit() -> None:
    texts = [f"N{n}" for n in range(100)]
    limit = 2**62
    found = by_column.smallest_hashes(rows(x=pl.Series([*texts, *texts])), {"x": limit}, set(), CpuEngine())
    hashes = sorted(xxhash.xxh64_intdigest(text.encode()) for text in texts)
    assert found["x"].to_list() == [h for h in hashes if h < limit]


def test_of_null_and_nan_there_is_no_hash() -> None:
    found = by_column.smallest_hashes(
        rows(x=pl.Series([None, float("nan"), 1.0])), {"x": 2**64 - 1}, {"x"}, CpuEngine()
    )
    assert len(found["x"]) == 1
