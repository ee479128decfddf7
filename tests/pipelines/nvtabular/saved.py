"""Workflows as NVTabular saves them, written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from headrace.pipelines.fitted import FittedPipeline
from headrace.pipelines.nvtabular.importing import Imported, import_workflow

Columns = Mapping[str, str]
"""Name to dtype; `list[int64]` for lists."""


def schema(columns: Columns, tags: Mapping[str, Sequence[str]] = {}) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "tags": list(tags.get(name, ())),
            "properties": {},
            "dtype": {"name": dtype[5:-1] if dtype.startswith("list[") else dtype},
            "is_list": dtype.startswith("list["),
            "is_ragged": dtype.startswith("list["),
        }
        for name, dtype in columns.items()
    ]


def node(number: int, operator: str, inputs: Columns, outputs: Columns | None = None, **more: Any) -> dict[str, Any]:
    """A node of graph.json. Its inputs stay its outputs unless they are given."""
    module = "merlin.dag.ops" if operator in ("SelectionOp", "ConcatColumns") else "nvtabular.ops"
    return {
        "id": number,
        "op_class": f"{module}.any.{operator}",
        "op_params": more.get("params", {}),
        "op_state": more.get("state", {}),
        "parent_ids": more.get("parents", []),
        "dependency_ids": [],
        "selector": None,
        "input_schema": schema(inputs),
        "output_schema": schema(inputs if outputs is None else outputs, more.get("tags", {})),
    }


def workflow(folder: Path, nodes: list[dict[str, Any]], **more: Any) -> Path:
    """A folder with metadata.json and graph.json."""
    folder.mkdir(parents=True, exist_ok=True)
    versions = {"nvtabular": "26.3.0", "python": "3.11"}
    (folder / "metadata.json").write_text(json.dumps({"versions": versions, "generated_timestamp": 0}))
    graph = {"format_version": 1, "output_node_id": nodes[-1]["id"], "nodes": nodes, **more}
    (folder / "graph.json").write_text(json.dumps(graph))
    return folder


def categories(folder: Path, name: str, values: pl.DataFrame, buckets: int = 1, **meta: Any) -> str:
    """unique.NAME.parquet and meta.NAME.parquet, with 0 padding, 1 null and `buckets` ids for unknown values."""
    folder.mkdir(parents=True, exist_ok=True)
    values.write_parquet(folder / f"unique.{name}.parquet")
    kinds = {
        "kind": ["pad", "null", "oov", "unique"],
        "offset": [0, 1, 2, 2 + buckets],
        "num_indices": [1, 1, buckets, values.height],
        "num_observed": [0, 1, 0, 10],
        **meta,
    }
    pl.DataFrame(kinds).write_parquet(folder / f"meta.{name}.parquet")
    return f"categories/unique.{name}.parquet"


def files(folder: Path, number: int) -> Path:
    """Where a node's categories lie in a workflow."""
    return folder / f"saved/artifacts/node_{number}/categories"


def imported(folder: Path, *nodes: dict[str, Any]) -> Imported:
    return import_workflow(workflow(folder / "saved", list(nodes)), folder / "out")


def gives(made: Imported, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """What the imported pipeline makes of rows."""
    found: dict[str, list[Any]] = FittedPipeline.load(made.folder / "fitted").transform(rows).to_dict(as_series=False)
    return found


def reasons(made: Imported) -> dict[tuple[str, ...], str]:
    return {left.columns: left.why for left in made.left}


def declared(made: Imported) -> list[dict[str, Any]]:
    """The steps of pipeline.yaml."""
    steps: list[dict[str, Any]] = yaml.safe_load((made.folder / "pipeline.yaml").read_text())["steps"]
    return steps
