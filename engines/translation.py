"""Whether cudf-polars can run a query, found out without a GPU.

The translator, which is not public API, is that of `headrace.engines.gpu.dialect`: it was written against cudf-polars
26.10; `require()` refuses others by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata, util
from typing import Final

import polars as pl

from headrace.engines.engine import EngineName, Kernel
from headrace.schemas.errors import CapabilityError

SUPPORTED: Final = "26.10."

KERNELS: Final = ("lookup", "hash64", "join_asof", "rolling", "lists", "ngrams", "elements")
"""The named kernels: all that may stand outside the translated dialect."""


class TranslationEngine:
    """Stands in for the GPU: kernels give columns of their type and are noted, all else is left as it is."""

    name: EngineName = "gpu"

    def __init__(self) -> None:
        self.kernels: list[str] = []

    def collect(self, frames: Sequence[pl.LazyFrame], *, any_order: bool = False) -> list[pl.DataFrame]:
        return pl.collect_all(frames)

    def kernel(self, frame: pl.LazyFrame, kernel: Kernel) -> pl.LazyFrame:
        self.kernels.append(kernel.name)
        return kernel.stand_in(frame, self)


def available() -> bool:
    """Whether a supported cudf-polars is installed; says nothing about a GPU."""
    return util.find_spec("cudf_polars") is not None and _version().startswith(SUPPORTED)


def require() -> None:
    """Raise CapabilityError unless cudf-polars is installed in the version this module was written against."""
    if util.find_spec("cudf_polars") is None:
        raise CapabilityError(
            "cudf-polars is not installed, so the GPU translation cannot be checked",
            hint="pip install 'headrace[cuda13]'",
        )
    if not _version().startswith(SUPPORTED):
        raise CapabilityError(
            f"cudf-polars {_version()} is installed; this version of headrace knows {SUPPORTED}*",
            hint=f"pip install 'cudf-polars-cu13=={SUPPORTED}*'",
        )


def untranslatable(frame: pl.LazyFrame) -> list[str]:
    """What cudf-polars lacks to run this query, a line each; empty where it runs whole on the GPU."""
    require()
    from headrace.engines.gpu.dialect.translator import Dialect

    translator = Dialect(frame._ldf.visit(), pl.GPUEngine(executor="in-memory"))
    translator.translate_ir()
    return [str(error) for error in translator.errors]


def _version() -> str:
    for name in ("cudf-polars-cu13", "cudf-polars-cu12"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"
