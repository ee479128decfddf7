"""`headrace plan`: what a run will do, known from footers alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.commands.layout import bytes_in_words, table
from headrace.commands.options import allow_option, catalog_option, overrides, pipeline_argument, set_option
from headrace.commands.terminal import common_options, json_option, terminal

if TYPE_CHECKING:
    from headrace.pipelines.plan import Plan


@click.command()
@pipeline_argument
@set_option
@allow_option
@catalog_option
@click.option("--partition-bytes", type=click.IntRange(1 << 16), help="Uncompressed bytes that one task works on.")
@json_option
@common_options
def plan(
    pipeline: str, settings: tuple[str, ...], modules: tuple[str, ...], catalog: str, partition_bytes: int | None
) -> None:
    """Show the passes over the data and what each serves, partitions, exchanges, bytes, tasks and memory. Runs
    nothing and reads no rows."""
    from headrace.engines.budget import partition_bytes_for
    from headrace.pipelines.load import load_pipeline
    from headrace.pipelines.plan import make_plan
    from headrace.pipelines.resolve import resolve
    from headrace.pipelines.sources import locate, read_tables
    from headrace.pipelines.vocabularies import FromCatalog

    loaded = load_pipeline(pipeline, overrides(settings), allow=modules)
    known = FromCatalog(catalog, loaded.name, loaded.source.root, required=False)
    resolved = resolve(loaded, read_tables(loaded, rows=False), known)
    made = make_plan(loaded, resolved, locate(loaded), partition_bytes or partition_bytes_for("cpu"), known.notes)
    terminal().show(made, lambda: _words(made))


def _words(made: Plan) -> str:
    good = [file for file in made.files if not file.problem]
    size = sum(file.bytes for file in good)
    fits = "" if made.memory_bytes <= made.available_bytes else "  (too much: use smaller --partition-bytes)"
    rows = [
        ["source", f"{len(good)} files, {made.rows:,} rows, {bytes_in_words(size)}"],
        *(["bad file", f"{Path(f.path).name}: {f.problem}"] for f in made.files if f.problem),
        ["partitions", f"{len(made.partitions):,}"],
        ["exchanges", "; ".join(made.exchanges)],
        ["tasks", f"{made.tasks:,}"],
        [
            "memory",
            f"about {bytes_in_words(made.memory_bytes)} per worker, {bytes_in_words(made.available_bytes)} here{fits}",
        ],
        *(["vocabulary", f"{column} {note}"] for column, note in made.vocabularies.items()),
        ["output", f"{len(made.features)} features in {len(made.output)} columns"],
    ]
    passes = [
        f"pass {p.number + 1}: {len(p.columns)} columns, {bytes_in_words(p.bytes)}\n{_serves(p.serves)}"
        for p in made.passes
    ]
    return "\n".join([table(rows), "", *passes])


def _serves(serves: tuple[str, ...]) -> str:
    return "\n".join(f"    {line}" for line in serves)
