"""Kernel `earlier`: both bodies give the same, however the rows lie and whatever they are ordered by."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from headrace.engines.kernels import earlier

TYPES = (pl.Int8(), pl.UInt64(), pl.Float32(), pl.Float64(), pl.Date(), pl.Datetime("us"), pl.Decimal(20, 2))
PLACED = pl.all_horizontal(pl.col("e", "o").is_not_null())


def both(rows: pl.DataFrame, n: int = 2) -> pl.DataFrame:
    numbered = rows.lazy().with_row_index("i").with_columns(PLACED.alias("p"))
    value = pl.col("i")
    return numbered.select(
        pl.when("p").then(earlier.cpu(value, n, ("e",), "o")).alias("cpu"),
        pl.when("p").then(earlier.anywhere(value, n, ("e",), "o", placed="p", index="i")).alias("anywhere"),
    ).collect()


@pytest.mark.parametrize("lie", ["anyhow", "rising", "falling", "by entity", "equal", "in chunks"])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_rows_of_equal_order_stand_as_they_come(dtype: pl.DataType, lie: str) -> None:
    draw = np.random.default_rng(7)
    order = pl.Series("o", draw.integers(0, 20, 5_000)).cast(dtype)
    order = order.zip_with(pl.Series(draw.random(5_000) > 0.1), pl.Series([None], dtype=dtype))
    entity = pl.Series("e", draw.integers(0, 5, 5_000))
    match lie:
        case "rising" | "falling":
            order = order.sort(descending=lie == "falling", nulls_last=True)
        case "by entity":
            entity = entity.sort()
        case "equal":
            order = order.is_null().replace_strict({True: None, False: 3}, return_dtype=pl.Int64).cast(dtype).alias("o")
    rows = pl.DataFrame([entity, order])
    if lie == "in chunks":
        rows = pl.concat([rows[:999], rows[999:]], rechunk=False)
    found = both(rows)
    assert found["cpu"].equals(found["anywhere"], null_equal=True)
    assert found["cpu"].count() > 4_000


def test_rows_without_entity_or_order_count_for_no_other() -> None:
    rows = pl.DataFrame({"e": ["a", None, "a", "a", "a", None], "o": [2, 1, None, 1, 2, 3]})
    found = both(rows, n=1)
    assert found["cpu"].to_list() == found["anywhere"].to_list() == [3, None, None, None, 0, None]


def test_zeros_of_either_sign_and_nan_are_each_of_one_order() -> None:
    rows = pl.DataFrame({"e": [1] * 6, "o": [0.0, -0.0, float("nan"), 0.0, -1.0, float("nan")]})
    found = both(rows, n=1)
    assert found["cpu"].to_list() == found["anywhere"].to_list() == [4, 0, 3, 1, None, 2]
