"""Categorify of NVTabular: every id as it was, or listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from tests.pipelines.nvtabular.saved import categories, declared, files, gives, imported, node, reasons

from headrace.pipelines.nvtabular.importing import Imported
from headrace.schemas.errors import DataError


def one(
    tmp_path: Path, values: pl.DataFrame, dtype: str = "int64", buckets: int = 1, name: str = "x", **params: Any
) -> Imported:
    path = categories(files(tmp_path, 0), name, values, buckets)
    state = {"categories": [{"key": [name], "path": path}], "storage_name": {}}
    return imported(tmp_path, node(0, "Categorify", {name: dtype}, params=params, state=state))


def test_a_joint_vocabulary_is_one_step_and_a_combined_one_has_a_file_of_its_own(tmp_path: Path) -> None:
    both = categories(files(tmp_path, 1), "a_b", pl.DataFrame({"a_b": [7, 5], "a_b_size": [3, 2]}))
    pairs = pl.DataFrame({"a": [5, 7], "b": [7, 7], "a_b_size": [2, 1]})
    combo = categories(files(tmp_path, 2), "a_b", pairs)
    ints, storage = {"a": "int64", "b": "int64"}, {"a": "a_b", "b": "a_b"}
    made = imported(
        tmp_path,
        node(0, "SelectionOp", ints),
        node(1, "Categorify", ints, parents=[0], params={"encode_type": "joint"},
             state={"categories": [{"key": ["a_b"], "path": both}], "storage_name": storage}),
        node(2, "Categorify", ints, {"a_b": "int64"}, parents=[0], params={"encode_type": "combo"},
             state={"categories": [{"key": ["a", "b"], "path": combo}], "storage_name": storage}),
        node(3, "ConcatColumns", {**ints, "a_b": "int64"}, parents=[1, 2]),
    )  # fmt: skip
    assert list(reasons(made)) == [("a_b",)]
    assert "not in all" in reasons(made)[("a_b",)]
    rows = [{"a": 5, "b": 7}, {"a": 7, "b": 7}, {"a": 7, "b": 5}, {"a": None, "b": 7}]
    assert gives(made, rows) == {"a": [4, 3, 3, 1], "b": [3, 3, 4, 3], "a_b": [3, 4, 2, 1]}
    steps = [step["Categorify"] for step in declared(made) if "Categorify" in step]
    assert [(step.get("joint"), step["previous"]) for step in steps] == [
        (True, "vocabularies/a_b.parquet"),
        (None, "vocabularies/a_b_2.parquet"),
    ]


def test_a_column_called_like_a_count(tmp_path: Path) -> None:
    made = one(tmp_path, pl.DataFrame({"family_size": [3, 1], "family_size_size": [9, 8]}), name="family_size")
    assert gives(made, [{"family_size": 1}, {"family_size": 3}]) == {"family_size": [4, 3]}
    assert pl.read_parquet(made.folder / "vocabularies/family_size.parquet")["count"].to_list() == [9, 8]


def test_numbers_that_a_null_made_fractions_are_whole_again(tmp_path: Path) -> None:
    made = one(tmp_path, pl.DataFrame({"x": [3.0, 8.0]}))
    assert gives(made, [{"x": 8}, {"x": None}, {"x": 4}]) == {"x": [4, 1, 2]}


def test_a_column_of_fractions_that_are_whole_is_cast(tmp_path: Path) -> None:
    made = one(tmp_path, pl.DataFrame({"x": [3, 8]}), "float64")
    assert gives(made, [{"x": 8.0}, {"x": None}, {"x": float("nan")}]) == {"x": [4, 1, 1]}
    assert "whole numbers" in reasons(made)[("x",)]
    assert declared(made)[0] == {"Cast": {"columns": ["x"], "dtype": "Int64", "invalid": "null"}}


def test_parts_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = files(tmp_path, 0)
    categories(folder, "x", pl.DataFrame({"x": range(12)}))
    (folder / "unique.x.parquet").unlink()
    (folder / "unique.x.parquet").mkdir()
    for number in range(12):
        pl.DataFrame({"x": [100 + number]}).write_parquet(folder / f"unique.x.parquet/part.{number}.parquet")
    state = {"categories": [{"key": ["x"], "path": "categories/unique.x.parquet"}], "storage_name": {}}
    made = imported(tmp_path, node(0, "Categorify", {"x": "int64"}, state=state))
    assert gives(made, [{"x": 100}, {"x": 102}, {"x": 111}]) == {"x": [3, 5, 14]}


def test_limits_of_new_values_are_declared(tmp_path: Path) -> None:
    values = pl.DataFrame({"x": ["a", "b"]})
    made = one(tmp_path / "count", values, "str", freq_threshold={"x": 4})
    assert declared(made)[0]["Categorify"]["min_count"] == 4
    made = one(tmp_path / "size", values, "str", buckets=2, max_size=10, num_buckets={"x": 2})
    assert declared(made)[0]["Categorify"]["max_size"] == 6


@pytest.mark.parametrize(
    ("values", "dtype", "params", "why"),
    [
        (pl.DataFrame({"x": ["a", None, "b"]}), "str", {}, "1 values are null"),
        (pl.DataFrame({"x": [0.5, 2.0]}), "float64", {}, "categories of Float64"),
        (pl.DataFrame({"x": ["a"]}), "str", {"single_table": True}, "single_table"),
        (pl.DataFrame({"x": ["a"]}), "str", {"num_buckets": 3}, "num_buckets is 3, and its file has 1"),
        (pl.DataFrame({"x": ["a"]}), "str", {"search_sorted": True}, "id of a neighbour"),
        (pl.DataFrame({"x": [1]}).cast(pl.Datetime), "datetime64[us]", {}, "a date"),
    ],
)
def test_what_has_other_ids_is_listed(
    values: pl.DataFrame, dtype: str, params: dict[str, Any], why: str, tmp_path: Path
) -> None:
    made = one(tmp_path, values, dtype, **params)
    assert why in reasons(made)[("x",)]
    assert made.outputs == (("x",) if "search_sorted" in params else ())


def test_an_index_that_begins_elsewhere_is_listed(tmp_path: Path) -> None:
    categories(files(tmp_path, 0), "x", pl.DataFrame({"x": ["a", "b"]}))
    frame = pd.DataFrame({"x": ["a", "b"]}, index=pd.RangeIndex(7, 9))
    frame.to_parquet(files(tmp_path, 0) / "unique.x.parquet")
    state = {"categories": [{"key": ["x"], "path": "categories/unique.x.parquet"}], "storage_name": {}}
    made = imported(tmp_path, node(0, "Categorify", {"x": "str"}, state=state))
    assert "has the id 7, with headrace 3" in reasons(made)[("x",)]


def test_combinations_with_a_null_in_them_are_listed(tmp_path: Path) -> None:
    path = categories(files(tmp_path, 0), "a_b", pl.DataFrame({"a": [1, None], "b": [1, 2], "a_b_size": [2, 1]}))
    state = {"categories": [{"key": ["a_b"], "path": path}], "storage_name": {}}
    inputs = {"a": "int64", "b": "int64"}
    made = imported(
        tmp_path, node(0, "Categorify", inputs, {"a_b": "int64"}, params={"encode_type": "combo"}, state=state)
    )
    assert "1 combinations have a null" in reasons(made)[("a_b",)]


def test_an_empty_vocabulary_has_a_null_that_is_no_value(tmp_path: Path) -> None:
    made = one(tmp_path, pl.DataFrame({"x": [None]}, schema={"x": pl.String}), "str")
    assert gives(made, [{"x": "a"}, {"x": None}]) == {"x": [2, 1]}


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = categories(files(tmp_path, 0), "x", pl.DataFrame({"x": ["a"]}))
    (files(tmp_path, 0) / "unique.x.parquet").write_bytes(b"PAR1")
    state = {"categories": [{"key": ["x"], "path": path}], "storage_name": {}}
    with pytest.raises(DataError, match="cannot be read") as refused:
        imported(tmp_path, node(0, "Categorify", {"x": "str"}, state=state))
    assert refused.value.where.endswith("unique.x.parquet")
    with pytest.raises(DataError, match="expected a key and a path"):
        imported(tmp_path, node(0, "Categorify", {"x": "str"}, state={"categories": [{"path": 1}]}))
    with pytest.raises(DataError, match="twice"):
        one(tmp_path, pl.DataFrame({"x": ["a", "a"]}), "str")


def test_a_missing_meta_file_and_other_offsets_are_listed(tmp_path: Path) -> None:
    path = categories(files(tmp_path, 0), "x", pl.DataFrame({"x": ["a"]}), offset=[0, 0, 1, 2])
    state = {"categories": [{"key": ["x"], "path": path}], "storage_name": {}}
    made = imported(tmp_path, node(0, "Categorify", {"x": "str"}, state=state))
    assert "'unique': 2" in reasons(made)[("x",)]
