from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from headrace.engines.cpu import CpuEngine
from headrace.engines.gpu import memory
from headrace.engines.open import CPU, EngineSpec, close_engines, open_engine
from headrace.schemas.errors import GpuMemoryError


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The pools that are asked for; there is no device."""
    asked: list[float] = []
    monkeypatch.setattr(memory, "use_pool", asked.append)
    close_engines()
    yield asked
    close_engines()


def spec(run: str = "a", **more: bool) -> EngineSpec:
    return EngineSpec(name="gpu", pool=0.4, run=run, **more)


def test_the_cpu_engine_needs_no_opening() -> None:
    assert isinstance(open_engine(CPU), CpuEngine)


def test_the_gpu_engine_is_opened_once_a_run_with_its_pool(pools: list[float]) -> None:
    engine = open_engine(spec())
    assert engine.name == "gpu"
    assert open_engine(CPU).name == "cpu"
    assert open_engine(spec()) is engine
    assert pools == [0.4]


@pytest.mark.slow
@pytest.mark.usefixtures("pools")
def test_another_run_has_an_engine_of_its_own_and_nothing_is_kept_of_the_one_before() -> None:
    """In a worker that serves many runs: its vocabularies, and what it says has run on the CPU."""
    before = weakref.ref(open_engine(spec()))
    assert open_engine(spec("b")) is not before()
    gc.collect()
    assert before() is None


@pytest.mark.slow
@pytest.mark.usefixtures("pools")
def test_closed_nothing_is_kept() -> None:
    engine = weakref.ref(open_engine(spec()))
    close_engines()
    assert engine() is None


def test_a_pool_that_does_not_fit_is_said_and_the_next_call_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: float) -> None:
        raise GpuMemoryError("the device has no memory left")

    monkeypatch.setattr(memory, "use_pool", full)
    for _ in range(2):
        with pytest.raises(GpuMemoryError):
            open_engine(spec("c"))
