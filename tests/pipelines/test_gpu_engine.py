"""Whole runs on the GPU engine, without a GPU: all of headrace's own code for it, cudf-polars' real translator in front
of every query, and an imitation of what libcudf computes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.engines.parity import assert_same_dataset
from tests.imitation.fixture import imitation
from tests.pipelines.conftest import Make, published
from tests.pipelines.families import every_family, sequences

from headrace.catalog.manifest import Manifest
from headrace.engines.detect import Chosen
from headrace.engines.gpu import query
from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.open import close_engines
from headrace.pipelines.gallery.ctr.generator import write_ctr
from headrace.pipelines.gallery.flights.sample import write_sample
from headrace.pipelines.gallery.tpch import sample as tpch
from headrace.pipelines.load import load_pipeline
from headrace.pipelines.model import Pipeline
from headrace.schemas.errors import CapabilityError, GpuMemoryError
from headrace.schemas.names import ROW

pytestmark = pytest.mark.usefixtures("no_report")


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`engine="gpu"` is taken, and runs on the imitation."""
    with imitation():
        monkeypatch.setattr("headrace.engines.placement.choose", lambda wanted, *_, **__: Chosen(wanted, "imitated"))
        monkeypatch.setattr("headrace.engines.gpu.memory.use_pool", lambda _: None)
        close_engines()
        yield
    close_engines()


def both(pipeline: Pipeline, folder: Path, **options: Any) -> tuple[tuple[Manifest, Path], tuple[Manifest, Path]]:
    """The pipeline's version by the CPU engine, and that by the GPU engine."""
    cpu = published(pipeline, folder / "cpu", cluster="inline")
    return cpu, published(pipeline, folder / "gpu", engine="gpu", cluster="inline", **options)


@pytest.mark.slow
@pytest.mark.usefixtures("on_gpu", "small_units")
@pytest.mark.parametrize(("order", "partition_bytes"), [("shuffle", 1 << 30), ("source", 1)])
def test_operators_of_every_family_publish_the_same(tmp_path: Path, order: str, partition_bytes: int) -> None:
    pipeline = every_family(tmp_path / "source", 1200, files=2, output={"keep": ["id", "at"], "order": order})
    cpu, gpu = both(pipeline, tmp_path, partition_bytes=partition_bytes, strict_gpu=True)
    assert_same_dataset(cpu, gpu)
    assert gpu[0].producer.engine == "gpu"
    assert gpu[0].producer.fallbacks == ()


@pytest.mark.slow
@pytest.mark.usefixtures("on_gpu", "small_units")
def test_statistics_of_many_groups_are_merged_by_bucket_on_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = every_family(tmp_path / "source", 300, files=2)
    cpu = published(pipeline, tmp_path / "cpu", cluster="inline")
    monkeypatch.setattr("headrace.pipelines.fit.buckets_of", lambda measured: dict.fromkeys(measured, 3))
    gpu = published(pipeline, tmp_path / "gpu", engine="gpu", cluster="inline", partition_bytes=1, strict_gpu=True)
    assert_same_dataset(cpu, gpu)
    assert gpu[0].producer.fallbacks == ()


@pytest.mark.slow
@pytest.mark.usefixtures("on_gpu", "small_units")
def test_windows_that_drop_rows_publish_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 300)
    cpu, gpu = both(sequences(tmp_path / "source", 1000, files=2), tmp_path, partition_bytes=1, strict_gpu=True)
    assert_same_dataset(cpu, gpu)
    assert gpu[0].producer.fallbacks == ()


@pytest.mark.slow
@pytest.mark.usefixtures("on_gpu")
def test_a_step_that_does_not_translate_runs_on_the_cpu_and_is_said(make: Make, tmp_path: Path) -> None:
    pipeline = make([{"Filter": {"where": "c LIKE 'a%' OR c IS NULL"}}, {"Derive": {"m": "x * 2"}}])
    cpu, gpu = both(pipeline, tmp_path)
    assert_same_dataset(cpu, gpu)
    (fallback,) = gpu[0].producer.fallbacks
    assert fallback.startswith("step 1 Filter(c): ")


@pytest.mark.usefixtures("on_gpu")
def test_a_strict_run_refuses_such_a_step_by_name(make: Make, tmp_path: Path) -> None:
    pipeline = make([{"Filter": {"where": "c LIKE 'a%'"}}])
    refused = r"the GPU engine cannot run 1 step\(s\):\n  step 1 Filter\(c\): "
    with pytest.raises(CapabilityError, match=refused) as caught:
        published(pipeline, tmp_path, engine="gpu", cluster="inline", strict_gpu=True)
    assert "--strict-gpu" in caught.value.hint


@pytest.mark.slow
@pytest.mark.usefixtures("on_gpu", "small_units")
def test_partitions_that_the_device_is_too_small_for_are_cut_and_the_dataset_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = every_family(tmp_path / "source", 1200, files=2)
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 100)
    evaluated, rows_that_fit = query.evaluated, 400

    def too_small(node: Any, frame: pl.LazyFrame) -> DeviceFrame:
        held = evaluated(node, frame)
        if ROW in held.schema and held.height > rows_that_fit:
            raise GpuMemoryError("the device has no memory left")
        return held

    monkeypatch.setattr(query, "evaluated", too_small)
    cpu, gpu = both(pipeline, tmp_path)
    assert_same_dataset(cpu, gpu)
    # A bucket of windows that holds several shops cannot be cut.
    buckets = (
        ("step 6 Lag(x_lag1)", 8),
        ("step 7 RollingStats(x_mean_1d, x_count_1d)", 8),
        ("step 8 Diff(x_diff1)", 8),
        ("step 10 Expanding(x_count, x_mean)", 8),
        ("step 10 Expanding(x_count, x_mean)", 9),
    )
    expected = (f"{step}, bucket {bucket}: the device had no memory left for its rows" for step, bucket in buckets)
    assert gpu[0].producer.fallbacks == tuple(expected)


@pytest.mark.slow
@pytest.mark.usefixtures("on_gpu")
def test_flights_publish_the_same(tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "sample", months=(4, 5, 6, 7, 9, 10, 11, 12), rows_per_month=300).folder
    pipeline = load_pipeline("flights", {"source": str(sample)}).model_copy(
        update={"baselines": (), "max_bad_fraction": 0.1}  # the sample has all of the damaged rows
    )
    cpu, gpu = both(pipeline, tmp_path, strict_gpu=True)
    assert_same_dataset(cpu, gpu)


@pytest.mark.slow
@pytest.mark.usefixtures("on_gpu")
def test_ctr_publishes_the_same(tmp_path: Path) -> None:
    write_ctr(tmp_path / "ctr", 4_000)
    pipeline = load_pipeline("ctr", {"source": str(tmp_path / "ctr")}).model_copy(update={"baselines": ()})
    cpu, gpu = both(pipeline, tmp_path, strict_gpu=True)
    assert_same_dataset(cpu, gpu)


@pytest.mark.slow
@pytest.mark.usefixtures("on_gpu")
def test_tpch_publishes_the_same(tmp_path: Path) -> None:
    sample = tpch.write_sample(tmp_path / "sample", scale_factor=0.002)
    pipeline = load_pipeline("tpch", {"source": str(sample)}).model_copy(update={"baselines": ()})
    cpu, gpu = both(pipeline, tmp_path, strict_gpu=True)
    assert_same_dataset(cpu, gpu)
