from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from headrace.transforms import counts


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", "a", None, "b", "a", "é", "B"], [("a", 2), ("b", 2), ("B", 1), ("é", 1)]),
        ([2**53 + 1, 2**53, None, 2**53 + 1], [(2**53 + 1, 2), (2**53, 1)]),
        ([True, None, False], [(False, 1), (True, 1)]),
        ([date(2020, 1, 2), date(2020, 1, 1)], [(date(2020, 1, 1), 1), (date(2020, 1, 2), 1)]),
        ([None], []),
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_values_by_count_then_value_however_the_rows_are_cut(values: list[Any], expected: list[Any], cut: int) -> None:
    frame = pl.DataFrame({"x": values})
    tables = [counts.summary(part.lazy(), "x") for part in (frame.head(cut), frame.slice(cut))]
    total = counts.ordered(counts.merged(tables).collect())
    assert total.schema == {"value": frame.schema["x"], "count": pl.Int64}
    assert total.rows() == expected


def test_nothing_measured_has_no_values() -> None:
    assert counts.ordered(pl.DataFrame()).schema == {"value": pl.String, "count": pl.Int64}
