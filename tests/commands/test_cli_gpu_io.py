from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from headrace.commands import gpu_io
from headrace.commands.gpu_io import shared_memory, storage

MODULE = "/proc/driver/nvidia-fs"


def put(
    monkeypatch: pytest.MonkeyPatch, *paths: str, library: str | None = "1.20.0.107", mode: str = "", udev: bool = True
) -> None:
    monkeypatch.setattr(gpu_io, "_exists", lambda path: path in paths)
    monkeypatch.setattr(gpu_io, "installed", lambda name: library if name == "nvidia-cufile" else None)
    monkeypatch.setattr(gpu_io, "find_library", lambda _: None)
    monkeypatch.setattr(os, "access", lambda *_: udev)
    monkeypatch.delenv("CUFILE_ENV_PATH_JSON", raising=False)
    monkeypatch.setenv("KVIKIO_COMPAT_MODE", mode)


def test_gds_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, MODULE, "/etc/cufile.json")
    assert (storage().state, storage().found) == (
        "ok",
        "kernel module nvidia-fs loaded, libcufile from nvidia-cufile 1.20.0.107, /etc/cufile.json, "
        "KVIKIO_COMPAT_MODE not set",
    )
    monkeypatch.setenv("CUFILE_ENV_PATH_JSON", "/opt/cufile.json")
    assert "no /opt/cufile.json" in storage().found


@pytest.mark.parametrize(
    ("paths", "library", "mode", "udev", "words"),
    [
        ((), "1.20", "", True, "nvidia-fs not loaded"),
        ((MODULE,), None, "", True, "no libcufile"),
        ((MODULE,), "1.20", "on", True, "KVIKIO_COMPAT_MODE on"),
        ((MODULE,), "1.20", "", False, "/run/udev cannot be read"),
    ],
)
def test_gds_is_not_used(
    monkeypatch: pytest.MonkeyPatch, paths: tuple[str, ...], library: str | None, mode: str, udev: bool, words: str
) -> None:
    put(monkeypatch, *paths, library=library, mode=mode, udev=udev)
    assert storage().state == "absent"
    assert words in storage().found
    assert storage().found.endswith("; files go through the host's memory")


def test_gds_is_forced_where_it_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, mode="OFF")
    assert storage().state == "warning"
    assert storage().advice.startswith("unset KVIKIO_COMPAT_MODE")


@pytest.mark.parametrize(("free", "gpu", "state"), [(64, True, "warning"), (64, False, "ok"), (1024, True, "ok")])
def test_the_size_of_shared_memory(monkeypatch: pytest.MonkeyPatch, free: int, gpu: bool, state: str) -> None:
    sizes = SimpleNamespace(f_blocks=free << 8, f_bavail=free << 8, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: sizes)
    assert shared_memory(gpu=gpu).state == state
    assert shared_memory(gpu=gpu).found.endswith(" at /dev/shm")


def test_no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "statvfs", fail)
    assert (shared_memory(gpu=True).state, shared_memory(gpu=False).state) == ("warning", "absent")
