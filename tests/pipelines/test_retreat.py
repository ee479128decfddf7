"""Runs on a device that is too small, over an imitation of libcudf: what becomes of every kind of task, and what is
said of it."""

from __future__ import annotations

import gc
import logging
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.engines.parity import assert_same_dataset
from tests.pipelines.conftest import Make, published, small
from tests.pipelines.test_gpu_engine import both, on_gpu

from headrace.engines.gpu import query
from headrace.engines.gpu.frame import DeviceFrame
from headrace.pipelines import apply, merging
from headrace.pipelines.model import Pipeline
from headrace.schemas.errors import DataError, GpuMemoryError

__all__ = ["on_gpu"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_report", "on_gpu", "small_units")]

STEPS: list[dict[str, Any]] = [
    {"Lag": {"columns": ["x"], "by": ["c"], "order": "at"}},
    {"Standardize": {"columns": ["x"]}},
]
FULL = "the device had no memory left for"
TASKS = (
    *(f"pass {number} over partition {partition}" for number in (0, 1) for partition in (0, 1)),
    "id:unique, bucket 0",
    "step 1 Lag(x_lag1), bucket 0",
    "step 2 Standardize(x), learning",
    *("applying to partition 0", "applying to partition 1"),
    *("shard train/part-00000.parquet", "shard test/part-00000.parquet"),
)


@pytest.fixture
def pipeline(make: Make) -> Pipeline:
    """A key, a window and a learner, in two passes over two files of one unit each."""
    return make(STEPS, frame=small(24), files=2)


def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fits on the device."""

    def nothing(*_: object) -> DeviceFrame:
        raise GpuMemoryError("the device has no memory left: std::bad_alloc")

    monkeypatch.setattr(query, "evaluated", nothing)


def test_where_nothing_fits_every_task_runs_on_the_cpu_and_is_named(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full(monkeypatch)
    with caplog.at_level(logging.WARNING, "headrace"):
        cpu, gpu = both(pipeline, tmp_path)
    assert_same_dataset(cpu, gpu)
    notes = gpu[0].producer.fallbacks
    assert sorted(notes) == sorted(f"{task}: {FULL} its rows" for task in TASKS)
    assert [r.message for r in caplog.records if r.message.endswith("it runs on the CPU")]
    assert cpu[0].producer.fallbacks == ()


def test_a_strict_run_ends_with_the_task_that_does_not_fit(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(monkeypatch)
    with pytest.raises(GpuMemoryError, match="pass 0 over partition 0: the device has no memory left") as caught:
        published(pipeline, tmp_path, engine="gpu", cluster="inline", strict_gpu=True)
    assert caught.value.exit_code == 1


def test_a_run_says_nothing_of_the_runs_before_it_in_its_process(make: Make, tmp_path: Path) -> None:
    one = make([{"Filter": {"where": "c LIKE 'a%' OR c IS NULL"}}])
    other = make([{"Derive": {"m": "x * 2"}}])
    first = published(one, tmp_path / "one", engine="gpu", cluster="inline")
    second = published(other, tmp_path / "other", engine="gpu", cluster="inline")
    again = published(one, tmp_path / "again", engine="gpu", cluster="inline")
    assert [len(manifest.producer.fallbacks) for manifest, _ in (first, second, again)] == [1, 0, 1]


@pytest.mark.parametrize(
    ("kind", "task"),
    [("answer_unique", TASKS[4]), ("answer_window", TASKS[5]), ("learn", TASKS[6])],
)
def test_what_ran_on_the_cpu_is_still_said_when_a_run_is_gone_on_with(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, task: str
) -> None:
    function = getattr(merging, kind)

    def too_large(given: Any) -> Any:
        with given.named():
            if given.engine.name == "gpu":
                raise GpuMemoryError("the device has no memory left")
        return function(given)

    def crash(*_: object) -> None:
        raise DataError("a crash")

    with monkeypatch.context() as patch:
        patch.setattr(f"headrace.pipelines.fit.{kind}", too_large)
        patch.setattr(apply, "apply_partition", crash)
        with pytest.raises(DataError, match="a crash"):
            published(pipeline, tmp_path, engine="gpu", cluster="inline")
    manifest, _ = published(pipeline, tmp_path, engine="gpu", cluster="inline")
    assert manifest.producer.fallbacks == (f"{task}: {FULL} its rows",)


def test_a_run_leaves_no_rows_on_the_device(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when it ends well, after tasks that did not fit, nor when it fails."""
    published(pipeline, tmp_path / "well", engine="gpu", cluster="inline")
    assert on_device() == []
    evaluated, queries = query.evaluated, iter(range(1_000_000))

    def seldom(node: Any, frame: pl.LazyFrame) -> DeviceFrame:
        held = evaluated(node, frame)
        if next(queries) % 7 == 6:
            raise GpuMemoryError("the device has no memory left")
        return held

    monkeypatch.setattr(query, "evaluated", seldom)
    published(pipeline, tmp_path / "seldom", engine="gpu", cluster="inline")
    assert on_device() == []
    full(monkeypatch)
    with pytest.raises(GpuMemoryError):
        published(pipeline, tmp_path / "never", engine="gpu", cluster="inline", strict_gpu=True)
    assert on_device() == []


def on_device() -> list[DeviceFrame]:
    gc.collect()
    return [thing for thing in gc.get_objects() if type(thing) is DeviceFrame]
