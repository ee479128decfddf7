"""TargetEncoding and JoinGroupby of NVTabular: what was learned serves, how it is learned anew is declared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.pipelines.nvtabular.saved import declared, files, gives, imported, node, reasons

from headrace.pipelines.nvtabular.importing import Imported
from headrace.schemas.errors import DataError


def encoded(tmp_path: Path, table: pl.DataFrame, **params: Any) -> Imported:
    files(tmp_path, 1).mkdir(parents=True)
    table.write_parquet(files(tmp_path, 1) / "cat_stats.s.parquet")
    path = "categories/cat_stats.s.parquet"
    stats = [{"key": ["s"], "path": path}, {"key": ["__fold___s"], "path": path}]
    return imported(
        tmp_path,
        node(0, "SelectionOp", {"s": "str", "y": "int64"}),
        node(1, "TargetEncoding", {"s": "str", "y": "int64"}, {"TE_s_y": "float32"}, parents=[0],
             params={"target_cols": ["y"], "p_smooth": 4, **params}, state={"stats": stats, "means": {"y": 0.5}}),
        node(2, "ConcatColumns", {"TE_s_y": "float32", "y": "int64"}, parents=[1, 0], tags={"y": ["Tags.TARGET"]}),
    )  # fmt: skip


STATS = pl.DataFrame({"s": ["a", "b"], "s_count": [4, 6], "s_y_sum": [4, 0]})


def test_new_rows_get_the_encoding_of_all_rows(tmp_path: Path) -> None:
    made = encoded(tmp_path, STATS, kfold=3)
    # (4 + 4 * 0.5) / (4 + 4) and (0 + 4 * 0.5) / (6 + 4); an unknown value has the mean
    expected = {"TE_s_y": [0.75, pytest.approx(0.2), 0.5, 0.5]}
    assert gives(made, [{"s": "a"}, {"s": "b"}, {"s": "c"}, {"s": None}]) == expected
    assert "position of rows" in reasons(made)[("TE_s_y",)]
    (step,) = (step["TargetEncode"] for step in declared(made) if "TargetEncode" in step)
    assert step == {
        "columns": ["s"],
        "target": "y",
        "folds": 3,
        "fold_on": "<what names a row, such as its key>",
        "smoothing": 4.0,
        "output": "TE_s_y",
    }


def test_without_folds_nothing_differs(tmp_path: Path) -> None:
    assert encoded(tmp_path, STATS, kfold=1).left == ()


def test_a_group_of_nulls_is_listed(tmp_path: Path) -> None:
    made = encoded(tmp_path, STATS.with_columns(s=pl.Series([None, "b"])), kfold=1)
    assert "a group of nulls" in reasons(made)[("TE_s_y",)]
    assert gives(made, [{"s": None}]) == {"TE_s_y": [0.5]}


def test_statistics_of_another_form_are_damaged(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected keys, count and sums") as refused:
        encoded(tmp_path, STATS.drop("s_y_sum"))
    assert refused.value.where == "node 1 TargetEncoding"


def test_statistics_of_groups(tmp_path: Path) -> None:
    files(tmp_path, 1).mkdir(parents=True)
    table = pl.DataFrame(
        {"s": ["a", "b", None], "k": [1, 1, 2], "s_k_count": [2, 3, 1], "s_k_x_mean": [1.5, 2.5, 0.0],
         "s_k_x_var": [4.0, 9.0, None]}
    )  # fmt: skip
    table.write_parquet(files(tmp_path, 1) / "cat_stats.s_k.parquet")
    state = {"categories": [{"key": ["s_k"], "path": "categories/cat_stats.s_k.parquet"}], "storage_name": {}}
    inputs = {"s": "str", "k": "int64", "x": "float64"}
    outputs = {"s_k_count": "int32", "s_k_x_mean": "float32", "s_k_x_var": "float32"}
    made = imported(
        tmp_path,
        node(0, "SelectionOp", inputs),
        node(1, "JoinGroupby", inputs, outputs, parents=[0],
             params={"cont_cols": ["x"], "stats": ["count", "mean", "var"]}, state=state),
        node(2, "Normalize", {"x": "float64"}, {"x": "float32"}, parents=[0],
             state={"means": {"x": 1.0}, "stds": {"x": 2.0}}),
        node(3, "ConcatColumns", {**outputs, "x": "float32"}, parents=[1, 2]),
    )  # fmt: skip
    rows: list[dict[str, Any]] = [{"s": "b", "k": 1, "x": 5.0}, {"s": "b", "k": 2, "x": 1.0}]
    assert gives(made, rows) == {
        "s_k_count": [3, 0],
        "s_k_x_mean": [2.5, None],
        "s_k_x_var": [9.0, None],
        "x": [2.0, 0.0],
    }
    assert "nothing learns it anew" in reasons(made)[("s_k_x_var",)]
    assert {left.why for left in made.left} >= {"a new fit learns from the training rows alone"}
    steps = [step["GroupStats"] for step in declared(made) if "GroupStats" in step]
    assert steps == [
        {"by": ["s", "k"], "statistics": ["count"], "output": "s_k_{statistic}"},
        {"by": ["s", "k"], "of": ["x"], "statistics": ["mean"], "output": "s_k_x_{statistic}"},
    ]
