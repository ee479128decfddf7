"""TargetEncode(leave_one_out=True): by hand, exact, and blind to targets that are not those of training rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.transforms.fitting import applied, gpu_gaps, learned, saved_and_loaded, transformed

from headrace.engines.translation import available
from headrace.schemas.names import SPLIT
from headrace.transforms.target import TargetEncode


def training(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.lit(0, pl.UInt8).alias(SPLIT))


def left_out(**fields: Any) -> TargetEncode:
    return TargetEncode(**{"columns": ["c"], "target": "y", "leave_one_out": True, **fields})


def test_by_hand() -> None:
    frame = training(pl.DataFrame({"c": ["a", "a", "a", "b", None, "a"], "y": [1.0, 0.0, 1.0, 0.5, 0.25, None]}))
    # All: five targets, 2.75. The others of each row: their mean is the prior, worth two rows.
    expected = [
        (1 + 2 * 1.75 / 4) / 4, (2 + 2 * 2.75 / 4) / 4, (1 + 2 * 1.75 / 4) / 4,
        2.25 / 4,  # nothing else of b
        2.5 / 4,  # null: the prior alone
        (2 + 2 * 2.75 / 5) / 5,  # has no target that could be left out
    ]  # fmt: skip
    got = transformed(left_out(smoothing=2), frame)
    assert got["c_target"].dtype == pl.Float32
    assert got["c_target"].to_list() == pytest.approx(expected)


def test_other_rows_get_the_full_statistic_and_their_target_is_not_looked_at() -> None:
    train = training(pl.DataFrame({"c": ["a", "a", "b"], "y": [1.0, 0.0, 1.0]}))
    fitted = learned(left_out(smoothing=0), train)
    expected = [0.5, 1.0, pytest.approx(2 / 3), pytest.approx(2 / 3)]
    asked = pl.DataFrame({"c": ["a", "b", "new", None]})
    assert applied(fitted, asked)["c_target"].to_list() == expected  # no target at all
    for split in (1, 2):
        for targets in ([1.0] * 4, [None] * 4, [float("nan"), float("inf"), 1e300, -5.0]):
            rows = asked.with_columns(pl.Series("y", targets, pl.Float64), pl.lit(split, pl.UInt8).alias(SPLIT))
            assert applied(fitted, rows)["c_target"].to_list() == expected


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([2**62, 3, -(2**62)], [(3 - 2**62) / 2, 0.0, (2**62 + 3) / 2]),
        ([2**53 + 1, 3], [3.0, float(2**53 + 1)]),
        ([1e18, 0.5], [0.5, 1e18]),
        ([1e18, 2.0**-40, 2.0**-30, -1e18], [-1e18 / 3, 2.0**-30 / 3, 2.0**-40 / 3, 1e18 / 3]),
        ([1.6e9 + 1, 1.6e9 + 3], [1.6e9 + 3, 1.6e9 + 1]),
        ([True, False, True], [0.5, 1.0, 0.5]),
    ],
)
def test_what_is_left_is_exact_however_large_the_own_target_is(targets: list[Any], expected: list[float]) -> None:
    frame = training(pl.DataFrame({"c": ["a"] * len(targets), "y": targets}))
    got = transformed(left_out(smoothing=0), frame)["c_target"].to_list()
    assert got == [float(np.float32(e)) for e in expected]


def test_unsigned_and_narrow_targets() -> None:
    for dtype in (pl.UInt64, pl.Int8, pl.UInt8, pl.Int16, pl.Float32):
        frame = training(pl.DataFrame({"c": ["a", "a", "a"], "y": pl.Series([1, 2, 100], dtype=dtype)}))
        assert transformed(left_out(smoothing=0), frame)["c_target"].to_list() == [51.0, 50.5, 1.5]
    frame = training(pl.DataFrame({"c": ["a", "a"], "y": pl.Series([2**64 - 1, 7], dtype=pl.UInt64)}))
    assert transformed(left_out(smoothing=0), frame)["c_target"].to_list() == [7.0, float(2**64)]


def test_targets_that_do_not_count() -> None:
    frame = training(pl.DataFrame({"c": ["a"] * 4, "y": [1.0, None, float("nan"), float("inf")]}))
    # The row whose target counts has nothing to be encoded from.
    assert transformed(left_out(smoothing=0), frame)["c_target"].to_list() == [None, 1.0, 1.0, 1.0]
    assert transformed(left_out(smoothing=0, prior=0.25), frame)["c_target"].to_list() == [0.25, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("smoothing", [0.0, 2.0, "auto"])
def test_one_row_and_no_row(smoothing: Any) -> None:
    one = training(pl.DataFrame({"c": ["a"], "y": [3.0]}))
    assert transformed(left_out(smoothing=smoothing), one)["c_target"].to_list() == [None]
    assert transformed(left_out(smoothing=smoothing, prior=0.5), one)["c_target"].to_list() == [0.5]
    assert transformed(left_out(smoothing=smoothing, prior=0.5), one, train=one.clear())["c_target"].to_list() == [0.5]


@pytest.mark.parametrize("smoothing", [0.0, 2.0, "auto"])
def test_a_constant_target_stays_that(smoothing: Any) -> None:
    frame = training(pl.DataFrame({"c": ["a", "a", "b", None], "y": [0.1] * 4}))
    assert transformed(left_out(smoothing=smoothing), frame)["c_target"].to_list() == pytest.approx([0.1] * 4)


def test_auto_where_one_row_makes_the_whole_spread() -> None:
    frame = training(pl.DataFrame({"c": ["a", "a", "b", "b"], "y": [5.0, 5.0, 5.0, 1e12]}))
    got = transformed(left_out(smoothing="auto"), frame)["c_target"].to_list()
    assert got[3] == 5.0  # all others are equal


def test_several_targets_and_classes_are_as_each_alone() -> None:
    random = np.random.default_rng(0)
    frame = training(
        pl.DataFrame(
            {
                "c": random.choice(["a", "b", "c"], 60),
                "y": random.normal(size=60),
                "n": [None if i % 9 == 0 else i for i in range(60)],
                "k": random.choice(["u", "v"], 60),
            }
        )
    )
    both = transformed(left_out(target=["y", "n"], output="{target}_of_{column}"), frame)
    for target in ("y", "n"):
        assert both[f"{target}_of_c"].to_list() == transformed(left_out(target=target), frame)["c_target"].to_list()
    classes = transformed(left_out(target="k", classes=["v", "u"], output="{class}"), frame)
    for label in ("u", "v"):
        alone = transformed(left_out(), frame.with_columns(y=pl.col("k") == label))
        assert classes[label].to_list() == alone["c_target"].to_list()


def test_saved_and_loaded() -> None:
    frame = training(pl.DataFrame({"c": ["a", "a", "b"], "k": [1, 2, 1], "y": [0.1, 0.7, 0.3]}))
    for step in (
        left_out(prior=1),
        left_out(smoothing="auto"),
        left_out(target="k", classes=[2, 1], prior=[0.5, 0.5], output="{class}"),
    ):
        assert TargetEncode.model_validate_json(step.model_dump_json()) == step
        (fitted,) = learned(step, frame)
        assert applied([saved_and_loaded(fitted)], frame).equals(applied([fitted], frame))


@pytest.mark.slow
@pytest.mark.skipif(not available(), reason="needs cudf-polars")
@pytest.mark.parametrize("smoothing", [1.0, "auto"])
def test_runs_on_the_gpu(smoothing: Any) -> None:
    frame = training(pl.DataFrame({"c": ["a", "a"], "f": [0.5, 1.0], "n": [1, 2], "b": [True, None], "k": ["u", "v"]}))
    numbers = left_out(target=["f", "n", "b"], smoothing=smoothing, output="{column}_{target}")
    assert gpu_gaps(numbers, frame) == ([], set())
    assert gpu_gaps(left_out(target="k", classes=["v"], smoothing=smoothing), frame) == ([], set())
