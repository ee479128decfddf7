"""From a folder that NVTabular saved to a pipeline, its contract, its vocabularies and what it has learned."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

from headrace.pipelines.fitted import FittedPipeline
from headrace.pipelines.nvtabular import graph as graphs
from headrace.pipelines.nvtabular.carried import Step, whole
from headrace.pipelines.nvtabular.categories import (
    PREFIX,
    SUFFIX,
    Categories,
    OtherIds,
    names_in,
    read_categories,
    with_text,
)
from headrace.pipelines.nvtabular.encoders import VOCABULARIES, step_of
from headrace.pipelines.nvtabular.linear import Left, Linear, linear
from headrace.schemas.contract import Column, Contract
from headrace.schemas.errors import ConflictError, DataError, UsageError
from headrace.schemas.odcs import dump_contract

PICKLE = "workflow.pkl"
_TO_FILL_IN = """\
# Imported from a workflow of NVTabular {version}. To be filled in, each marked with <>: where the rows are, what is
# predicted, and how the rows are split. Then: headrace check pipeline.yaml
"""


@dataclass(frozen=True)
class Imported:
    """What an import made.

    Parameters
    ----------
    version
        Of NVTabular, empty where it is not known.
    steps
        How many steps the pipeline has.
    outputs
        The columns after them.
    left
        What is not carried over, or not just as it was.
    """

    folder: Path
    version: str
    steps: int
    outputs: tuple[str, ...]
    left: tuple[Left, ...]


def import_workflow(workflow: str | Path, out: str | Path) -> Imported:
    """Turn a saved workflow into a project: `pipeline.yaml`, `contract.odcs.yaml`, `vocabularies/` and `fitted/`.

    `fitted/` holds a FittedPipeline that gives new rows the ids and numbers that the workflow gave. The vocabularies
    are what `previous:` of the pipeline's steps names, so that a new fit keeps all ids.

    Parameters
    ----------
    workflow
        A folder that `Workflow.save` wrote: with `graph.json` (2026), or with `workflow.pkl` (until then), which is
        code and is not read: of these the vocabularies are carried over.
    out
        A folder that is not there, or empty.

    Raises
    ------
    UsageError
        The folder holds no workflow.
    ConflictError
        There is something in `out`.
    DataError
        A file is damaged, of another format, or leads out of the folder.
    """
    folder, target = Path(workflow), Path(out)
    if target.exists() and any(target.iterdir()):
        raise ConflictError("is not empty", hint="name another folder", where=str(target))
    version = _version(folder)
    if (folder / graphs.FILE).exists():
        graph = graphs.read_graph(folder)
        schema, left = _source(graph)
        made = linear(graph, schema, folder)
        targets = [c for c in graph.output.output_schema or () if c.is_target]
        if len(targets) > 1:
            why = f"a pipeline has one target, here {targets[0].name!r}"
            left.append(Left("", "target", tuple(c.name for c in targets[1:]), why, "a pipeline for each of them"))
        made = Linear(made.declared, made.fitted, made.outputs, (*left, *made.left), made.vocabularies)
    elif (folder / PICKLE).exists() or names_in(folder / "categories"):
        schema, made = _categories(folder)
        targets = []
    else:
        raise UsageError(
            f"{folder} holds no workflow of NVTabular: neither {graphs.FILE} nor {PICKLE}",
            hint="give the folder that Workflow.save wrote",
        )
    _write(target, folder.resolve().name, version, schema, made, targets[0] if targets else None)
    return Imported(target, version, len(made.declared), made.outputs, made.left)


def _version(folder: Path) -> str:
    try:
        return str(json.loads((folder / "metadata.json").read_bytes())["versions"]["nvtabular"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise DataError(f"cannot be read: {problem}", where=str(folder / "metadata.json")) from None


def _source(graph: graphs.Graph) -> tuple[dict[str, pl.DataType], list[Left]]:
    """The columns that come from outside, and those of a type that headrace does not have."""
    schema: dict[str, pl.DataType] = {}
    left: list[Left] = []
    given = {node.id: set(node.outputs) for node in graph.nodes}
    for node in graph.nodes:
        above = set[str]().union(*(given[i] for i in (*node.parent_ids, *node.dependency_ids)))
        names_only = node.operator in ("", "SelectionOp")
        for column in (node.output_schema if names_only else node.input_schema) or ():
            if column.name in above or column.name in schema:
                continue
            if column.polars is None:
                left.append(
                    Left(node.place, node.operator, (column.name,), f"its type is {column.type_name}", "cast it before")
                )
            else:
                schema[column.name] = column.polars
    return schema, left


def _categories(folder: Path) -> tuple[dict[str, pl.DataType], Linear]:
    """What there is without the graph: a step for every vocabulary, combinations first."""
    why = f"the graph is in {PICKLE}, which is Python code that runs when it is opened: it is not read"
    left = [Left("", "Workflow", (), why, "write the other steps by hand; docs/nvtabular.md has their names")]
    found: list[Categories] = []
    for name in names_in(folder / "categories"):
        try:
            found.append(_whole(read_categories(folder / "categories" / f"{PREFIX}{name}{SUFFIX}")))
        except OtherIds as problem:
            left.append(Left("", "Categorify", (name,), str(problem), "fit it anew: ids will be others"))
    found.sort(key=lambda categories: not categories.combo)
    schema: dict[str, pl.DataType] = {}
    for categories in sorted(found, key=lambda c: c.combo):  # a column's own vocabulary knows its type best
        keys = [f"value:{i}" for i in range(len(categories.columns))] if categories.combo else ["value"]
        for column, key in zip(categories.columns, keys, strict=True):
            schema.setdefault(column, categories.table.schema[key])
    steps: list[Step] = [step_of(list(c.columns), c, c.name if c.combo else "") for c in found]
    several = tuple(c.name for c in found if c.oov_buckets > 1)
    if several:
        why = "unknown values go to several ids by a hash that NVTabular computes otherwise"
        left.append(Left("", "Categorify", several, why, "ids of known values are the same"))
    statistics = sorted((folder / "categories").glob("cat_stats.*"))
    why = f"which operator they are of, only {PICKLE} says"
    left += [Left("", "statistics", (path.name,), why, "learn them anew") for path in statistics]
    return schema, Linear(
        tuple(step.declared for step in steps if step.declared is not None),
        tuple(step.fitted for step in steps if step.fitted is not None),
        tuple(c.name for c in found),
        tuple(left),
        {c.name: c.table for c in found},
    )


def _whole(found: Categories) -> Categories:
    """Integers where pandas made fractions of them because of a null."""
    table = found.table
    for key in [c for c in table.columns if c.startswith("value") and table.schema[c].is_float()]:
        values = whole(table[key])
        if values is None:
            raise OtherIds("its categories are fractions, of which headrace has no vocabulary")
        table = table.with_columns(values.alias(key))
    table = with_text(table) if found.combo else table
    return Categories(found.name, found.columns, found.oov_buckets, table)


def _write(
    out: Path,
    name: str,
    version: str,
    schema: Mapping[str, pl.DataType],
    made: Linear,
    label: graphs.ColumnSchema | None,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if made.vocabularies:
        (out / VOCABULARIES).mkdir()
    for vocabulary, table in made.vocabularies.items():
        table.write_parquet(out / VOCABULARIES / f"{vocabulary}.parquet")
    own = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:63] or "imported"
    target = label.name if label is not None else ""
    plain = {
        "name": own,
        "source": {"path": "<data/*.parquet>"},
        "contract": "contract.odcs.yaml",
        "steps": list(made.declared),
        "target": target or "<the label's column>",
        **({"task": "regression"} if label is not None and label.is_number else {}),
        "split": {"by": "fraction", "fractions": {"train": 0.8, "test": 0.2}},
    }
    text = yaml.safe_dump(plain, sort_keys=False, width=120, allow_unicode=True)
    text = text.replace("split:", "split:  # <by time or hash, where rows of one time or customer belong together>")
    (out / "pipeline.yaml").write_text(_TO_FILL_IN.format(version=version) + text, encoding="utf-8")
    columns = tuple(Column(name=column, dtype=dtype) for column, dtype in schema.items())
    if columns:
        (out / "contract.odcs.yaml").write_text(dump_contract(Contract(name=own, columns=columns)), encoding="utf-8")
    features = tuple(c for c in made.outputs if c != target)
    if features:
        pipeline = FittedPipeline(name=own, source=dict(schema), steps=made.fitted, features=features, target=target)
        pipeline.save(out / "fitted")
