"""CuPy, cuDF and cuML as values: what is installed, or what tests put in their place on a machine without a GPU."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from headrace.pipelines.gpu_matrix import DevicePlace
from headrace.schemas.errors import CapabilityError


@dataclass(frozen=True)
class Libraries:
    """The libraries of a GPU worker.

    Parameters
    ----------
    place
        The device's memory, by CuPy and cuDF.
    find
        A class of cuML by its import path.
    name
        cuML and its version, as saved models name it.
    """

    place: DevicePlace
    find: Callable[[str], Any]
    name: str

    @property
    def xp(self) -> Any:
        """The module of arrays: `cupy`."""
        return self.place.xp


@cache
def installed() -> Libraries:
    """The libraries of this installation. Takes seconds the first time; makes no CUDA context by itself.

    Raises
    ------
    CapabilityError
        cuML, cuDF or CuPy is not installed, or finds no library of CUDA's that it needs.
    """
    try:
        # cuML first: it makes CuPy allocate from the pool that cuDF's and its own buffers come from.
        cuml, cudf, cupy = (importlib.import_module(name) for name in ("cuml", "cudf", "cupy"))
    except (ImportError, OSError) as error:
        raise CapabilityError(
            f"baselines on a GPU need cuML: {error}", hint="pip install 'headrace[cuda13]', or run with --engine cpu"
        ) from error
    return Libraries(DevicePlace(cupy, cudf.read_parquet), find, f"cuml {cuml.__version__}")


def find(path: str) -> Any:
    """A class by its import path."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
