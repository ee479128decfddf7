"""An engine and a cluster that suit each other, whichever of them is left to headrace."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.engines import placement
from headrace.engines.detect import Chosen, EngineChoice
from headrace.engines.engine import EngineName
from headrace.engines.gpu.options import GpuOptions
from headrace.engines.placement import place
from headrace.schemas.errors import CapabilityError, UsageError

asked: list[tuple[object, ...]] = []


def machine(monkeypatch: pytest.MonkeyPatch, *, gpu: bool) -> None:
    """A machine with GPUs or without; what it is asked for is noted."""
    asked.clear()

    def choose(wanted: EngineChoice, pool: float, *, count: int | None = None, elsewhere: bool = False) -> Chosen:
        asked.append((wanted, pool, count, elsewhere))
        if wanted == "gpu" and not gpu and not elsewhere:
            raise CapabilityError("the GPU engine cannot run here")
        return Chosen("cpu" if wanted == "cpu" or not (gpu or elsewhere) else "gpu", "looked")

    monkeypatch.setattr(placement, "choose", choose)


@pytest.mark.parametrize(
    ("engine", "cluster", "gpu", "chosen", "opened"),
    [
        ("auto", "auto", False, "cpu", "inline"),
        ("auto", "auto", True, "gpu", "cuda"),
        ("cpu", "auto", True, "cpu", "inline"),
        ("gpu", "auto", True, "gpu", "cuda"),
        ("auto", "inline", True, "gpu", "inline"),
        ("auto", "local:2", False, "cpu", "local:2"),
        ("auto", "local:2", True, "cpu", "local:2"),
        ("auto", "cuda:2", True, "gpu", "cuda:2"),
        ("gpu", "tcp://10.0.0.7:8786", False, "gpu", "tcp://10.0.0.7:8786"),
        ("cpu", "tcp://10.0.0.7:8786", True, "cpu", "tcp://10.0.0.7:8786"),
    ],
)
def test_engine_and_cluster_suit_each_other(
    engine: EngineChoice, cluster: str, gpu: bool, chosen: EngineName, opened: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, gpu=gpu)
    placed = place(engine, cluster, GpuOptions())
    assert (placed.chosen.engine, placed.cluster) == (chosen, opened)


def test_a_cluster_that_is_for_an_engine_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, gpu=True)
    assert place("auto", "local", GpuOptions()).chosen.reason == "--cluster local is for it"
    assert asked == []


@pytest.mark.parametrize(
    ("cluster", "count", "elsewhere"),
    [
        ("auto", None, False),
        ("inline", 1, False),
        ("cuda", None, False),
        ("cuda:3", 3, False),
        ("tcp://h:1", None, True),
    ],
)
def test_as_many_gpus_are_looked_at_as_are_used(
    cluster: str, count: int | None, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, gpu=True)
    gpu = GpuOptions() if elsewhere else GpuOptions(pool=0.5)
    place("gpu", cluster, gpu)
    assert asked == [("gpu", gpu.pool, count, elsewhere)]


def test_cuda_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, gpu=False)
    with pytest.raises(CapabilityError, match="cannot run here"):
        place("auto", "cuda", GpuOptions())


@pytest.mark.parametrize(
    ("engine", "cluster", "options"),
    [
        ("auto", "cloud nine", {}),
        ("auto", "local:0", {}),
        ("auto", "cuda:two", {}),
        ("gpu", "local:2", {}),
        ("cpu", "cuda", {}),
        ("gpu", "tcp://10.0.0.7:8786", {"pool": 0.5}),
    ],
)
def test_a_wrong_call_is_told_before_the_machine_is_looked_at(
    engine: EngineChoice, cluster: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, gpu=False)
    with pytest.raises(UsageError):
        place(engine, cluster, GpuOptions(**options))
    assert asked == []


def test_strict_asks_for_the_gpu_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, gpu=False)
    with pytest.raises(CapabilityError):
        place("auto", "auto", GpuOptions(), strict=True)
    assert asked[-1][0] == "gpu"


@pytest.mark.parametrize(("engine", "cluster"), [("cpu", "auto"), ("auto", "local:2")])
def test_what_is_for_the_gpu_is_refused_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, engine: EngineChoice, cluster: str
) -> None:
    machine(monkeypatch, gpu=True)
    with pytest.raises(UsageError, match="--strict-gpu is for the GPU engine, and the engine is cpu"):
        place(engine, cluster, GpuOptions(), strict=True)
    with pytest.raises(UsageError, match="--gpu is for the GPU engine, and the engine is cpu"):
        place(engine, cluster, GpuOptions(pool=0.5))
    assert asked == []
