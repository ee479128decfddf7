from __future__ import annotations

from itertools import chain

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.catalog.export.rows import parts
from headrace.schemas.errors import DataError


def tables(sizes: list[int]) -> list[pa.Table]:
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    return [pa.table({"x": range(start, start + size)}) for start, size in zip(starts, sizes, strict=True)]


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 40))
def test_every_row_once_and_in_order_however_they_are_cut(sizes: list[int], most: int) -> None:
    rows = sum(sizes)
    found = []
    for part in parts(iter(tables(sizes)), rows, most):
        values = [value for table in part.tables for value in table["x"].to_pylist()]
        assert len(values) == part.rows
        found.append(values)
    assert [value for values in found for value in values] == list(range(rows))
    assert [len(values) for values in found] == [most] * (rows // most) + [rows % most] * bool(rows % most)


@pytest.mark.parametrize(("rows", "message"), [(7, "2 fewer rows than the manifest"), (3, "2 more rows than the 3")])
def test_other_rows_than_there_should_be(rows: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(chain.from_iterable(part.tables for part in parts(iter(tables([2, 3])), rows, 10)))
