"""Whole pipelines on the GPU beside the same on the CPU: ids, hashes and splits to the bit, floats to one ulp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.engines.parity import assert_same_dataset
from tests.gpu.conftest import POOL
from tests.pipelines.conftest import published
from tests.pipelines.families import every_family

from headrace.engines.gpu.options import GpuOptions
from headrace.pipelines.load import load_pipeline
from headrace.pipelines.model import Pipeline

CLUSTERS = ("inline", "cuda:1")


def compare(pipeline: Pipeline, folder: Path, cluster: str, partition_bytes: int | None = None) -> None:
    cpu = published(pipeline, folder / "cpu", cluster="inline")
    gpu = published(
        pipeline,
        folder / "gpu",
        engine="gpu",
        cluster=cluster,
        gpu=GpuOptions(pool=POOL),
        strict_gpu=True,
        partition_bytes=partition_bytes,
    )
    assert_same_dataset(cpu, gpu)
    assert gpu[0].producer.engine == "gpu"


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("order", ["shuffle", "source"])
def test_operators_of_every_family(tmp_path: Path, order: str, cluster: str) -> None:
    compare(every_family(tmp_path / "source", output={"keep": ["id", "at"], "order": order}), tmp_path, cluster)


def test_partitions_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.pipelines.plan.UNIT_ROWS", 16)
    pipeline = every_family(tmp_path / "source")
    on_gpu: dict[str, Any] = {"engine": "gpu", "cluster": "inline", "gpu": GpuOptions(pool=POOL)}
    whole = published(pipeline, tmp_path / "whole", **on_gpu, partition_bytes=1 << 30)
    cut = published(pipeline, tmp_path / "cut", **on_gpu, partition_bytes=1)
    assert_same_dataset(whole, cut)


def test_flights(tmp_path: Path) -> None:
    pipeline = load_pipeline("flights")
    compare(pipeline.model_copy(update={"baselines": ()}), tmp_path, "inline")


def test_ctr(tmp_path: Path) -> None:
    from headrace.pipelines.gallery.ctr.generator import write_ctr

    write_ctr(tmp_path / "ctr", 300_000)
    pipeline = load_pipeline("ctr", {"source": str(tmp_path / "ctr")})
    compare(pipeline.model_copy(update={"baselines": ()}), tmp_path, "inline", partition_bytes=32 << 20)


def test_tpch(tmp_path: Path) -> None:
    pipeline = load_pipeline("tpch")
    compare(pipeline.model_copy(update={"baselines": ()}), tmp_path, "inline", partition_bytes=4 << 20)
