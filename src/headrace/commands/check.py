"""`headrace check`: whether a pipeline fits its contract and its files, before any row is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headrace.commands.layout import table
from headrace.commands.options import allow_option, catalog_option, overrides, pipeline_argument, set_option
from headrace.commands.terminal import common_options, json_option, terminal

if TYPE_CHECKING:
    from headrace.pipelines.resolve import Resolved
    from headrace.pipelines.sources import SourceFiles


@click.command()
@pipeline_argument
@set_option
@allow_option
@catalog_option
@json_option
@common_options
def check(pipeline: str, settings: tuple[str, ...], modules: tuple[str, ...], catalog: str) -> None:
    """Check a pipeline: its definition, its columns against the contract, its files by their footers, and whether the
    GPU engine can run it. Reads no rows."""
    from headrace.commands.gpu_report import gpu_report
    from headrace.pipelines.load import load_pipeline
    from headrace.pipelines.resolve import resolve
    from headrace.pipelines.sources import locate, read_tables
    from headrace.pipelines.vocabularies import FromCatalog
    from headrace.schemas.dtypes import dtype_name

    loaded = load_pipeline(pipeline, overrides(settings), allow=modules)
    known = FromCatalog(catalog, loaded.name, loaded.source.root, required=False)
    resolved = resolve(loaded, read_tables(loaded, rows=False), known)
    files = locate(loaded)
    gpu = gpu_report(resolved)
    data = {
        "pipeline": loaded.name,
        "task": loaded.task,
        "target": loaded.target,
        "split": loaded.split.rules,
        "steps": len(loaded.steps),
        "passes": resolved.passes + 1,
        "features": resolved.features,
        "output": {name: dtype_name(dtype) for name, dtype in resolved.output.items()},
        "source": {
            "files": len(files.checked),
            "rows": sum(file.rows for file in files.checked),
            "bad_files": [{"path": f.path, "problem": f.problem} for f in files.checked if f.problem],
        },
        "vocabularies": known.notes,
        "gpu": gpu,
    }
    terminal().show(data, lambda: _words(resolved, files, known.notes, gpu))


def _words(resolved: Resolved, files: SourceFiles, vocabularies: dict[str, str], gpu: dict[str, Any]) -> str:
    from headrace.schemas.dtypes import dtype_name

    pipeline = resolved.pipeline
    bad = [file for file in files.checked if file.problem]
    good = len(files.checked) - len(bad)
    rows = [
        ["pipeline", f"{pipeline.name}: {len(pipeline.steps)} steps, {pipeline.task} of {pipeline.target}"],
        ["contract", f"{pipeline.contract.name}: {len(pipeline.contract.names)} columns"],
        ["source", f"{good} files, {sum(file.rows for file in files.checked):,} rows"],
        *(["bad file", f"{Path(file.path).name}: {file.problem} (left out)"] for file in bad),
        ["split", "; ".join(f"{name}: {rule}" for name, rule in pipeline.split.rules.items())],
        ["features", f"{len(resolved.features)}, made in {resolved.passes + 1} passes"],
        *(["vocabulary", f"{column} {note}"] for column, note in vocabularies.items()),
        ["GPU", gpu["words"]],
    ]
    lacking = [f"  {_part(s)}: {line}" for s in gpu["steps"] for line in s["lacking"]]
    output = [[name, dtype_name(dtype), _role(resolved, name)] for name, dtype in resolved.output.items()]
    return "\n".join([table(rows), *lacking, "", table(output, ["published column", "type", "role"])])


def _part(step: dict[str, Any]) -> str:
    return f"step {step['number']} {step['step']}" if step["number"] else str(step["step"])


def _role(resolved: Resolved, name: str) -> str:
    if name == resolved.pipeline.target:
        return "label"
    return "feature" if name in resolved.features else "kept"
