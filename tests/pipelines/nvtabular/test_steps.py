"""Operators of NVTabular over one row, and what of them is listed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from tests.pipelines.nvtabular.saved import declared, gives, imported, node, reasons

from headrace.pipelines.nvtabular.importing import Imported
from headrace.schemas.errors import DataError


def one(tmp_path: Path, operator: str, dtype: str = "float64", **more: Any) -> Imported:
    return imported(tmp_path, node(0, operator, {"x": dtype}, **more))


def test_a_constant_column_is_listed(tmp_path: Path) -> None:
    made = one(tmp_path / "scale", "Normalize", state={"means": {"x": 5.0}, "stds": {"x": 0.0}})
    assert "only takes the mean off" in reasons(made)[("x",)]
    assert gives(made, [{"x": 7.0}]) == {"x": [0.0]}
    made = one(tmp_path / "range", "NormalizeMinMax", state={"mins": {"x": 3.0}, "maxs": {"x": 3.0}})
    assert "0.5" in reasons(made)[("x",)]
    assert gives(made, [{"x": 3.0}]) == {"x": [0.0]}


def test_a_column_without_values_is_listed(tmp_path: Path) -> None:
    nan = math.nan
    made = one(tmp_path / "scale", "Normalize", state={"means": {"x": nan}, "stds": {"x": nan}})
    assert "gives NaN, headrace 0" in reasons(made)[("x",)]
    assert gives(made, [{"x": 7.0}]) == {"x": [0.0]}
    made = one(tmp_path / "range", "NormalizeMinMax", state={"mins": {"x": nan}, "maxs": {"x": nan}})
    assert gives(made, [{"x": 7.0}]) == {"x": [0.0]}
    made = one(tmp_path / "fill", "FillMedian", state={"medians": {"x": nan}})
    assert "headrace fills 0" in reasons(made)[("x",)]
    assert gives(made, [{"x": None}]) == {"x": [0.0]}


def test_other_precision_is_listed(tmp_path: Path) -> None:
    state = {"means": {"x": 1.0}, "stds": {"x": 2.0}}
    made = one(tmp_path, "Normalize", state=state, params={"out_dtype": {"name": "float64"}})
    assert "out_dtype is float64" in reasons(made)[("x",)]


def test_text_is_filled_with_text(tmp_path: Path) -> None:
    made = one(tmp_path, "FillMissing", "str", params={"fill_val": 0})
    assert gives(made, [{"x": None}, {"x": "a"}]) == {"x": ["0", "a"]}


def test_masks_have_the_names_of_the_workflow(tmp_path: Path) -> None:
    made = one(tmp_path, "FillMedian", outputs={"x": "float64", "x_filled": "bool"},
               params={"add_binary_cols": True}, state={"medians": {"x": 2.5}})  # fmt: skip
    assert gives(made, [{"x": None}, {"x": 1.0}]) == {"x": [2.5, 1.0], "x_filled": [1, 0]}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 2, [1, 2]),
        (-2, 2**63 - 1, [3, 4]),
        (2, 2**63 - 1, [3, 4]),
        (0, 2**63 - 1, [1, 2, 3, 4]),
        (3, None, [1, 2, 3]),
    ],
)
def test_lists_are_cut_as_pythons_are(start: int, end: int | None, expected: list[int], tmp_path: Path) -> None:
    made = one(tmp_path, "ListSlice", "list[int64]", params={"start": start, "end": end, "pad": False})
    assert gives(made, [{"x": [1, 2, 3, 4]}]) == {"x": [expected]}


@pytest.mark.parametrize(
    ("operator", "dtype", "params", "why"),
    [
        ("Bucketize", "float64", {"boundaries": [10, 0]}, "expected rising boundaries"),
        ("FillMissing", "int64", {"fill_val": 0.5}, "cannot fill"),
        ("Clip", "int64", {"min_value": 0.5}, "does not fit"),
        ("HashBucket", "float64", {"num_buckets": 10}, "takes"),
        ("ListSlice", "list[int64]", {"start": -3, "end": 2}, "headrace has no such step"),
        ("LambdaOp", "int64", {"f": {"module": "shop", "qualname": "double"}}, "the function shop.double is code"),
        ("LambdaOp", "int64", {"f": "<lambda>"}, "a function is code"),
        ("Groupby", "int64", {}, "Groupby is not known to this import"),
    ],
)
def test_what_has_no_step_is_listed(
    operator: str, dtype: str, params: dict[str, Any], why: str, tmp_path: Path
) -> None:
    made = one(tmp_path, operator, dtype, params=params)
    assert any(why in left.why for left in made.left), made.left
    assert made.outputs == ()
    assert declared(made) in ([], [{"Drop": {"columns": ["x"]}}])


def test_what_differs_is_listed_with_the_step(tmp_path: Path) -> None:
    made = one(tmp_path / "hash", "HashBucket", "str", params={"num_buckets": {"x": 10}})
    assert "other ids" in reasons(made)[("x",)]
    assert declared(made) == [{"HashBucket": {"columns": ["x"], "n": 10}}]
    made = one(tmp_path / "drop", "Dropna")
    assert "always gets an answer" in reasons(made)[("x",)]
    assert declared(made) == [{"DropNull": {"columns": ["x"]}}]


def test_a_filter_by_a_function_leaves_the_rows(tmp_path: Path) -> None:
    made = one(tmp_path, "Filter", params={"f": {"module": "shop.rows", "qualname": "good"}})
    assert "shop.rows.good is code, which is not imported: no row is left out" in reasons(made)[("x",)]
    assert gives(made, [{"x": 1.0}]) == {"x": [1.0]}


@pytest.mark.parametrize(
    ("operator", "more", "message"),
    [
        ("Normalize", {"state": {"means": {"x": 1.0}}}, "op_state.stds has None for column 'x'"),
        ("FillMedian", {"state": {"medians": {"x": "3"}}}, "op_state.medians has '3'"),
        ("HashBucket", {"params": {}}, "its parameters cannot be read"),
        ("Bucketize", {"params": {"boundaries": {"y": [1]}}}, "KeyError: 'x'"),
    ],
)
def test_damaged_nodes_are_named(operator: str, more: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as refused:
        one(tmp_path, operator, "int64", **more)
    assert refused.value.where == f"node 0 {operator}"


def test_what_follows_something_lost_is_lost_and_listed(tmp_path: Path) -> None:
    made = imported(
        tmp_path,
        node(0, "SelectionOp", {"x": "int64", "y": "int64"}),
        node(1, "LambdaOp", {"x": "int64"}, parents=[0], params={"f": {"module": "shop", "qualname": "double"}}),
        node(2, "LogOp", {"x": "int64", "y": "int64"}, {"x": "float32", "y": "float32"}, parents=[1, 0]),
    )
    assert [(left.node, left.operator) for left in made.left] == [("1", "LambdaOp"), ("2", "LogOp")]
    assert gives(made, [{"y": 0}]) == {"y": [0.0]}
