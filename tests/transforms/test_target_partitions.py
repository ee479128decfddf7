"""However the rows are cut, ordered and grouped into tasks, TargetEncode learns and gives the same."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.transforms.fitting import applied, learned

from headrace.engines.cpu import CpuEngine
from headrace.schemas.names import SPLIT
from headrace.transforms.folds import FOLD, number_folds
from headrace.transforms.target import TargetEncode

WAYS: dict[str, dict[str, Any]] = {
    "key": {"fold_on": ["id"], "target": "x"},
    "key, auto": {"fold_on": ["id"], "target": "x", "smoothing": "auto"},
    "group": {"fold_on": ["k", "day"], "fold_by": "group", "target": ["x", "n"], "output": "{column}_{target}"},
    "time": {"fold_on": ["day"], "fold_by": "time", "every": "1w", "prior": 0, "target": "x", "smoothing": "auto"},
    "leave one out": {"leave_one_out": True, "target": ["n", "x"], "output": "{column}_{target}"},
    "leave one out, auto": {"leave_one_out": True, "target": "x", "smoothing": "auto"},
    "classes": {"fold_on": ["id"], "target": "k", "classes": ["u", "v"], "output": "{column}_{class}"},
}
NUMBERS = st.one_of(
    st.none(), st.floats(width=64), st.sampled_from([1.6e9, 1.6e9 + 1, 0.1, -0.1, 1e300, 5e-324, 2.0**62, math.nan])
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        NUMBERS,
        st.integers(-(2**63), 2**63 - 1),
        st.sampled_from(["u", "v", "w", None]),
        st.integers(0, 30),
    ),
    max_size=12,
)


def frame_of(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    schema = {"c": pl.String, "x": pl.Float64, "n": pl.Int64, "k": pl.String, "day": pl.Int32}
    frame = pl.DataFrame(rows, schema=schema, orient="row").cast({"day": pl.Date})
    return frame.with_row_index("id").cast({"id": pl.Int64}).with_columns(pl.lit(0, pl.UInt8).alias(SPLIT))


@pytest.mark.parametrize("way", WAYS)
@given(rows=ROWS, data=st.data())
def test_partitions_and_order_do_not_show(way: str, rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    frame = frame_of(rows)
    step = TargetEncode(columns=["c"], **WAYS[way])
    whole = learned(step, frame)
    cuts = sorted(data.draw(st.lists(st.integers(0, frame.height), max_size=4)))
    turned = frame[data.draw(st.permutations(range(frame.height)))]
    assert learned(step, turned, cuts) == whole

    encoded = applied(whole, frame)
    bounds = [0, *cuts, frame.height]
    pieces = [applied(whole, turned.slice(a, b - a)) for a, b in pairwise(bounds)]
    assert pl.concat(pieces).sort("id").equals(encoded)


@pytest.mark.parametrize("way", WAYS)
def test_the_order_of_the_statistics_does_not_show(way: str) -> None:
    random = np.random.default_rng(0)
    frame = frame_of(
        [(str(c), x, int(n), k, int(d)) for c, x, n, k, d in zip(
            random.integers(0, 9, 200), random.normal(1.6e9, 1, 200), random.integers(0, 5, 200),
            random.choice(["u", "v", "w"], 200), random.integers(0, 60, 200), strict=True,
        )]
    )  # fmt: skip
    step = TargetEncode(columns=["c"], **WAYS[way]).resolve(frame.schema)
    total = step.measure(frame.lazy(), CpuEngine()).collect()
    assert set(step.groups) == {c for c in total.columns if c == "fold" or c.startswith("key:")}
    assert total.select(step.groups).is_unique().all()
    shuffled = total.sample(fraction=1, shuffle=True, seed=4)
    assert step.learn(shuffled) == step.learn(total)


def test_nvtabular_folds_by_row_position_ours_stay_with_the_row() -> None:
    """Its fold goes by the row's position in its partition (modulo `kfold`, or drawn): a new cut moves rows."""
    frame = frame_of([("a", 0.0, i, "u", 0) for i in range(1_000)])
    before, after = (0, 250, 500, 750, 1_000), (0, 333, 666, 999, 1_000)

    def by_position(bounds: tuple[int, ...]) -> list[int]:
        return [i % 5 for a, b in pairwise(bounds) for i in range(b - a)]

    def by_key(bounds: tuple[int, ...]) -> list[int]:
        parts = [
            number_folds(frame[a:b].lazy(), "key", ("id",), 5, "1mo", frame.schema, CpuEngine()).collect()[FOLD]
            for a, b in pairwise(bounds)
        ]
        return [int(fold) for part in parts for fold in part]

    moved = sum(a != b for a, b in zip(by_position(before), by_position(after), strict=True))
    assert moved > 450
    assert by_key(before) == by_key(after) == by_key((0, 1_000))
    assert min(by_key(before).count(fold) for fold in range(5)) > 150
