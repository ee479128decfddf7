"""MultiHot against literals and scikit-learn."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from sklearn.preprocessing import MultiLabelBinarizer
from tests.transforms.fitting import gpu_gaps, learned, saved_and_loaded, transformed

from headrace.engines.cpu import CpuEngine
from headrace.engines.translation import available
from headrace.schemas.errors import DataError, PipelineError
from headrace.transforms.multihot import MultiHot

FRAME = pl.DataFrame({"x": [["b", "a", "b"], ["a", None], [], None, ["c"], [None]]})


def flags(step: MultiHot, frame: pl.DataFrame, train: pl.DataFrame | None = None) -> dict[str, list[int]]:
    got = transformed(step, frame, train)
    assert got.select(frame.columns).equals(frame)
    made = got.drop(frame.columns)
    assert set(made.dtypes) == {pl.UInt8()}
    return made.to_dict(as_series=False)


def test_given_values_name_their_columns_in_their_order() -> None:
    step = MultiHot(columns=["x"], values=["c", "a"])
    assert step.measured == ()
    assert flags(step, FRAME) == {"x_c": [0, 0, 0, 0, 1, 0], "x_a": [1, 1, 0, 0, 0, 0]}
    assert list(flags(step, FRAME)) == ["x_c", "x_a"]


def test_learned_values_by_count_then_value_in_a_known_number_of_columns() -> None:
    got = flags(MultiHot(columns=["x"], max_values=4), FRAME)
    assert got == {
        "x_top1": [1, 1, 0, 0, 0, 0],  # a, twice as b is, in one list or in two
        "x_top2": [1, 0, 0, 0, 0, 0],  # b
        "x_top3": [0, 0, 0, 0, 1, 0],  # c
        "x_top4": [0, 0, 0, 0, 0, 0],
    }
    (fitted,) = learned(MultiHot(columns=["x"], max_values=4), FRAME)
    assert fitted.values == ("a", "b", "c")  # type: ignore[attr-defined]


def test_rare_values_have_no_column_and_are_others() -> None:
    step = MultiHot(columns=["x"], max_values=2, min_count=2, others="own")
    assert flags(step, FRAME) == {
        "x_top1": [1, 1, 0, 0, 0, 0],
        "x_top2": [1, 0, 0, 0, 0, 0],
        "x_other": [0, 0, 0, 0, 1, 0],
    }


def test_a_null_list_is_like_an_empty_one_unless_null_has_a_column_of_its_own() -> None:
    step = MultiHot(columns="x", values=["b"], nulls="own", others="own", output="{value}/{column}")
    got = flags(step, FRAME)
    assert got == {"b/x": [1, 0, 0, 0, 0, 0], "null/x": [0, 0, 0, 1, 0, 0], "other/x": [1, 1, 0, 0, 1, 0]}
    assert list(got) == ["b/x", "null/x", "other/x"]


def test_values_that_training_rows_do_not_have_are_others() -> None:
    new = pl.DataFrame({"x": [["new", "a"], ["a"], None]})
    step = MultiHot(columns="x", max_values=3, others="own")
    assert flags(step, new, train=FRAME) == {
        "x_top1": [1, 1, 0], "x_top2": [0, 0, 0], "x_top3": [0, 0, 0], "x_other": [1, 0, 0]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "dtype", "given", "names", "first"),
    [
        ([[7, -1], None, [-1]], pl.Int8, [-1, 7], ["x_-1", "x_7"], [1, 0, 1]),
        ([[2**53 + 1], [2**53], [None]], pl.Int64, [2**53, 2**53 + 1], [f"x_{2**53}", f"x_{2**53 + 1}"], [0, 1, 0]),
        ([[2**64 - 1], [0], []], pl.UInt64, [2**64 - 1], [f"x_{2**64 - 1}"], [1, 0, 0]),
        ([[True], [None], [False, True]], pl.Boolean, [False, True], ["x_false", "x_true"], [0, 0, 1]),
        ([[date(2020, 1, 31)], None], pl.Date, [date(2020, 1, 31)], ["x_2020-01-31"], [1, 0]),
        ([["", "a"], ["é"]], pl.String, ["", "é"], ["x_", "x_é"], [1, 0]),
    ],
)
def test_values_of_every_type(values: Any, dtype: Any, given: Any, names: list[str], first: list[int]) -> None:
    got = flags(MultiHot(columns="x", values=given), pl.DataFrame({"x": values}, schema={"x": pl.List(dtype)}))
    assert list(got) == names
    assert got[names[0]] == first


def test_it_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    lists = [sorted(random.choice(list("abcdefg"), size=n, replace=False)) for n in random.integers(0, 6, 200)]
    binarizer = MultiLabelBinarizer(classes=list("abcdefg"))
    got = transformed(MultiHot(columns="x", values=list("abcdefg")), pl.DataFrame({"x": lists})).drop("x")
    assert np.array_equal(got.to_numpy(), binarizer.fit_transform(lists))


@pytest.mark.parametrize("cuts", [(1,), (2, 4), (0, 1, 5)])
def test_the_values_do_not_depend_on_the_partitions(cuts: tuple[int, ...]) -> None:
    step = MultiHot(columns=["x"], max_values=4)
    assert learned(step, FRAME, cuts) == learned(step, FRAME)


@pytest.mark.parametrize("rows", [[], [None, None], [[], []], [[None]]], ids=str)
def test_nothing_to_learn_from(rows: list[Any]) -> None:
    frame = pl.DataFrame({"x": rows}, schema={"x": pl.List(pl.Int64)})
    got = flags(MultiHot(columns="x", max_values=1, nulls="own", others="own"), frame)
    assert got == {
        "x_top1": [0] * len(rows),
        "x_null": [int(row is None) for row in rows],
        "x_other": [0] * len(rows),
    }


def test_each_of_several_columns_learns_its_own() -> None:
    frame = pl.DataFrame({"x": [["a"], ["b", "a"]], "y": [[1, 2], [2]]})
    assert flags(MultiHot(columns=["x", "y"], max_values=2), frame) == {
        "x_top1": [1, 1], "x_top2": [0, 1], "y_top1": [1, 1], "y_top2": [1, 0]
    }  # fmt: skip
    with pytest.raises(PipelineError, match="MultiHot of 2 columns"):
        MultiHot(columns=["x", "y"], max_values=2).measure(frame.lazy(), CpuEngine())


def test_too_many_values_are_an_error_with_the_way_out() -> None:
    with pytest.raises(DataError, match=r"MultiHot: column 'x' has 3 values .* at most max_values=2") as caught:
        learned(MultiHot(columns="x", max_values=2), FRAME)
    assert "DropRare" in caught.value.hint


@pytest.mark.parametrize(
    ("fields", "dtype", "message"),
    [
        ({"values": ["a"]}, pl.String, "MultiHot takes a list of strings, integers, booleans or dates, got String"),
        ({"values": [1]}, pl.List(pl.Float64), r"got List\(Float64\) in column 'x'"),
        ({"values": [1]}, pl.List(pl.List(pl.Int8)), r"got List\(List\(Int8\)\) in column 'x'"),
        ({"values": [300]}, pl.List(pl.Int8), r"MultiHot: column 'x' \(Int8\) never holds 300"),
        ({"values": ["2020-01-01", "2020-01-01T00:00:00"]}, pl.List(pl.Date), "2020-01-01"),
        ({"values": ["a"], "output": "y{value}"}, pl.List(pl.String), "would write 'ya', which the rows already have"),
    ],
)
def test_columns_and_values_that_do_not_fit(fields: dict[str, Any], dtype: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        MultiHot(columns="x", **fields).resolve(pl.Schema({"x": dtype, "ya": pl.Int8}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "needs either `values` or `max_values`"),
        ({"values": ["a"], "max_values": 1}, "needs either `values` or `max_values`"),
        ({"values": ["a", "a"]}, "values named twice: a"),
        ({"values": ["a"], "min_count": 2}, "given `values` exclude min_count"),
        ({"max_values": 2, "output": "{column}"}, "write '{value}' in output"),
        ({"max_values": 1001}, "less than or equal to 1000"),
    ],
)
def test_fields_that_do_not_go_together(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MultiHot(columns="x", **fields)


def test_it_is_saved_as_json() -> None:
    (step,) = learned(MultiHot(columns="x", max_values=4, others="own"), FRAME)
    assert saved_and_loaded(step) == step


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
def test_the_gpu_engine_runs_it() -> None:
    assert gpu_gaps(MultiHot(columns="x", values=["a"]), FRAME) == ([], {"lists"})
    assert gpu_gaps(MultiHot(columns="x", max_values=4, others="own"), FRAME) == ([], {"lists", "elements"})
