"""A graph as one row of steps: which column holds what each node gives, copied where it goes more than one way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from headrace.engines.cpu import CpuEngine
from headrace.pipelines.nvtabular.carried import Place, Step, free
from headrace.pipelines.nvtabular.graph import SUBGRAPH, Graph, Node
from headrace.pipelines.nvtabular.steps import carry
from headrace.schemas.errors import HeadraceError
from headrace.transforms.base import Transform, to_plain
from headrace.transforms.elements import OnElements, parts
from headrace.transforms.lists import ListSlice
from headrace.transforms.missing import DropNull
from headrace.transforms.registry import operator_from_plain
from headrace.transforms.shape import Derive, Drop, Rename

Value = tuple[int, str]
"""What a node gives under a name; the source is node -1."""

SOURCE: Final = -1
_NAMES_ONLY: Final = ("", "SelectionOp", "ConcatColumns", "AddMetadata", "AddTags", "AddProperties", "Rename", SUBGRAPH)
_ONLY_READS: Final = ("TargetEncoding", "JoinGroupby")


@dataclass(frozen=True)
class Left:
    """Something that is not carried over, or not just as it was. `node` is its number, `3/1` within a subgraph."""

    node: str
    operator: str
    columns: tuple[str, ...]
    why: str
    instead: str = ""


@dataclass(frozen=True)
class Linear:
    """The steps as a pipeline declares them and as they were learned, the columns after them, and what is left."""

    declared: tuple[dict[str, Any], ...]
    fitted: tuple[Transform, ...]
    outputs: tuple[str, ...]
    left: tuple[Left, ...]
    vocabularies: Mapping[str, pl.DataFrame]


def linear(graph: Graph, schema: Mapping[str, pl.DataType], folder: Path) -> Linear:
    """The steps of a graph over a source of these columns."""
    walk = _Walk(graph, schema, folder)
    for node in graph.nodes:
        if node.operator not in _NAMES_ONLY:
            walk.visit(node)
    outputs = walk.finish()
    return Linear(tuple(walk.declared), tuple(walk.fitted), outputs, tuple(walk.left), walk.vocabularies)


class _Walk:
    """The state of a walk through the nodes."""

    def __init__(self, graph: Graph, schema: Mapping[str, pl.DataType], folder: Path) -> None:
        self.declared: list[dict[str, Any]] = []
        self.fitted: list[Transform] = []
        self.left: list[Left] = []
        self.vocabularies: dict[str, pl.DataFrame] = {}
        self._graph = graph
        self._folder = folder
        self._frame = pl.LazyFrame(schema=dict(schema))
        self._given: dict[Value, Value] = {}
        self._holders: dict[Value, str | None] = {(SOURCE, name): name for name in schema}
        self._uses = self._count()

    def _count(self) -> Counter[Value]:
        """How often each value is read; on the way, what stands under each node's names."""
        uses: Counter[Value] = Counter()
        for node in self._graph.nodes:
            if node.operator in _NAMES_ONLY:
                renamed = node.operator == "Rename" and len(node.inputs) == len(node.outputs)
                inputs = node.inputs if renamed else node.outputs
                for output, name in zip(node.outputs, inputs, strict=True):
                    self._given[node.id, output] = self._value(node, name)
            else:
                uses.update(self._value(node, name) for name in node.inputs)
                self._given |= {(node.id, output): (node.id, output) for output in node.outputs}
        uses.update(self._output(name) for name in self._graph.output.outputs)
        return uses

    def _value(self, node: Node, name: str) -> Value:
        for parent in (*node.parent_ids, *node.dependency_ids):
            if (parent, name) in self._given:
                return self._given[parent, name]
        return (SOURCE, name)

    def _output(self, name: str) -> Value:
        return self._given.get((self._graph.output_node_id, name), (SOURCE, name))

    def visit(self, node: Node) -> None:
        """Add the steps of one node."""
        columns: dict[str, str] = {}
        for name in node.inputs:
            holder = self._own(node, name)
            if holder is None:
                self._leave(node, (name,), f"it reads {name!r}, which is not carried over")
            else:
                columns[name] = holder
        if not columns:
            return
        folder = self._folder.joinpath(*node.artifacts)
        taken = frozenset(self.vocabularies)
        carried = carry(Place(node, columns, dict(self._frame.collect_schema()), folder, taken))
        for note in carried.notes:
            self._leave(node, *note)
        self.vocabularies |= carried.vocabularies
        failed = {c for step in carried.steps if not self._add(node, step) for c in _written(step)}
        for output in node.outputs:
            holder = carried.outputs.get(output, columns.get(output))
            self._holders[node.id, output] = None if output in carried.lost or holder in failed else holder

    def finish(self) -> tuple[str, ...]:
        """Leave only the outputs, under their names."""
        held = {name: self._holders.get(self._output(name)) for name in self._graph.output.outputs}
        there: dict[str, str] = {}
        for name, holder in held.items():
            if holder is not None and holder in there.values():  # one value under two names
                copy = free(f"{name}_copy", self._frame.collect_schema())
                self._copy(holder, copy)
                holder = copy
            if holder is not None:
                there[name] = holder
        drops = [c for c in self._frame.collect_schema().names() if c not in there.values()]
        if drops:
            self._keep(Drop(columns=drops))
        names = {holder: name for name, holder in there.items() if holder != name}
        if names:
            self._keep(Rename(names=names))
        return tuple(there)

    def _own(self, node: Node, name: str) -> str | None:
        """The column that a node may change: a copy where others read it, too."""
        value = self._value(node, name)
        holder = self._holders.get(value)
        if holder is None or self._uses[value] == 1:
            return holder
        self._uses[value] -= 1
        if node.operator in _ONLY_READS:
            return holder
        copy = free(f"{name}_{node.id}", self._frame.collect_schema())
        self._copy(holder, copy)
        return copy

    def _copy(self, holder: str, name: str) -> None:
        quoted = holder.replace('"', '""')
        self._keep(Derive(columns={name: f'"{quoted}"'}))

    def _add(self, node: Node, step: Step) -> bool:
        """Try a step on the columns there are; one that does not fit is left."""
        schema = self._frame.collect_schema()
        form = step.fitted
        try:
            if step.declared is not None and "<" not in str(step.declared):
                parts(operator_from_plain(step.declared), schema)
            if form is not None:
                if not isinstance(form, ListSlice | DropNull) and any(
                    isinstance(schema[c], pl.List) for c in form.reads
                ):
                    form = OnElements(step=form)
                form = form.resolve(schema)
                frame = form.apply(self._frame, CpuEngine())
                frame.collect_schema()
                self._frame = frame
        except (HeadraceError, ValueError, pl.exceptions.PolarsError) as problem:
            hint = problem.hint if isinstance(problem, HeadraceError) else ""
            why = problem.message if isinstance(problem, HeadraceError) else str(problem).splitlines()[0]
            self._leave(node, _written(step), why, hint)
            return False
        self.declared += [step.declared] if step.declared is not None else []
        self.fitted += [form] if form is not None else []
        return True

    def _keep(self, step: Transform) -> None:
        form = step.resolve(self._frame.collect_schema())
        self._frame = form.apply(self._frame, CpuEngine())
        self.declared.append(to_plain(step))
        self.fitted.append(form)

    def _leave(self, node: Node, columns: tuple[str, ...], why: str, instead: str = "") -> None:
        self.left.append(Left(node.place, node.operator, columns, why, instead))


def _written(step: Step) -> tuple[str, ...]:
    """The columns that a step makes; of one that is only declared none, its values come from another."""
    return step.fitted.writes if step.fitted is not None else ()
