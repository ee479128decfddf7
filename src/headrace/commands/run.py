"""`headrace run`: from raw Parquet to a published dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headrace.commands.options import (
    allow_option,
    catalog_option,
    cluster_option,
    gpu_option,
    overrides,
    pipeline_argument,
    set_option,
    strict_gpu_option,
)
from headrace.commands.orchestrator import choose_orchestrator
from headrace.commands.terminal import Terminal, common_options, json_option, terminal
from headrace.schemas.errors import HeadraceError, RunError, UsageError

if TYPE_CHECKING:
    from headrace.pipelines.model import Pipeline
    from headrace.pipelines.options import RunOptions
    from headrace.pipelines.runs import RunRecord


@click.command()
@pipeline_argument
@set_option
@allow_option
@click.option(
    "--engine",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    show_default=True,
    help="Where queries run; auto takes a GPU if there is one that headrace can use.",
)
@cluster_option
@strict_gpu_option
@gpu_option
@click.option(
    "--orchestrator",
    type=click.Choice(["auto", "none", "prefect"]),
    default="auto",
    show_default=True,
    help="Who runs the stages; auto takes Prefect if an API is configured and answers.",
)
@click.option("--partition-bytes", type=click.IntRange(1 << 16), help="Uncompressed bytes that one task works on.")
@click.option(
    "--append",
    is_flag=True,
    help="Read only files that the latest version was not made of, and publish their rows behind its rows. What was "
    "learned stays as it is.",
)
@click.option("--force", is_flag=True, help="Do all the work anew, also what an earlier run left ready.")
@catalog_option
@json_option
@common_options
def run(
    pipeline: str,
    settings: tuple[str, ...],
    modules: tuple[str, ...],
    engine: Any,
    cluster: str,
    strict_gpu: bool,
    gpu_settings: tuple[str, ...],
    orchestrator: Any,
    partition_bytes: int | None,
    append: bool,
    force: bool,
    catalog: str,
) -> None:
    """Run a pipeline and publish a new version of its dataset.

    PIPELINE is a gallery name (flights, ctr, tpch), a YAML file, module:object or file.py:object.
    """
    from headrace.engines.gpu.options import parse_gpu_options
    from headrace.engines.placement import place

    gpu, screen = parse_gpu_options(gpu_settings), terminal()
    chosen, led_by = place(engine, cluster, gpu, strict=strict_gpu).chosen, choose_orchestrator(orchestrator)
    led_words = "Prefect" if led_by.name == "prefect" else "headrace itself"
    screen.note(f"engine: {chosen.engine} ({chosen.reason}); stages run by {led_words} ({led_by.reason})")

    from headrace.pipelines.load import load_pipeline
    from headrace.pipelines.options import RunOptions

    options = RunOptions(
        catalog=catalog,
        engine=engine,
        cluster=cluster,
        strict_gpu=strict_gpu,
        gpu=gpu,
        partition_bytes=partition_bytes,
        force=force,
        append=append,
    )
    set_fields = overrides(settings)
    if led_by.name == "prefect":
        if modules:
            raise UsageError(
                "a flow imports no modules that are allowed here",
                hint="--orchestrator none, or name a pipeline in Python: file.py:object",
            )
        record = run_in_prefect(pipeline, set_fields, options)
    else:
        record = _run_here(load_pipeline(pipeline, set_fields, allow=modules), options, screen)
    finish(record, catalog, screen)


def run_in_prefect(reference: str, set_fields: dict[str, str], options: RunOptions) -> RunRecord:
    """The same run as a Prefect flow, in this process."""
    from headrace.flows.build import run_flow

    return run_flow(reference, options, overrides=set_fields)


def finish(record: RunRecord, catalog: str, screen: Terminal) -> None:
    """Show what came of the run; a run that did not publish ends with its error."""
    from headrace.commands.summary import facts, summary

    if record.status == "done":
        screen.show(record, lambda: summary(record, catalog))
    else:
        screen.show_failed(record, lambda: facts(record), _error(record))


def _run_here(loaded: Pipeline, options: RunOptions, screen: Terminal) -> RunRecord:
    from headrace.commands.progress import stage_progress
    from headrace.pipelines.build import build

    with stage_progress(quiet=screen.quiet) as progress:
        return build(loaded, options, progress)


def _error(record: RunRecord) -> HeadraceError:
    if record.error is None:
        return RunError(f"the run is {record.status}")
    return RunError(record.error.message, hint=record.error.hint, where=record.error.where)
