from __future__ import annotations

from datetime import timedelta

from headrace.flows.heartbeat import crash_automation


def test_a_served_run_that_falls_silent_is_marked_as_crashed() -> None:
    automation = crash_automation()
    trigger = automation.trigger
    assert trigger.after == {"prefect.flow-run.heartbeat"}
    assert {"prefect.flow-run.heartbeat", "prefect.flow-run.Completed", "prefect.flow-run.Failed"} <= trigger.expect
    assert trigger.within == timedelta(seconds=90)
    assert trigger.posture.value == "Proactive"
    assert trigger.for_each == {"prefect.resource.id"}
    assert [action.model_dump()["state"].value for action in automation.actions] == ["CRASHED"]


def test_other_runs_are_left_alone() -> None:
    related = crash_automation().trigger.match_related
    assert related.root == {"prefect.resource.id": "prefect.tag.headrace-served", "prefect.resource.role": "tag"}
