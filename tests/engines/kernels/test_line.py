"""Kernel `line`: both bodies bring rows into the same order, and back."""

from __future__ import annotations

from typing import Final

import polars as pl
import pytest

from headrace.engines.kernels import line

ROWS: Final = pl.DataFrame(
    {
        "shop": ["b", "a", None, "b", "a", "b", None, "a"],
        "day": [2, 1, 1, 1, None, 1, 1, 1],
        "till": [1, 2, 1, 2, 1, 2, 1, None],
        "sold": [1, 2, 3, 4, 5, 6, 7, 8],
    }
)


def number(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The place on the line, and what was sold one place before."""
    return rows.with_columns(
        (pl.col(line.along("sold")).is_not_null().cum_sum().cast(pl.Int64) - 1).alias("place"),
        pl.col(line.along("sold")).shift(1).alias("sold"),
        pl.lit(1).alias("dropped"),
    )


@pytest.mark.parametrize("body", [line.cpu, line.anywhere])
def test_rows_stand_by_key_and_go_back_to_their_places(body: line.Body) -> None:
    found = body(ROWS.lazy(), ["shop", "day"], ["sold"], ["place", "sold"], number).collect()
    assert found.columns == ["shop", "day", "till", "sold", "place"]
    assert found["place"].to_list() == [7, 3, 0, 5, 2, 6, 1, 4]
    assert found["sold"].to_list() == [6, 5, None, 8, 7, 4, 3, 2]
    assert found["till"].equals(ROWS["till"])


@pytest.mark.parametrize("keys", [["day"], ["shop", "day"], ["till", "shop", "day"]])
def test_both_bodies_agree(keys: list[str]) -> None:
    rows = pl.concat([ROWS] * 500, rechunk=False)
    bodies = (line.cpu, line.anywhere)
    cpu, anywhere = (body(rows.lazy(), keys, ["sold"], ["place", "sold"], number).collect() for body in bodies)
    assert cpu.equals(anywhere)
    assert cpu["place"].sort().equals(pl.Series("place", range(4000)))


@pytest.mark.parametrize("body", [line.cpu, line.anywhere])
def test_no_rows(body: line.Body) -> None:
    found = body(ROWS.clear().lazy(), ["shop", "day"], ["sold"], ["place"], number).collect()
    assert found.schema == {**ROWS.schema, "place": pl.Int64()}
    assert not found.height
