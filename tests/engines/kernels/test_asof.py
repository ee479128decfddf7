from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import numpy as np
import polars as pl
import pytest

from headrace.engines.cpu import CpuEngine
from headrace.engines.kernels.asof import JoinAsof

ENGINE = CpuEngine()


def at(hour: int | None) -> datetime | None:
    return None if hour is None else datetime(2020, 1, 1) + timedelta(hours=hour)


def joined(rows: list[tuple[str | None, int | None]], table: list[tuple[str | None, int | None, int]], **how: object):  # type: ignore[no-untyped-def]
    frame = pl.DataFrame(
        [(k, at(t), n) for n, (k, t) in enumerate(rows)],
        schema={"k": pl.String, "t": pl.Datetime("us"), "row": pl.Int64},
        orient="row",
    )
    right = pl.DataFrame(
        [(k, at(t), v) for k, t, v in table],
        schema={"k": pl.String, "tt": pl.Datetime("us"), "v": pl.Int64},
        orient="row",
    )
    options = {"by": ("k",), "left_on": "t", "right_on": "tt", **how}
    result = ENGINE.collect([ENGINE.kernel(frame.lazy(), JoinAsof(table=right.lazy(), **options))])[0]  # type: ignore[arg-type]
    assert result.columns == ["k", "t", "row", "v"]
    assert result["row"].to_list() == list(range(len(rows)))
    return result["v"].to_list()


TABLE = [("a", 3, 30), ("a", 1, 10), ("b", 2, 20)]


def test_the_last_earlier_or_equal_row_of_the_key() -> None:
    rows = [("a", 5), ("a", 3), ("a", 2), ("a", 0), ("b", 1), ("b", 9), ("c", 9)]
    assert joined(rows, TABLE) == [30, 30, 10, None, None, 20, None]


def test_without_exact_matches_the_row_must_be_earlier() -> None:
    assert joined([("a", 3), ("a", 4), ("a", 1)], TABLE, exact=False) == [10, 30, None]


def test_tolerance_is_how_far_away_at_most() -> None:
    rows = [("a", 5), ("a", 6)]
    assert joined(rows, TABLE, tolerance=timedelta(hours=2)) == [30, None]


def test_forward_takes_the_next() -> None:
    rows = [("a", 0), ("a", 1), ("a", 2), ("a", 4)]
    assert joined(rows, TABLE, direction="forward") == [10, 10, 30, None]
    assert joined(rows, TABLE, direction="forward", exact=False) == [10, 30, 30, None]


def test_of_equal_times_the_last_counts_backward_and_the_first_forward() -> None:
    table = [("a", 1, 1), ("a", 1, 2), ("a", 1, 3)]
    assert joined([("a", 1), ("a", 2)], table) == [3, 3]
    assert joined([("a", 1), ("a", 0)], table, direction="forward") == [1, 1]


def test_nulls_match_nothing() -> None:
    table = [(None, 1, 1), ("a", None, 2), ("a", 1, 3)]
    assert joined([(None, 2), ("a", None), ("a", 2)], table) == [None, None, 3]
    assert joined([(None, 0), ("a", None), ("a", 0)], table, direction="forward") == [None, None, 3]


def test_without_keys() -> None:
    frame = pl.LazyFrame({"t": [at(5), at(0)]})
    table = pl.LazyFrame({"tt": [at(3), at(1)], "v": [30, 10]})
    result = ENGINE.kernel(frame, JoinAsof(table=table, by=(), left_on="t", right_on="tt")).collect()
    assert result.to_dict(as_series=False) == {"t": [at(5), at(0)], "v": [30, None]}


@pytest.mark.parametrize(("rows", "table"), [([], TABLE), ([("a", 1)], [])])
def test_empty_sides(rows: list[tuple[str, int]], table: list[tuple[str, int, int]]) -> None:
    assert joined(rows, table) == [None] * len(rows)


def test_agrees_with_duckdb() -> None:
    random = np.random.default_rng(5)
    hours = random.permutation(5_000)[:400]  # distinct, so that no tie is left to the order of the table
    start = datetime(2020, 1, 1)
    frame = pl.DataFrame(
        {
            "k": random.choice(["a", "b", "c", "d"], 900),
            "k2": random.integers(0, 3, 900),
            "t": [start + timedelta(hours=int(h)) for h in random.integers(0, 5_000, 900)],
            "row": range(900),
        }
    )
    table = pl.DataFrame(
        {
            "k": random.choice(["a", "b", "c"], 400),
            "k2": random.integers(0, 3, 400),
            "tt": [start + timedelta(hours=int(h)) for h in hours],
            "v": random.normal(size=400),
        }
    )
    got = ENGINE.kernel(
        frame.lazy(), JoinAsof(table=table.lazy(), by=("k", "k2"), left_on="t", right_on="tt")
    ).collect()
    connection = duckdb.connect()
    connection.register("f", frame.to_arrow())
    connection.register("s", table.to_arrow())
    expected = connection.sql(
        "select f.row, s.v from f asof left join s on f.k = s.k and f.k2 = s.k2 and f.t >= s.tt order by f.row"
    ).fetchall()
    assert got.select("row", "v").rows() == expected


def test_the_stand_in_has_the_schema_of_the_body() -> None:
    frame = pl.LazyFrame({"k": ["a"], "t": [at(1)]})
    table = pl.LazyFrame({"k": ["a"], "tt": [at(1)], "v": [1], "w": ["x"]})
    kernel = JoinAsof(table=table, by=("k",), left_on="t", right_on="tt")
    assert kernel.stand_in(frame, ENGINE).collect_schema() == kernel.cpu(frame, ENGINE).collect_schema()
