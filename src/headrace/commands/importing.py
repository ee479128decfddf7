"""`headrace import`: what other tools saved, as a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.commands.layout import table
from headrace.commands.terminal import common_options, json_option, terminal

if TYPE_CHECKING:
    from headrace.pipelines.nvtabular.importing import Imported


@click.group()
@common_options
def importing() -> None:
    """Turn what other tools saved into a pipeline."""


@importing.command()
@click.argument("workflow", metavar="WORKFLOW", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder for the project.")
@json_option
@common_options
def nvtabular(workflow: Path, out: Path) -> None:
    """A workflow that NVTabular saved: the same ids, and a list of what is not carried over.

    Reads graph.json and the tables beside it. workflow.pkl is code and is never read: of older workflows the
    vocabularies are carried over.
    """
    from headrace.pipelines.nvtabular.importing import import_workflow

    made = import_workflow(workflow, out)
    terminal().show(made, lambda: _words(made))


def _words(made: Imported) -> str:
    version = f" {made.version}" if made.version else ""
    parts = [
        f"NVTabular{version}: {made.steps} steps, {len(made.outputs)} columns, in {made.folder}",
        "",
        "pipeline.yaml       fill in what stands in <>, then: headrace check pipeline.yaml",
        "vocabularies/       the ids, for `previous:`; a new fit keeps them",
        "fitted/             FittedPipeline.load(...).transform(rows) gives what the workflow gave",
    ]
    if made.left:
        rows = [[left.node or "-", left.operator, _few(left.columns), left.why] for left in made.left]
        parts += ["", "not carried over, or not just as it was", table(rows, ["node", "operator", "columns", "why"])]
        hints = dict.fromkeys(f"  {left.operator}: {left.instead}" for left in made.left if left.instead)
        parts += (["", "what to do", *hints]) if hints else []
    return "\n".join(parts)


def _few(columns: tuple[str, ...]) -> str:
    return ", ".join(columns[:4]) + (f", ... {len(columns)}" if len(columns) > 4 else "")
