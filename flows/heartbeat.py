"""Runs that were killed: a flow run whose heartbeat stops is marked as crashed, else it would run for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from prefect.automations import AutomationCore, ChangeFlowRunState, EventTrigger, Posture, ResourceSpecification
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType

EVERY_SECONDS: Final = 30
"""How often a served run says that it lives; Prefect allows no less."""
SILENT_SECONDS: Final = 90
TAG: Final = "headrace-served"
"""On deployments served here, whose runs have this heartbeat. Others may have a slower one and are left alone."""
NAME: Final = "headrace: a run without heartbeat has crashed"

_LAST_WORDS: Final = (
    "Completed",
    "Failed",
    "Cancelled",
    "Cancelling",
    "Crashed",
    "AwaitingRetry",
    "Suspended",
    "Paused",
)


def crash_automation() -> AutomationCore:
    """The automation: no heartbeat and no end within 90 s after a heartbeat, then the state is Crashed."""
    heartbeat = "prefect.flow-run.heartbeat"
    return AutomationCore(
        name=NAME,
        description="Made by `headrace flows serve`; remove it in the pages or with `prefect automation delete`.",
        trigger=EventTrigger(
            after={heartbeat},
            expect={heartbeat, *(f"prefect.flow-run.{state}" for state in _LAST_WORDS)},
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            match_related=ResourceSpecification(
                {"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"}
            ),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENT_SECONDS),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=f"no heartbeat for {SILENT_SECONDS} s")],
    )


def watch_heartbeats() -> None:
    """Register the automation, unless the server has it."""
    with get_client(sync_client=True) as client:
        if not client.read_automations_by_name(NAME):
            client.create_automation(crash_automation())
