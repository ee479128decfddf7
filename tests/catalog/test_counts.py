from __future__ import annotations

from typing import Any

import polars as pl
import pytest
import xxhash

from headrace.catalog.counts import count_values
from headrace.catalog.partials import ColumnPartial
from headrace.engines.cpu import CpuEngine, InMemory

ROWS = 3_000


def column(values: pl.Series, **known: Any) -> ColumnPartial:
    family = "text" if values.dtype == pl.String else "number"
    nulls = values.null_count()
    return ColumnPartial(values.name, values.dtype, family, len(values), nulls, **known)  # type: ignore[arg-type]


def counted(values: pl.Series, probe: int = ROWS, long: bool = False, **known: Any) -> ColumnPartial:
    frame = values.to_frame()
    names = {values.name} if long else set()
    [found] = count_values(InMemory(frame), frame.head(probe), [column(values, **known)], names, CpuEngine())
    return found


def test_few_values_are_counted() -> None:
    found = counted(pl.Series("x", [2.0, -0.0, None, 0.0, float("nan")]), nans=1)
    assert found.values is not None
    assert found.values.rows() == [(0.0, 2), (2.0, 1)]
    assert found.hashes is None


def test_a_mask_is_counted_without_a_look_at_its_rows() -> None:
    values = pl.Series("x", [1, 0, 1, None], dtype=pl.Int32)
    found = count_values(
        InMemory(values.clear().to_frame()),
        pl.DataFrame(),
        [column(values, min=0, max=1, mean=2 / 3)],
        set(),
        CpuEngine(),
    )
    assert found[0].values is not None
    assert found[0].values.rows() == [(0, 1), (1, 2)]


@pytest.mark.parametrize("probe", [1, 100, ROWS])
def test_many_values_keep_their_1024_smallest_hashes_whatever_the_probe(probe: int) -> None:
    texts = [f"N{n}" for n in range(ROWS)]
    found = counted(pl.Series("x", texts), probe=probe)
    assert found.values is None
    assert found.hashes is not None
    assert found.hashes.to_list() == sorted(xxhash.xxh64_intdigest(text.encode()) for text in texts)[:1_024]


def test_null_has_no_hash() -> None:
    texts = [f"N{n}" if n % 2 else None for n in range(ROWS)]
    found = counted(pl.Series("x", texts))
    assert found.hashes is not None
    assert found.hashes.to_list() == sorted(xxhash.xxh64_intdigest(text.encode()) for text in texts if text)[:1_024]


def test_long_texts_are_hashed_though_they_are_few() -> None:
    found = counted(pl.Series("x", ["x" * 1000, "y"]), long=True)
    assert found.values is None
    assert found.hashes is not None
    assert found.hashes.to_list() == sorted(xxhash.xxh64_intdigest(text.encode()) for text in ["x" * 1000, "y"])
