from __future__ import annotations

from typing import Any

import pytest
from prefect.cache_policies import NO_CACHE

from headrace.flows import tasks
from headrace.flows.retries import retry_condition
from headrace.flows.tasks import StageTasks
from headrace.pipelines.model import Pipeline, Source
from headrace.pipelines.staging import STAGES

PIPELINE = Pipeline.model_construct(name="shop", description="Sales", source=Source(path="*.parquet", root="/data/raw"))


class Made:
    """Stands for Prefect's task classes: keeps what a task is made with, and calls its function."""

    made: list[tuple[str, dict[str, Any]]]

    def __init__(self, function: Any, **options: Any) -> None:
        self.function = function
        self.made.append((options["name"], options))

    def __call__(self) -> object:
        return self.function()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    Made.made = []
    monkeypatch.setattr(tasks, "Task", Made)
    monkeypatch.setattr(tasks, "MaterializingTask", Made)
    return Made.made


def test_every_stage_is_a_task_of_its_name_that_keeps_nothing(made: list[tuple[str, dict[str, Any]]]) -> None:
    staging = StageTasks(PIPELINE, "/data/published")
    assert [staging(stage, lambda stage=stage: f"{stage} done") for stage in STAGES] == [f"{s} done" for s in STAGES]
    assert [name for name, _ in made] == list(STAGES)
    assert all(options["task_run_name"] == name for name, options in made)
    assert all(options["cache_policy"] is NO_CACHE and options["persist_result"] is False for _, options in made)


def test_stages_that_can_be_repeated_are_tried_again(made: list[tuple[str, dict[str, Any]]]) -> None:
    staging = StageTasks(PIPELINE, "/data/published")
    for stage in STAGES:
        staging(stage, lambda: None)
    assert {name: options["retries"] for name, options in made} == {
        "prepare": 2, "fit": 2, "apply": 2, "write": 2, "baseline": 0, "report": 0, "publish": 2,
    }  # fmt: skip
    retried = [options for _, options in made if options["retries"]]
    assert all(o["retry_delay_seconds"] == [10, 60] and o["retry_condition_fn"] is retry_condition for o in retried)


def test_publishing_makes_the_dataset_out_of_the_source(made: list[tuple[str, dict[str, Any]]]) -> None:
    StageTasks(PIPELINE, "/data/published")("publish", lambda: None)
    (_, options) = made[0]
    assert [asset.key for asset in options["assets"]] == ["file:///data/published/shop"]
    assert [asset.key for asset in options["asset_deps"]] == ["file:///data/raw"]
    assert options["assets"][0].properties.name == "shop"


@pytest.mark.usefixtures("made")
def test_an_error_of_a_stage_is_the_callers() -> None:
    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        StageTasks(PIPELINE, "/data/published")("fit", fails)
