"""Constants of a column's type."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from headrace.transforms.literal import integer_range, lit, literal


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (pl.Int8(), (-128, 127)),
        (pl.UInt16(), (0, 65535)),
        (pl.Int64(), (-(2**63), 2**63 - 1)),
        (pl.UInt64(), (0, 2**64 - 1)),
    ],
)
def test_the_range_of_an_integer_type(dtype: pl.DataType, expected: tuple[int, int]) -> None:
    assert integer_range(dtype) == expected


@pytest.mark.parametrize(
    ("value", "dtype"), [(2.0, pl.Int8()), (2, pl.Float32()), (True, pl.Boolean()), ("x", pl.String())]
)
def test_an_expression_has_exactly_the_type(value: Any, dtype: pl.DataType) -> None:
    got = pl.select(lit(value, dtype).alias("x"))["x"]
    assert got.dtype == dtype
    assert got.item() == value


@pytest.mark.parametrize(
    ("value", "dtype"),
    [("2020-01-01T00:00:00+01:00", pl.Datetime("us")), (float("inf"), pl.Int8()), ("1", pl.Int8()), (1, pl.Date())],
)
def test_what_the_type_cannot_hold_is_refused(value: Any, dtype: pl.DataType) -> None:
    with pytest.raises(ValueError):
        literal(value, dtype)
