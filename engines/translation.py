"""Whether cudf-polars can run a query, found out without a GPU.

The translator, which is not public API, is that of `headrace.engines.gpu.dialect`: it was written against cudf-polars
26.10; `require()` refuses others by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib import metadata, util
from typing import Final

import polars as pl

from headrace.engines.engine import Engine, EngineName
from headrace.engines.kernels import (
    asof,
    earlier,
    either,
    elements,
    line,
    lists,
    lookup,
    ngrams,
    rolling,
    text,
    xxhash64,
)
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

    def lookup(
        self,
        frame: pl.LazyFrame,
        column: str,
        vocabulary: pl.DataFrame,
        output: str,
        *,
        first: int = 0,
        missing: int | None = None,
        null: int | None = None,
    ) -> pl.LazyFrame:
        self.kernels.append("lookup")
        return lookup.stand_in(frame, column, output)

    def hash64(self, frame: pl.LazyFrame, column: str, dtype: pl.DataType, output: str, seed: int = 0) -> pl.LazyFrame:
        if dtype != pl.String:  # the arithmetic on integers runs on both engines as it stands
            return xxhash64.anywhere(frame, column, dtype, seed, output)
        self.kernels.append("hash64")
        return xxhash64.stand_in(frame, column, output)

    def hash64_pair(self, frame: pl.LazyFrame, first: str, second: str, output: str, seed: int = 0) -> pl.LazyFrame:
        return frame.with_columns(xxhash64.pair(pl.col(first), pl.col(second), seed).alias(output))

    def earlier(self, value: pl.Expr, n: int, by: tuple[str, ...], order: str, *, placed: str, index: str) -> pl.Expr:
        return earlier.anywhere(value, n, by, order, placed=placed, index=index)

    def join_asof(
        self,
        frame: pl.LazyFrame,
        table: pl.LazyFrame,
        *,
        by: tuple[str, ...],
        left_on: str,
        right_on: str,
        direction: asof.Direction = "backward",
        tolerance: timedelta | None = None,
        exact: bool = True,
    ) -> pl.LazyFrame:
        self.kernels.append("join_asof")
        return asof.stand_in(frame, table, by, right_on)

    def rolling(
        self,
        frame: pl.LazyFrame,
        *,
        by: tuple[str, ...],
        on: str,
        known_at: str | None,
        length: timedelta,
        outputs: tuple[rolling.Output, ...],
    ) -> pl.LazyFrame:
        self.kernels.append("rolling")
        return rolling.stand_in(frame, outputs)

    def line(
        self,
        frame: pl.LazyFrame,
        keys: Sequence[str],
        columns: Sequence[str],
        outputs: Sequence[str],
        query: Callable[[pl.LazyFrame], pl.LazyFrame],
    ) -> pl.LazyFrame:
        return line.anywhere(frame, keys, columns, outputs, query)

    def either(
        self, value: pl.Expr, holds: either.Of, then: either.Of, otherwise: either.Of, dtype: pl.DataType
    ) -> pl.Expr:
        return either.anywhere(value, holds, then, otherwise)

    def lowered(self, value: pl.Expr) -> pl.Expr:
        return text.anywhere_lowered(value)

    def stripped(self, value: pl.Expr, characters: str, side: text.Side) -> pl.Expr:
        return text.anywhere_stripped(value, characters, side)

    def lists(self, frame: pl.LazyFrame, column: str, operation: lists.Operation, output: str) -> pl.LazyFrame:
        self.kernels.append("lists")
        return lists.stand_in(frame, column, operation, output)

    def ngrams(self, frame: pl.LazyFrame, column: str, runs: ngrams.Runs, output: str) -> pl.LazyFrame:
        self.kernels.append("ngrams")
        return ngrams.stand_in(frame, column, output)

    def elements(
        self,
        frame: pl.LazyFrame,
        column: str,
        outputs: Sequence[str],
        apply: Callable[[pl.LazyFrame, Engine], pl.LazyFrame],
    ) -> pl.LazyFrame:
        self.kernels.append("elements")  # and those of the step, whose query is part of this one
        return elements.stand_in(frame, column, outputs, lambda rows: apply(rows, self))


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
