"""Filter: which rows stay, and which expressions are refused."""

from __future__ import annotations

import polars as pl
import pytest

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.rows import Filter

FRAME = pl.LazyFrame({"delay": [3, 20, None, 16], "carrier": ["AA", "UA", "AA", "AA"]})


def test_rows_stay_where_the_expression_is_true_and_keep_their_order() -> None:
    got = Filter(where="delay > 2 AND carrier = 'AA'").apply(FRAME, CpuEngine()).collect()
    assert got["delay"].to_list() == [3, 16]


def test_a_polars_expression_does_the_same() -> None:
    assert Filter(where=pl.col("delay").is_null()).apply(FRAME, CpuEngine()).collect().rows() == [(None, "AA")]


def test_an_expression_that_is_not_boolean_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"gives Boolean, got Int64 from 'delay \+ 1'"):
        Filter(where="delay + 1").resolve(FRAME.collect_schema())


def test_an_expression_over_other_rows_is_refused() -> None:
    with pytest.raises(PipelineError, match="looks at other rows"):
        Filter(where="delay > AVG(delay)").resolve(FRAME.collect_schema())


def test_a_column_that_is_not_there_is_named_with_those_like_it() -> None:
    with pytest.raises(PipelineError, match="Filter reads 'dely', which the rows do not have here") as caught:
        Filter(where="dely > 1").resolve(FRAME.collect_schema())
    assert caught.value.hint == "did you mean delay?"
