"""GroupStats over rows that are cut, ordered and grouped into tasks in any way, beside Polars on all rows at once."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.transforms.fitting import applied, learned, transformed

from headrace.schemas.errors import PipelineError
from headrace.transforms.groups import GroupStats

ALL = ("count", "sum", "mean", "std", "min", "max", "n_unique")
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.booleans(),
        st.one_of(st.none(), st.floats(width=64), st.sampled_from([1.6e9, 1.6e9 + 1, -0.0, 1e300, math.nan])),
        st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2)),
    ),
    max_size=15,
)


def frame_of(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"g": pl.String, "h": pl.Boolean, "x": pl.Float64, "n": pl.Int64}, orient="row")


@pytest.mark.slow
@given(rows=ROWS, data=st.data())
def test_partitions_and_order_do_not_show(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    frame = frame_of(rows)
    step = GroupStats(by=["g", "h"], of=["x", "n"], statistics=ALL)
    whole = learned(step, frame)
    cuts = sorted(data.draw(st.lists(st.integers(0, frame.height), max_size=4)))
    turned = frame[data.draw(st.permutations(range(frame.height)))]
    assert learned(step, turned, cuts) == whole
    pieces = [applied(whole, frame[a:b]) for a, b in pairwise([0, *cuts, frame.height])]
    assert pl.concat(pieces).equals(applied(whole, frame))


NUMBERS = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))  # of which Polars' sums of floats are good to 1e-9


@pytest.mark.slow
@given(rows=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.booleans(), NUMBERS, st.integers(-9, 9)), min_size=1))
def test_agrees_with_polars_over_several_keys(rows: list[tuple[Any, ...]]) -> None:
    frame = frame_of(rows)
    got = transformed(GroupStats(by=["g", "h"], of=["x", "n"], statistics=ALL, output="{column} {statistic}"), frame)
    for column in ("x", "n"):
        value = pl.col(column)
        expected = frame.select(
            e.over("g", "h").alias(name)
            for name, e in {
                "count": value.count(), "sum": value.sum(), "mean": value.mean(), "std": value.std(),
                "min": value.min(), "max": value.max(), "n_unique": value.n_unique(),
            }.items()
        )  # fmt: skip
        for statistic in ALL:
            assert got[f"{column} {statistic}"].to_list() == [
                None if e is None else pytest.approx(e, rel=1e-9, abs=1e-3 if statistic == "std" else 1e-6)
                for e in expected[statistic]
            ]


def test_nvtabular_groups_within_a_partition_ours_over_all_rows() -> None:
    """Its Groupby gives each partition its own statistics of a group that lies in several."""
    frame = pl.DataFrame({"g": ["a", "b", "a", "b", "a", "a"], "x": [1.0, 10.0, 3.0, 30.0, 5.0, 7.0]})
    cuts = (2, 4)
    mean = pl.col("x").mean().over("g")
    by_partition = pl.concat([frame[a:b].select(mean) for a, b in pairwise([0, *cuts, 6])])["x"]
    assert by_partition.to_list() == [1.0, 10.0, 3.0, 30.0, 6.0, 6.0]
    step = GroupStats(by="g", of="x", statistics=["mean", "count"])
    fitted = learned(step, frame, cuts)
    got = pl.concat([applied(fitted, frame[a:b]) for a, b in pairwise([0, *cuts, 6])])
    assert got["x_mean_by_g"].to_list() == [4.0, 20.0, 4.0, 20.0, 4.0, 4.0]
    assert got["x_count_by_g"].to_list() == [4, 2, 4, 2, 4, 4]


def test_integers_beyond_two_to_the_53_and_unsigned_ones() -> None:
    signed = pl.DataFrame({"g": ["a", "a", "b"], "n": [2**53 + 1, -(2**53), -(2**63)]})
    got = transformed(GroupStats(by="g", of="n", statistics=["sum", "min", "max", "n_unique"]), signed)
    assert got.row(0)[2:] == (1.0, -(2**53), 2**53 + 1, 2)
    assert got.row(2)[2:] == (-(2.0**63), -(2**63), -(2**63), 1)
    unsigned = pl.DataFrame({"g": ["a", "a"], "n": pl.Series([2**64 - 1, 1], dtype=pl.UInt64)})
    got = transformed(GroupStats(by="g", of="n", statistics=["sum", "max", "count"]), unsigned)
    assert got.row(0)[2:] == (2.0**64, 2**64 - 1, 2)


def test_a_constant_has_no_deviation_and_null_has_nothing() -> None:
    frame = pl.DataFrame({"g": ["a"] * 3, "x": [0.1] * 3, "nothing": pl.Series([None] * 3, dtype=pl.Float64)})
    got = transformed(GroupStats(by="g", of=["x", "nothing"], statistics=ALL), frame)
    assert got["x_std_by_g"].to_list() == [0.0] * 3
    assert [got[f"nothing_{s}_by_g"][0] for s in ALL] == [0, None, None, None, None, None, 0]


def test_lists_are_refused_with_what_to_do() -> None:
    schema = pl.Schema({"g": pl.String(), "l": pl.List(pl.Int64)})
    for fields in ({"by": "l", "statistics": "count"}, {"by": "g", "of": "l"}):
        with pytest.raises(PipelineError, match=r"got List\(Int64\) in") as caught:
            GroupStats(**fields).resolve(schema)
        assert "ListAgg" in caught.value.hint
