from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.flows import build as flow_module
from headrace.flows.build import build_dataset, make_request, run_flow, run_name
from headrace.pipelines.options import RunOptions
from headrace.schemas.errors import CapabilityError, PipelineError, UsageError

FIVE = datetime(2026, 1, 5, 5, 0, 0, 250, tzinfo=UTC)


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A flow run that a schedule made for five o'clock, as far as Prefect's runtime tells."""
    run = SimpleNamespace(auto_scheduled=True)
    runtime = SimpleNamespace(scheduled_start_time=FIVE, parameters={"request": {"pipeline": "flights"}})
    monkeypatch.setattr(flow_module, "flow_run", runtime)
    monkeypatch.setattr(flow_module, "FlowRunContext", SimpleNamespace(get=lambda: SimpleNamespace(flow_run=run)))
    return SimpleNamespace(run=run, runtime=runtime)


@pytest.mark.usefixtures("running")
def test_a_scheduled_run_is_named_for_its_interval() -> None:
    assert run_name() == "flights 2026-01-05T05:00:00.000250Z"


def test_a_run_by_hand_is_named_for_its_start(running: Any) -> None:
    running.run.auto_scheduled = False
    assert run_name() == "flights by hand 2026-01-05T05:00:00Z"


def test_an_interval_that_is_given_counts_first(running: Any) -> None:
    running.runtime.parameters["request"]["interval"] = "2026-01-04T05:00:00Z"
    assert run_name() == "flights 2026-01-04T05:00:00Z"


def test_the_flow_keeps_no_results_and_no_pickles() -> None:
    assert build_dataset.name == "headrace"
    assert build_dataset.persist_result is False
    assert build_dataset.result_serializer == "json"
    assert build_dataset.retries == 0


def test_options_become_the_request() -> None:
    request = make_request("flights", RunOptions(catalog="/data", cluster="local:2", force=True), {"source": "/raw"})
    assert request.model_dump(exclude_defaults=True) == {
        "pipeline": "flights", "overrides": {"source": "/raw"}, "catalog": "/data", "cluster": "local:2", "force": True,
    }  # fmt: skip


def test_an_option_that_no_run_can_have() -> None:
    with pytest.raises(UsageError, match=r"cluster: .* got 'cloud nine'"):
        make_request("flights", RunOptions(cluster="cloud nine"), {})


def test_what_is_wrong_is_said_before_there_is_a_flow_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise CapabilityError("no Prefect API is configured")

    monkeypatch.setattr(flow_module, "require_api", none)
    with pytest.raises(PipelineError, match="no pipeline 'flihgts'"):
        run_flow("flihgts")
    with pytest.raises(CapabilityError, match="no Prefect API"):
        run_flow("flights", overrides={"source": "/raw"})
