"""The stages of a run as Prefect tasks: coarse, uncached, their results kept in memory alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from prefect import Task
from prefect.artifacts import create_markdown_artifact
from prefect.assets import Asset, AssetProperties
from prefect.cache_policies import NO_CACHE
from prefect.tasks import MaterializingTask

from headrace.catalog.commit import Published
from headrace.flows.retries import DELAYS, STAGES, retry_condition
from headrace.flows.summary import summary_markdown
from headrace.pipelines.model import Pipeline
from headrace.pipelines.runs import RunRecord

Value = TypeVar("Value")


class StageTasks:
    """Calls each stage of a pipeline's run as a task of the flow run that this happens in.

    The dataset is an asset that `publish` makes from the source. Stages are called in this thread, with values of
    this process: nothing is sent to Prefect but their names, states and logs.
    """

    def __init__(self, pipeline: Pipeline, catalog: str) -> None:
        self.dataset = Asset(
            key=_uri(f"{catalog}/{pipeline.name}"),
            properties=AssetProperties(name=pipeline.name, description=pipeline.description or None),
        )
        self.source = Asset(key=_uri(pipeline.source.root or "."))

    def __call__(self, stage: str, function: Callable[[], Value]) -> Value:
        if stage == "publish":
            publish: MaterializingTask[[], Value] = MaterializingTask(
                self._described(function), assets=[self.dataset], asset_deps=[self.source], **_options(stage)
            )
            return publish()
        task: Task[[], Value] = Task(function, **_options(stage))
        return task()

    def _described(self, function: Callable[[], Value]) -> Callable[[], Value]:
        def publish() -> Value:
            published = function()
            if isinstance(published, Published):
                facts = {"version": published.version, "path": published.uri, "created": published.created}
                self.dataset.add_metadata({**facts, "manifest_sha256": published.manifest_sha256})
            return published

        return publish


def show_summary(record: RunRecord) -> None:
    """Leave the summary of a run as an artifact; there is one key a dataset, with a version each run."""
    key = f"headrace-{record.dataset.replace('_', '-').replace('.', '-').lower()}"

    def summary() -> None:
        create_markdown_artifact(
            summary_markdown(record), key=key, description=f"{record.dataset} version {record.version}"
        )

    task: Task[[], None] = Task(summary, **_options("summary", retried=True))
    task()


def _options(stage: str, *, retried: bool = False) -> dict[str, Any]:
    retried = retried or stage in STAGES
    return {
        "name": stage,
        "task_run_name": stage,
        "cache_policy": NO_CACHE,
        "persist_result": False,
        "retries": len(DELAYS) if retried else 0,
        "retry_delay_seconds": list(DELAYS) if retried else 0,
        "retry_condition_fn": retry_condition if retried else None,
    }


def _uri(path: str) -> str:
    return path if "://" in path else Path(path).absolute().as_uri()
