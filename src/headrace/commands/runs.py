"""`headrace runs`: what ran, what came of it, and why it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headrace.commands.layout import moment, seconds_in_words, table
from headrace.commands.options import catalog_option
from headrace.commands.terminal import common_options, json_option, terminal

if TYPE_CHECKING:
    from headrace.pipelines.runs import RunRecord


@click.group()
@common_options
def runs() -> None:
    """List and show runs. Every run leaves a record in its catalog, also one that failed."""


@runs.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="At most so many, newest first.")
@catalog_option
@json_option
@common_options
def list_(limit: int, catalog: str) -> None:
    """The runs of a catalog, newest first."""
    from headrace.pipelines.runs import list_runs

    found = sorted(list_runs(catalog), key=lambda record: record.started_at, reverse=True)[:limit]
    terminal().show(found, lambda: _listed(found) or f"no run in {catalog} yet")


@runs.command()
@click.argument("run_id", metavar="RUN")
@catalog_option
@json_option
@common_options
def show(run_id: str, catalog: str) -> None:
    """One run: where its rows went, how long each stage took, and its error if it has one.

    RUN is an id, or its beginning, as `headrace runs list` shows it; or latest.
    """
    from headrace.commands.summary import facts, stages
    from headrace.pipelines.runs import read_run

    record = read_run(catalog, run_id)
    terminal().show(record, lambda: "\n".join([facts(record), "", stages(record)]))


def _listed(found: list[RunRecord]) -> str:
    header = ["run", "pipeline", "status", "started", "took", "engine", "rows", "version"]
    rows = [
        [
            r.run_id,
            r.pipeline,
            r.status,
            moment(str(r.started_at)),
            seconds_in_words(r.elapsed),
            r.engine,
            r.rows_published,
            r.version,
        ]
        for r in found
    ]
    return table(rows, header)
