"""Tables in the order that learners give them."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.transforms import order
from headrace.transforms.order import arranged, in_order

BY_COUNT = (("count", True), ("value", False))


@pytest.mark.parametrize(
    "values", [["a", "b", "c"], [False, True, True], [-1, 2, 3], [date(1969, 1, 1), date(2020, 1, 1), date(2021, 1, 1)]]
)
def test_counts_fall_and_equal_ones_have_rising_values(values: list[object]) -> None:
    rising = pl.DataFrame({"value": values, "count": [2, 2, 2]})
    assert in_order(rising, BY_COUNT)
    assert not in_order(rising.reverse(), BY_COUNT)
    assert in_order(rising.with_columns(count=pl.Series([3, 2, 1])), BY_COUNT)
    assert not in_order(rising.with_columns(count=pl.Series([1, 2, 3])), BY_COUNT)
    assert in_order(rising.head(1), BY_COUNT)
    assert in_order(rising.clear(), BY_COUNT)


def test_a_table_in_order_is_not_copied() -> None:
    table = pl.DataFrame({"value": ["a", "b"], "count": [2, 1]})
    assert arranged(table, BY_COUNT) is table
    assert arranged(table, ()) is table


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=9), st.integers(1, 4))
def test_a_part_at_a_time_it_is_seen_as_in_one(rows: list[tuple[str, int]], at_once: int) -> None:
    table = pl.DataFrame(rows, schema={"value": pl.String, "count": pl.Int64}, orient="row")
    expected = sorted(rows, key=lambda row: (-row[1], row[0]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "_AT_ONCE", at_once)
        assert in_order(table, BY_COUNT) == (rows == expected)
        assert arranged(table, BY_COUNT).rows() == expected
