"""The flow: a pipeline's run, with a task for each stage, its summary as an artifact and its dataset as an asset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prefect import flow
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from pydantic import ValidationError

from headrace.flows.logs import LoggedStages, errors_in_one_line, sent_to_prefect
from headrace.flows.request import BuildRequest, idempotency_key, moment
from headrace.flows.server import require_api
from headrace.flows.tasks import StageTasks, show_summary
from headrace.pipelines.build import build
from headrace.pipelines.load import load_pipeline
from headrace.pipelines.options import RunOptions
from headrace.pipelines.runs import RunRecord
from headrace.schemas.errors import UsageError


def run_name() -> str:
    """The flow run's name: the pipeline, and the interval or that it was started by hand, and when."""
    request = BuildRequest.model_validate(flow_run.parameters["request"])
    interval = _interval(request)
    if interval is not None:
        return f"{request.label} {moment(interval)}"
    return f"{request.label} by hand {moment(flow_run.scheduled_start_time.replace(microsecond=0))}"


# Nothing is persisted but, by Prefect itself, the error of a run that failed: as JSON, not as a pickle.
@flow(name="headrace", flow_run_name=run_name, persist_result=False, result_serializer="json")
def build_dataset(request: BuildRequest) -> RunRecord:
    """Run a pipeline and publish the next version of its dataset, once for each interval.

    Raises
    ------
    HeadraceError
        As `headrace.pipelines.build.build`. The run record in the catalog says the same, without Prefect.
    """
    own_id = str(flow_run.id)
    with sent_to_prefect(own_id):
        pipeline = load_pipeline(request.pipeline, request.overrides)
        key = idempotency_key(request, pipeline.name, _interval(request), own_id)
        options = request.options(key, own_id)
        record = build(pipeline, options, LoggedStages(), StageTasks(pipeline, request.catalog))
        show_summary(record)
    return record


def run_flow(
    reference: str, options: RunOptions | None = None, *, overrides: Mapping[str, str] | None = None
) -> RunRecord:
    """Run the flow once, in this process.

    Raises
    ------
    CapabilityError
        No Prefect API is configured, or it does not answer; none is started here.
    HeadraceError
        As the flow.
    """
    request = make_request(reference, options or RunOptions(), overrides or {})
    load_pipeline(request.pipeline, request.overrides)  # what is wrong with it is said before there is a flow run
    require_api()
    with errors_in_one_line():
        return build_dataset(request)


def make_request(reference: str, options: RunOptions, overrides: Mapping[str, str]) -> BuildRequest:
    """The request for a run with these options.

    Raises
    ------
    UsageError
        An option that no run can have.
    """
    how = options.model_dump(
        include={"catalog", "engine", "cluster", "strict_gpu", "gpu", "partition_bytes", "force", "append"}
    )
    try:
        return BuildRequest(pipeline=reference, overrides=dict(overrides), **how)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r}") from None


def _interval(request: BuildRequest) -> datetime | None:
    """What this flow run stands for: as asked, or the time that its schedule gave it."""
    if request.interval is not None:
        return request.interval
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or not context.flow_run.auto_scheduled:
        return None
    scheduled: datetime = flow_run.scheduled_start_time
    return scheduled
