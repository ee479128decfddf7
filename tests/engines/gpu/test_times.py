from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from headrace.engines.gpu.times import ticks


@pytest.mark.parametrize(
    ("span", "dtype", "expected"),
    [
        (timedelta(hours=60), pl.Date(), 2),
        (timedelta(hours=23), pl.Date(), 0),
        (timedelta(microseconds=2500), pl.Datetime("ms"), 2),
        (timedelta(microseconds=2500), pl.Datetime("us", "UTC"), 2500),
        (timedelta(microseconds=2500), pl.Datetime("ns"), 2_500_000),
        (timedelta(days=100 * 365), pl.Datetime("ns"), 3_153_600_000_000_000_000),
    ],
)
def test_whole_units_that_fit_into_a_span(span: timedelta, dtype: pl.DataType, expected: int) -> None:
    assert ticks(span, dtype) == expected


def test_other_types_are_no_times() -> None:
    with pytest.raises(TypeError, match="got Int64"):
        ticks(timedelta(1), pl.Int64())
