"""Gives a machine the GPUs that a test wants it to have: the stand-ins for NVML and Dask-CUDA."""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

STANDIN = Path(__file__).parent / "standin"


def standin(name: str, path: Path) -> ModuleType:
    spec = util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def give_gpus(patch: pytest.MonkeyPatch, folder: Path, uuids: str) -> None:
    """Put the stand-ins first on the path, here and in the processes that are started from here."""
    patch.syspath_prepend(str(folder))
    patch.setitem(sys.modules, "pynvml", standin("pynvml", STANDIN / "pynvml.py"))
    patch.setenv("STANDIN_GPUS", uuids)
    patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
