"""Whole workflows: what they gave, the imported pipeline gives, and what cannot be is listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from tests.pipelines.nvtabular.saved import categories, gives, imported, node, reasons, workflow

from headrace.catalog.reader import open_dataset
from headrace.catalog.vocabulary import read_vocabulary
from headrace.pipelines.build import build
from headrace.pipelines.load import load_pipeline
from headrace.pipelines.nvtabular.importing import import_workflow
from headrace.pipelines.options import RunOptions
from headrace.schemas.errors import ConflictError, DataError, UsageError
from headrace.schemas.infer import infer_contract
from headrace.schemas.odcs import dump_contract

CITIES = pl.DataFrame({"city": ["rome", "oslo", "bern"], "city_size": [9, 5, 1]})


def test_ids_are_those_of_the_files(tmp_path: Path) -> None:
    path = categories(tmp_path / "saved/artifacts/node_1/categories", "city", CITIES)
    state = {"categories": [{"key": ["city"], "path": path}], "storage_name": {}}
    made = imported(
        tmp_path,
        node(0, "SelectionOp", {"city": "str"}),
        node(
            1,
            "Categorify",
            {"city": "str"},
            {"city": "int64"},
            parents=[0],
            params={"encode_type": "joint"},
            state=state,
        ),
    )
    assert made.left == ()
    rows = [{"city": c} for c in ("oslo", "bern", "rome", "paris", None)]
    assert gives(made, rows) == {"city": [4, 5, 3, 2, 1]}
    assert pl.read_parquet(made.folder / "vocabularies/city.parquet").to_dict(as_series=False) == {
        "value": ["rome", "oslo", "bern"],
        "count": [9, 5, 1],
    }


def test_numbers_are_filled_scaled_and_bucketed(tmp_path: Path) -> None:
    made = imported(
        tmp_path,
        node(0, "SelectionOp", {"x": "float64", "y": "int64", "z": "float32"}),
        node(1, "FillMissing", {"x": "float64"}, {"x": "float64", "x_filled": "bool"}, parents=[0],
             params={"fill_val": 1.0, "add_binary_cols": True}),
        node(2, "LogOp", {"x": "float64"}, {"x": "float32"}, parents=[1]),
        node(3, "FillMedian", {"y": "int64"}, parents=[0], state={"medians": {"y": 4.0}}),
        node(4, "Normalize", {"y": "int64"}, {"y": "float32"}, parents=[3],
             state={"means": {"y": 2.0}, "stds": {"y": 4.0}}),
        node(5, "Clip", {"z": "float32"}, parents=[0], params={"min_value": 0, "max_value": 10}),
        node(6, "NormalizeMinMax", {"z": "float32"}, parents=[5], state={"mins": {"z": 0.0}, "maxs": {"z": 10.0}}),
        node(7, "ConcatColumns", {"x": "float32", "y": "float32", "z": "float32"}, parents=[2, 4, 6]),
    )  # fmt: skip
    assert made.left == ()
    rows = [{"x": None, "y": None, "z": 20.0}, {"x": 0.0, "y": 10, "z": 5.0}]
    assert gives(made, rows) == {"x": [pytest.approx(0.6931472), 0.0], "y": [0.5, 2.0], "z": [1.0, 0.5]}


def test_a_column_that_goes_two_ways_is_copied_and_names_are_those_of_the_workflow(tmp_path: Path) -> None:
    made = imported(
        tmp_path,
        node(0, "SelectionOp", {"x": "int64"}),
        node(1, "LogOp", {"x": "int64"}, {"x": "float32"}, parents=[0]),
        node(2, "Rename", {"x": "float32"}, {"x_log": "float32"}, parents=[1], params={"postfix": "_log"}),
        node(3, "Bucketize", {"x": "int64"}, {"x": "int64"}, parents=[0], params={"boundaries": {"x": [0, 10]}}),
        node(4, "ConcatColumns", {"x_log": "float32", "x": "int64"}, parents=[2, 3]),
    )
    assert "null and NaN stay null" in reasons(made)[("x",)]
    assert gives(made, [{"x": 0}, {"x": 10}, {"x": 3}]) == {
        "x_log": [0.0, pytest.approx(2.3978953), pytest.approx(1.3862944)],
        "x": [1, 2, 1],
    }


def test_lists_are_encoded_cut_and_padded(tmp_path: Path) -> None:
    path = categories(tmp_path / "saved/artifacts/node_1/categories", "tags", pl.DataFrame({"tags": [8, 9]}))
    made = imported(
        tmp_path,
        node(0, "SelectionOp", {"tags": "list[int64]"}),
        node(1, "Categorify", {"tags": "list[int64]"}, parents=[0],
             state={"categories": [{"key": ["tags"], "path": path}], "storage_name": {}}),
        node(2, "ListSlice", {"tags": "list[int64]"}, parents=[1],
             params={"start": 0, "end": 3, "pad": True, "pad_value": 0}),
    )  # fmt: skip
    assert made.left == ()
    assert gives(made, [{"tags": [9, 8, 7, 9]}, {"tags": [8]}]) == {"tags": [[4, 3, 2], [3, 0, 0]]}


def test_unknown_values_of_several_buckets_are_listed_known_ones_are_the_same(tmp_path: Path) -> None:
    path = categories(tmp_path / "saved/artifacts/node_0/categories", "city", CITIES, buckets=4)
    state = {"categories": [{"key": ["city"], "path": path}], "storage_name": {}}
    made = imported(tmp_path, node(0, "Categorify", {"city": "str"}, params={"num_buckets": 4}, state=state))
    assert "4 ids by a hash" in reasons(made)[("city",)]
    assert gives(made, [{"city": "rome"}, {"city": "bern"}]) == {"city": [6, 8]}


@pytest.mark.slow
def test_a_new_fit_keeps_the_ids(tmp_path: Path) -> None:
    path = categories(tmp_path / "saved/artifacts/node_0/categories", "city", CITIES)
    state = {"categories": [{"key": ["city"], "path": path}], "storage_name": {}}
    target = node(1, "AddMetadata", {"city": "int64", "y": "int64"}, parents=[0], tags={"y": ["Tags.TARGET"]})
    made = imported(tmp_path, node(0, "Categorify", {"city": "str"}, state=state), target)
    text = (made.folder / "pipeline.yaml").read_text()
    plain = yaml.safe_load(text)
    assert plain["target"] == "y"
    assert plain["steps"] == [{"Categorify": {"columns": ["city"], "previous": "vocabularies/city.parquet"}}]
    assert "<data/*.parquet>" in text
    rows = pl.DataFrame({"city": ["new", "new", "oslo", "rome"] * 10, "y": [0, 1, 0, 1] * 10})
    rows.write_parquet(made.folder / "rows.parquet")
    (made.folder / "contract.odcs.yaml").write_text(dump_contract(infer_contract([str(made.folder / "rows.parquet")])))
    pipeline = load_pipeline(str(made.folder / "pipeline.yaml"), {"source.path": "rows.parquet"})
    build(pipeline, RunOptions(catalog=str(tmp_path / "catalog"), engine="cpu"))
    fitted = read_vocabulary(open_dataset(tmp_path / "catalog" / "saved"), "city").decoded
    assert dict(fitted.select("value", "id").iter_rows()) == {"rome": 3, "oslo": 4, "bern": 5, "new": 6}


def old(tmp_path: Path) -> Path:
    """A workflow of 23.08: its graph is a pickle."""
    folder = tmp_path / "saved"
    categories(folder / "categories", "city", CITIES)
    categories(folder / "categories", "a_b", pl.DataFrame({"a": [1], "b": [2], "a_b_size": [3]}))
    (folder / "metadata.json").write_text(json.dumps({"versions": {"nvtabular": "23.8.0"}}))
    (folder / "categories/cat_stats.a.parquet").write_bytes(b"")
    (folder / "workflow.pkl").write_bytes(b"not a pickle: nobody may read this")
    return folder


def test_of_a_pickled_workflow_the_vocabularies_are_carried_over(tmp_path: Path) -> None:
    made = import_workflow(old(tmp_path), tmp_path / "out")
    assert made.version == "23.8.0"
    rows = [{"city": "oslo", "a": 1, "b": 2}, {"city": None, "a": 2, "b": 2}]
    assert gives(made, rows) == {"a_b": [3, 2], "city": [4, 1]}
    assert "is not read" in reasons(made)[()]
    assert made.left[1].columns == ("cat_stats.a.parquet",)


def test_ids_of_older_versions_are_listed(tmp_path: Path) -> None:
    folder = old(tmp_path)
    (folder / "categories/meta.city.parquet").unlink()
    made = import_workflow(folder, tmp_path / "out")
    assert "before 23.06" in reasons(made)[("city",)]
    assert made.outputs == ("a_b",)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"format_version": 2}, DataError, "is of format 2, and headrace knows format 1"),
        ({"output_node_id": "last"}, DataError, "output_node_id: Input should be a valid integer"),
        ({"output_node_id": 9}, DataError, "the last node is 9, and there is none"),
    ],
)
def test_other_graphs_are_refused(change: dict[str, Any], error: type[Exception], message: str, tmp_path: Path) -> None:
    folder = workflow(tmp_path / "saved", [node(0, "SelectionOp", {"x": "int64"})], **change)
    with pytest.raises(error, match=message):
        import_workflow(folder, tmp_path / "out")


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no workflow of NVTabular"):
        import_workflow(tmp_path, tmp_path / "out")
    folder = workflow(tmp_path / "saved", [node(0, "SelectionOp", {"x": "int64"})])
    (folder / "graph.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read") as refused:
        import_workflow(folder, tmp_path / "out")
    assert refused.value.where.endswith("graph.json")


@pytest.mark.parametrize(
    ("path", "message"), [("../../../etc/x", "outside the workflow"), ("none.parquet", "there is no such file")]
)
def test_paths_stay_in_the_folder(path: str, message: str, tmp_path: Path) -> None:
    state = {"categories": [{"key": ["city"], "path": path}], "storage_name": {}}
    with pytest.raises(DataError, match=message):
        imported(tmp_path, node(0, "Categorify", {"city": "str"}, state=state))


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("")
    with pytest.raises(ConflictError, match="is not empty"):
        imported(tmp_path, node(0, "SelectionOp", {"x": "int64"}))


def test_a_subgraph_is_taken_apart(tmp_path: Path) -> None:
    inner = [
        node(0, "SelectionOp", {"city": "str"}),
        node(1, "Categorify", {"city": "str"}, parents=[0],
             state={"categories": [{"key": ["city"], "path": "categories/unique.city.parquet"}], "storage_name": {}}),
    ]  # fmt: skip
    categories(tmp_path / "saved/artifacts/node_1/artifacts/node_1/categories", "city", CITIES)
    graph = {"output_node_id": 1, "nodes": inner}
    made = imported(
        tmp_path,
        node(0, "SelectionOp", {"city": "str"}),
        node(
            1, "Subgraph", {"city": "str"}, {"city": "int64"}, parents=[0], params={"name": "g", "inner_graph": graph}
        ),
    )
    assert made.left == ()
    assert gives(made, [{"city": "oslo"}]) == {"city": [4]}


def test_one_value_under_two_names(tmp_path: Path) -> None:
    made = imported(
        tmp_path,
        node(0, "SelectionOp", {"x": "int64"}),
        node(1, "Rename", {"x": "int64"}, {"x_raw": "int64"}, parents=[0], params={"postfix": "_raw"}),
        node(2, "ConcatColumns", {"x": "int64", "x_raw": "int64"}, parents=[0, 1]),
    )
    assert gives(made, [{"x": 3}]) == {"x": [3], "x_raw": [3]}


def test_a_tag_names_the_target_and_the_task(tmp_path: Path) -> None:
    columns = {"x": "int64", "y": "float64", "z": "float64"}
    tags = {"y": ["Tags.REGRESSION", "Tags.TARGET"], "z": ["Tags.TARGET"]}
    made = imported(tmp_path, node(0, "AddMetadata", columns, tags=tags))
    plain = yaml.safe_load((made.folder / "pipeline.yaml").read_text())
    assert (plain["target"], plain["task"]) == ("y", "regression")
    assert "one target" in reasons(made)[("z",)]


def test_the_pipeline_loads_once_what_is_marked_is_filled_in(tmp_path: Path) -> None:
    made = imported(tmp_path, node(0, "SelectionOp", {"x": "int64", "when": "datetime64[ns]", "odd": "decimal"}))
    assert "its type is decimal" in reasons(made)[("odd",)]
    filled = {"source.path": "rows.parquet", "target": "x"}
    pipeline = load_pipeline(str(made.folder / "pipeline.yaml"), filled)
    assert pipeline.contract.dtypes == {"x": pl.Int64(), "when": pl.Datetime("ns")}
    assert (made.folder / "pipeline.yaml").read_text().count("<") == 4  # path, target, split, and what says so
