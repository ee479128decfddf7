from __future__ import annotations

import pytest

from headrace.engines import detect
from headrace.engines.detect import Gpu, choose, gpus, visible
from headrace.schemas.errors import CapabilityError

TWO = (Gpu(0, "GPU-aaa-1", "H200", 1 << 37), Gpu(1, "GPU-bbb-2", "H200", 1 << 37))


@pytest.mark.parametrize(
    ("setting", "indexes"),
    [
        (None, [0, 1]),
        ("0,1", [0, 1]),
        ("1", [1]),
        ("1, 0", [1, 0]),
        ("", []),
        ("-1", []),
        ("0,-1,1", [0]),
        ("7,0", []),
        ("GPU-bbb", [1]),
        ("GPU-bbb-2,GPU-aaa-1", [1, 0]),
    ],
)
def test_cuda_visible_devices(setting: str | None, indexes: list[int]) -> None:
    assert [g.index for g in visible(TWO, setting)] == indexes


def test_no_binding_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect.util, "find_spec", lambda _: None)
    assert gpus() == ()


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "gpus", lambda: ())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert choose("cpu") == ("cpu", "asked for")
    assert choose("auto") == ("cpu", "NVML finds no GPU")
    with pytest.raises(CapabilityError, match="the GPU engine cannot run here: NVML finds no GPU") as caught:
        choose("gpu")
    assert "--engine cpu" in caught.value.hint


def test_a_hidden_gpu_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "gpus", lambda: ())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert choose("auto").reason == "NVML finds no GPU (CUDA_VISIBLE_DEVICES is '')"


def test_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "gpus", lambda: TWO)
    monkeypatch.setattr(detect.util, "find_spec", lambda _: object())
    assert choose("auto") == ("gpu", "2 GPU(s): H200, H200")
    assert choose("cpu").engine == "cpu"


def test_with_a_gpu_but_without_its_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "gpus", lambda: TWO)
    monkeypatch.setattr(detect.util, "find_spec", lambda _: None)
    assert choose("auto").engine == "cpu"
    with pytest.raises(CapabilityError, match="no GPU engine yet"):
        choose("gpu")
