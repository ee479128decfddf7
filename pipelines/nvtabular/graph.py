"""A workflow as NVTabular saves it since March 2026: `graph.json`, a node for each operator, checked and frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from headrace.schemas.errors import DataError

FILE = "graph.json"
FORMAT = 1
SUBGRAPH: Final = "Subgraph"

_DTYPES: Final[Mapping[str, pl.DataType]] = {
    "bool": pl.Boolean(),
    "str": pl.String(),
    "string": pl.String(),
    "object": pl.String(),
    "date": pl.Date(),
    "float16": pl.Float32(),
    **{
        f"{sign}int{bits}": getattr(pl, f"{'U' if sign else ''}Int{bits}")()
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "datetime64": pl.Datetime("us"),
    "datetime64[ms]": pl.Datetime("ms"),
    "datetime64[us]": pl.Datetime("us"),
    "datetime64[ns]": pl.Datetime("ns"),
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ColumnSchema(_Part):
    """A column as a node sees it."""

    name: str
    tags: tuple[str, ...] = ()
    dtype: dict[str, Any] | str | None = None
    is_list: bool | None = False

    @property
    def polars(self) -> pl.DataType | None:
        """Its dtype; None where headrace has none for it."""
        found = _DTYPES.get(self.type_name)
        return pl.List(found) if found is not None and self.is_list else found

    @property
    def type_name(self) -> str:
        """Its dtype as NVTabular calls it."""
        return str(self.dtype.get("name") if isinstance(self.dtype, dict) else self.dtype)

    @property
    def is_target(self) -> bool:
        return any(tag in _TARGETS for tag in self._tags)

    @property
    def is_number(self) -> bool:
        """Whether it is a target to be predicted as a number."""
        return "REGRESSION" in self._tags

    @property
    def _tags(self) -> list[str]:
        return [tag.rpartition(".")[2].upper() for tag in self.tags]


class Node(_Part):
    """An operator in its place.

    `place` is its number for people, with those of the subgraphs around it; `artifacts` leads to its files.
    """

    id: int
    place: str = ""
    artifacts: tuple[str, ...] = ()
    op_class: str | None = None
    op_params: dict[str, Any] = {}
    op_state: dict[str, Any] = {}
    parent_ids: tuple[int, ...] = ()
    dependency_ids: tuple[int, ...] = ()
    input_schema: tuple[ColumnSchema, ...] | None = ()
    output_schema: tuple[ColumnSchema, ...] | None = ()

    @property
    def operator(self) -> str:
        """Its class without the module."""
        return (self.op_class or "").rpartition(".")[2]

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.input_schema or ())

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.output_schema or ())


class Graph(_Part):
    """The nodes, those before others first."""

    format_version: int = FORMAT
    output_node_id: int
    nodes: tuple[Node, ...]

    @property
    def output(self) -> Node:
        return next(node for node in self.nodes if node.id == self.output_node_id)


def read_graph(folder: Path) -> Graph:
    """Read `graph.json`.

    Raises
    ------
    DataError
        It is damaged, of another format, or names nodes that are not there.
    """
    path = folder / FILE
    try:
        plain = json.loads(path.read_bytes())
        if isinstance(plain, dict) and plain.get("format_version", FORMAT) != FORMAT:
            raise DataError(
                f"is of format {plain['format_version']!r}, and headrace knows format {FORMAT}", where=str(path)
            )
        graph = Graph.model_validate(plain)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"is no graph of NVTabular: {place}: {first['msg']}", where=str(path)) from None
    except (OSError, ValueError) as problem:
        raise DataError(f"cannot be read: {problem}", where=str(path)) from None
    try:
        ordered = _flat(graph, "", ())
    except ValidationError as problem:
        raise DataError(
            f"is no graph of NVTabular: a subgraph: {problem.errors()[0]['msg']}", where=str(path)
        ) from None
    before: set[int] = set()
    for node in ordered:
        if unknown := {*node.parent_ids, *node.dependency_ids} - before:
            raise DataError(f"node {node.id} follows node {min(unknown)}, which is not before it", where=str(path))
        if node.id in before:
            raise DataError(f"has two nodes of number {node.id}", where=str(path))
        before.add(node.id)
    if graph.output_node_id not in before:
        raise DataError(f"the last node is {graph.output_node_id}, and there is none of that number", where=str(path))
    return graph.model_copy(update={"nodes": tuple(ordered)})


def _flat(graph: Graph, place: str, artifacts: tuple[str, ...], first: int = 0) -> list[Node]:
    """The nodes in order, with those of subgraphs before the node that holds them, which then only names columns.

    Numbers are moved up by `first`, so that those of different subgraphs differ.
    """
    found: list[Node] = []
    for node in sorted(graph.nodes, key=lambda node: node.id):
        moved = node.model_copy(
            update={
                "id": node.id + first,
                "place": f"{place}{node.id}",
                "artifacts": (*artifacts, "artifacts", f"node_{node.id}"),
                "parent_ids": tuple(i + first for i in node.parent_ids),
                "dependency_ids": tuple(i + first for i in node.dependency_ids),
            }
        )
        if node.operator == SUBGRAPH:
            inner = Graph.model_validate(node.op_params.get("inner_graph"))
            start = _OF_A_SUBGRAPH * (moved.id + 1)
            nodes = _flat(inner, f"{moved.place}/", moved.artifacts, start)
            outside = (*moved.parent_ids, *moved.dependency_ids)
            found += [n if n.parent_ids else n.model_copy(update={"parent_ids": outside}) for n in nodes]
            moved = moved.model_copy(update={"parent_ids": (start + inner.output_node_id,)})
        found.append(moved)
    return found


_OF_A_SUBGRAPH: Final = 1 << 20
_TARGETS = ("TARGET", "BINARY_CLASSIFICATION", "BINARY", "REGRESSION", "MULTI_CLASS_CLASSIFICATION")
