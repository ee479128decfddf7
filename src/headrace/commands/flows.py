"""`headrace flows`: a pipeline as a Prefect flow, run now or served on a schedule."""

from __future__ import annotations

from typing import Any

import click

from headrace.commands.options import (
    catalog_option,
    cluster_option,
    gpu_option,
    overrides,
    pipeline_argument,
    set_option,
    strict_gpu_option,
)
from headrace.commands.orchestrator import choose_orchestrator
from headrace.commands.terminal import common_options, json_option, terminal

_engine = click.option("--engine", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True)


@click.group()
@common_options
def flows() -> None:
    """Run and serve pipelines through Prefect. Needs an API: set PREFECT_API_URL."""


@flows.command()
@pipeline_argument
@set_option
@_engine
@cluster_option
@strict_gpu_option
@gpu_option
@catalog_option
@json_option
@common_options
def run(
    pipeline: str,
    settings: tuple[str, ...],
    engine: Any,
    cluster: str,
    strict_gpu: bool,
    gpu_settings: tuple[str, ...],
    catalog: str,
) -> None:
    """Run a pipeline as a flow, in this process; its stages show in Prefect."""
    from headrace.commands.run import finish, run_in_prefect
    from headrace.engines.gpu.options import parse_gpu_options

    gpu = parse_gpu_options(gpu_settings)

    screen = terminal()
    screen.note(f"stages run by Prefect ({choose_orchestrator('prefect').reason})")

    from headrace.pipelines.options import RunOptions

    options = RunOptions(catalog=catalog, engine=engine, cluster=cluster, strict_gpu=strict_gpu, gpu=gpu)
    finish(run_in_prefect(pipeline, overrides(settings), options), catalog, screen)


@flows.command()
@pipeline_argument
@set_option
@click.option("--cron", default="", help='When: minute, hour, day, month, weekday, such as "0 5 * * *".')
@click.option("--timezone", default="UTC", show_default=True, help="What the clock of --cron shows: an IANA name.")
@click.option("--name", default="", help="The deployment's name. Default: the pipeline's.")
@_engine
@cluster_option
@strict_gpu_option
@gpu_option
@catalog_option
@common_options
def serve(
    pipeline: str,
    settings: tuple[str, ...],
    cron: str,
    timezone: str,
    name: str,
    engine: Any,
    cluster: str,
    strict_gpu: bool,
    gpu_settings: tuple[str, ...],
    catalog: str,
) -> None:
    """Register a deployment and run what Prefect schedules for it, one run at a time, until stopped."""
    from headrace.engines.gpu.options import parse_gpu_options
    from headrace.flows.schedule import make_schedule

    gpu = parse_gpu_options(gpu_settings)
    set_fields = overrides(settings)
    make_schedule(cron, timezone=timezone)  # a mistake in it is said before any server is asked
    screen = terminal()
    screen.note(f"serving {pipeline} ({choose_orchestrator('prefect').reason}); Ctrl-C ends it")

    from headrace.flows.serve import serve_pipeline
    from headrace.pipelines.options import RunOptions

    options = RunOptions(catalog=catalog, engine=engine, cluster=cluster, strict_gpu=strict_gpu, gpu=gpu)
    serve_pipeline(pipeline, options, overrides=set_fields, cron=cron, timezone=timezone, name=name)
