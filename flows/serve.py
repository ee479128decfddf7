"""Serving: a deployment of the flow is registered, and this process runs what Prefect schedules for it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from headrace.flows.request import BuildRequest
from headrace.flows.schedule import make_schedule
from headrace.pipelines.load import load_pipeline
from headrace.pipelines.options import RunOptions

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Schedule


def serve_pipeline(
    reference: str,
    options: RunOptions | None = None,
    *,
    overrides: Mapping[str, str] | None = None,
    cron: str = "",
    every: timedelta | None = None,
    timezone: str = "UTC",
    name: str = "",
) -> None:
    """Register a deployment of a pipeline and run what is scheduled for it, one run at a time, until stopped.

    On Ctrl-C or SIGTERM the schedule is paused; serving again resumes it. Runs missed while it is paused are not
    made up for.

    Parameters
    ----------
    cron, every, timezone
        When, see `make_schedule`. With neither, runs are started by hand or through the API.
    name
        The deployment's name; the pipeline's by default.

    Raises
    ------
    UsageError, PipelineError
        The schedule or the pipeline is wrong; known before Prefect is asked.
    CapabilityError
        No Prefect API is configured, or it does not answer.
    """
    schedule = make_schedule(cron, every, timezone)

    from headrace.flows.build import make_request
    from headrace.flows.server import require_api

    request = make_request(reference, options or RunOptions(), overrides or {}).anchored()
    pipeline = load_pipeline(request.pipeline, request.overrides)
    require_api()
    serve_deployment(make_deployment(request, name or pipeline.name, schedule))


def make_deployment(request: BuildRequest, name: str, schedule: Schedule | None = None) -> RunnerDeployment:
    """A deployment of the flow, by its dotted name in the installed package; at most one run at a time."""
    from prefect.types.entrypoint import EntrypointType

    from headrace.flows.build import build_dataset
    from headrace.flows.heartbeat import TAG

    deployment = build_dataset.to_deployment(
        name,
        schedule=schedule,
        paused=False,
        concurrency_limit=1,
        parameters={"request": request.model_dump(mode="json", exclude_defaults=True)},
        description=f"headrace: {request.label}",
        tags=["headrace", TAG],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return cast("RunnerDeployment", deployment)


def serve_deployment(deployment: RunnerDeployment) -> None:
    """Run what is scheduled for a deployment until stopped; runs that are killed are marked as crashed."""
    from prefect import serve

    from headrace.flows.heartbeat import EVERY_SECONDS, watch_heartbeats

    watch_heartbeats()
    with warnings.catch_warnings():
        # When it is told to stop, Prefect's runner drops a coroutine and leaves by SystemExit.
        warnings.filterwarnings("ignore", "coroutine 'Runner.astop' was never awaited", RuntimeWarning)
        try:
            serve(deployment, limit=1, heartbeat_seconds=EVERY_SECONDS)
        except SystemExit as end:
            if end.code:
                raise
