"""From a folder that NVTabular saved to a pipeline, its contract, its vocabularies and what it has learned."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from headrace.pipelines.fitted import FittedPipeline
from headrace.pipelines.nvtabular import graph as graphs
from headrace.pipelines.nvtabular.categories import PREFIX, SUFFIX, OtherIds, names_in, read_categories
from headrace.pipelines.nvtabular.linear import Left, Linear, linear
from headrace.pipelines.nvtabular.steps import VOCABULARIES, categorify
from headrace.schemas.contract import Column, Contract
from headrace.schemas.errors import ConflictError, DataError, UsageError
from headrace.schemas.odcs import dump_contract
from headrace.transforms.base import Transform

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
        target_column = next((c.name for c in graph.output.output_schema or () if c.is_target), "")
        made = Linear(made.declared, made.fitted, made.outputs, (*left, *made.left), made.vocabularies)
    elif (folder / PICKLE).exists() or names_in(folder / "categories"):
        schema, made = _categories(folder)
        target_column = ""
    else:
        raise UsageError(
            f"{folder} holds no workflow of NVTabular: neither {graphs.FILE} nor {PICKLE}",
            hint="give the folder that Workflow.save wrote",
        )
    _write(target, folder.resolve().name, version, schema, made, target_column)
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
    left = []
    for node in graph.nodes:
        if node.parent_ids:
            continue
        for column in node.input_schema or node.output_schema or ():
            if column.polars is None:
                why = f"its type is {column.dtype}"
                left.append(Left(node.id, node.operator or "source", (column.name,), why, "cast it before"))
            else:
                schema.setdefault(column.name, column.polars)
    return schema, left


def _categories(folder: Path) -> tuple[dict[str, pl.DataType], Linear]:
    """What there is without the graph: a step for every vocabulary."""
    why = f"the graph is in {PICKLE}, which is Python code and is not read"
    left = [Left(-1, "Workflow", (), why, "write the other steps by hand; docs/nvtabular.md has their names")]
    schema: dict[str, pl.DataType] = {}
    declared: list[dict[str, Any]] = []
    fitted: list[Transform] = []
    tables: dict[str, pl.DataFrame] = {}
    outputs: list[str] = []
    for name in names_in(folder / "categories"):
        path = folder / "categories" / f"{PREFIX}{name}{SUFFIX}"
        try:
            found = read_categories(path)
        except OtherIds as problem:
            left.append(Left(-1, "Categorify", (name,), str(problem), "fit it anew: ids will be others"))
            continue
        if found.columns != (name,):
            why = f"it is of {', '.join(found.columns)}: whether joint or combined, only {PICKLE} says"
            instead = f"Categorify with previous: {VOCABULARIES}/{name}.parquet"
            left.append(Left(-1, "Categorify", (name,), why, instead))
            tables[name] = found.table
            continue
        dtype = found.table.schema["value"]
        if dtype.is_float():
            left.append(Left(-1, "Categorify", (name,), "categories of fractions", "Cast them before"))
            continue
        step, form = categorify(name, (name,), found)
        declared.append(step)
        fitted.append(form)
        tables[name], schema[name] = found.table, dtype
        outputs.append(name)
    statistics = sorted((folder / "categories").glob("cat_stats.*"))
    why = f"which operator they are of, only {PICKLE} says"
    left += [Left(-1, "statistics", (path.name,), why, "learn them anew") for path in statistics]
    return schema, Linear(tuple(declared), tuple(fitted), tuple(outputs), tuple(left), tables)


def _write(out: Path, name: str, version: str, schema: Mapping[str, pl.DataType], made: Linear, target: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if made.vocabularies:
        (out / VOCABULARIES).mkdir()
    for vocabulary, table in made.vocabularies.items():
        table.write_parquet(out / VOCABULARIES / f"{vocabulary}.parquet")
    own = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-") or "imported"
    plain = {
        "name": own,
        "source": {"path": "<data/*.parquet>"},
        "contract": "contract.odcs.yaml",
        "steps": list(made.declared),
        "target": target or "<the label's column>",
        "split": {"by": "fraction", "fractions": {"train": 0.8, "test": 0.2}},
    }
    text = yaml.safe_dump(plain, sort_keys=False, width=120, allow_unicode=True)
    text = text.replace("split:", "split:  # <by time or hash, where rows of one time or customer belong together>")
    (out / "pipeline.yaml").write_text(_TO_FILL_IN.format(version=version) + text, encoding="utf-8")
    columns = tuple(Column(name=column, dtype=dtype) for column, dtype in schema.items())
    if columns:
        (out / "contract.odcs.yaml").write_text(dump_contract(Contract(name=own, columns=columns)), encoding="utf-8")
    features = tuple(c for c in made.outputs if c != target)
    if made.fitted and features:
        pipeline = FittedPipeline(name=own, source=dict(schema), steps=made.fitted, features=features, target=target)
        pipeline.save(out / "fitted")
