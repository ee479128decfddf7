"""Deduplicate as literals and against DuckDB: which row of a key stays."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from tests.transforms.fitting import applied, gpu_gaps

from headrace.engines.cpu import CpuEngine
from headrace.engines.translation import available
from headrace.schemas.errors import PipelineError
from headrace.transforms.deduplicate import Deduplicate

ROWS = pl.DataFrame(
    {
        "key": ["a", "b", "a", None, "a", "b", None, "c", "c"],
        "part": [1, 1, 1, 1, 2, None, 1, 1, 1],
        "at": [3, 7, 1, 5, 1, 7, 5, None, 2],
        "n": range(9),
    }
)


def stay(frame: pl.DataFrame = ROWS, **fields: Any) -> list[int]:
    step = Deduplicate(**{"by": "key", **fields}).resolve(frame.schema)
    got = applied([step], frame)
    assert got.equals(frame.filter(pl.col("n").is_in(got["n"].implode())))  # all else stays, and the order
    return got["n"].to_list()


def test_the_first_of_the_source_stays_or_the_last() -> None:
    assert stay() == [0, 1, 3, 6, 7]
    assert stay(keep="last") == [3, 4, 5, 6, 8]


def test_the_first_by_order_stays_ties_in_the_order_of_the_source() -> None:
    assert stay(order="at") == [1, 2, 3, 6, 8]
    assert stay(order="at", keep="last") == [0, 3, 5, 6, 8]


def test_a_row_without_order_stays_only_where_the_key_has_no_other() -> None:
    nulls = ROWS.with_columns(at=pl.lit(None, pl.Int64))
    assert stay(nulls, order="at") == [0, 1, 3, 6, 7]
    assert stay(nulls, order="at", keep="last") == [3, 4, 5, 6, 8]


def test_rows_with_a_null_in_the_key_all_stay() -> None:
    assert stay(by=["key", "part"]) == [0, 1, 3, 4, 5, 6, 7]
    assert stay(ROWS.with_columns(key=pl.lit(None, pl.String))) == list(range(9))


@pytest.mark.parametrize("keep", ["first", "last"])
def test_agrees_with_duckdb_in_any_order(keep: Any) -> None:
    random = np.random.default_rng(5)
    frame = pl.DataFrame(
        {
            "k": random.integers(0, 60, 900),
            "l": random.choice(["x", "y", None], 900),
            "t": random.integers(0, 9, 900),
            "n": range(900),
        }
    )
    connection = duckdb.connect()
    connection.register("f", frame.to_arrow())
    direction = "asc" if keep == "first" else "desc"
    expected = connection.sql(
        f"""select n from f qualify l is null or row_number() over (partition by k, l
        order by t {direction} nulls last, n {direction}) = 1 order by n"""
    ).fetchall()
    assert stay(frame, by=["k", "l"], order="t", keep=keep) == [n for (n,) in expected]


def test_little_or_nothing() -> None:
    assert stay(ROWS.clear()) == []
    assert stay(ROWS.head(1), order="at") == [0]


def test_a_row_that_is_asked_for_stays() -> None:
    asked = ROWS.with_columns(asked=pl.col("n").is_in([2, 4]))
    got = Deduplicate(by="key").answer(asked.lazy(), "asked", CpuEngine()).collect()
    assert got["n"].to_list() == [2, 4]


def test_columns_that_do_not_fit() -> None:
    schema = ROWS.with_columns(x=1.5).schema
    with pytest.raises(PipelineError, match="`by` must name at least one column"):
        Deduplicate(by=[]).resolve(schema)
    with pytest.raises(PipelineError, match=r"`by` takes .* got Float64 in column 'x'"):
        Deduplicate(by="x").resolve(schema)
    with pytest.raises(PipelineError, match="Deduplicate orders by a number or a time, got String in column 'key'"):
        Deduplicate(by="n", order="key").resolve(schema)
    with pytest.raises(PipelineError, match="Deduplicate reads 'when', which the rows do not have"):
        Deduplicate(by="n", order="when").resolve(schema)
    with pytest.raises(ValidationError, match="keep"):
        Deduplicate(by="n", keep="any")


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
def test_run_on_the_gpu() -> None:
    assert gpu_gaps(Deduplicate(by=["key", "part"], order="at", keep="last"), ROWS) == ([], set())
    assert gpu_gaps(Deduplicate(by="key"), ROWS) == ([], set())
