"""What an engine is: something that runs queries, and has a body for each named kernel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, Protocol

import polars as pl

from headrace.engines.kernels import asof, lookup, rolling, xxhash64

EngineName = Literal["cpu", "gpu"]


class Engine(Protocol):
    """Runs Polars queries. A kernel is a method; its contract stands in `headrace.engines.kernels`."""

    @property
    def name(self) -> EngineName: ...

    def collect(self, frames: Sequence[pl.LazyFrame], *, any_order: bool = False) -> list[pl.DataFrame]:
        """Run queries together, what they share only once.

        With `any_order` the rows of a result, and the terms of a sum, may come in any order, which is faster: for
        counts and other exact statistics.
        """
        ...

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
    ) -> pl.LazyFrame: ...

    def hash64(
        self, frame: pl.LazyFrame, column: str, dtype: pl.DataType, output: str, seed: int = 0
    ) -> pl.LazyFrame: ...

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
    ) -> pl.LazyFrame: ...

    def rolling(
        self,
        frame: pl.LazyFrame,
        *,
        by: tuple[str, ...],
        on: str,
        known_at: str | None,
        length: timedelta,
        outputs: tuple[rolling.Output, ...],
    ) -> pl.LazyFrame: ...


class CpuEngine:
    """Polars' own in-memory engine."""

    name: EngineName = "cpu"

    def collect(self, frames: Sequence[pl.LazyFrame], *, any_order: bool = False) -> list[pl.DataFrame]:
        return pl.collect_all(frames, engine="streaming" if any_order else "in-memory")

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
        return lookup.cpu(frame, column, vocabulary, output, first=first, missing=missing, null=null)

    def hash64(self, frame: pl.LazyFrame, column: str, dtype: pl.DataType, output: str, seed: int = 0) -> pl.LazyFrame:
        return xxhash64.cpu(frame, column, dtype, seed, output)

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
        return asof.cpu(
            frame,
            table,
            by=by,
            left_on=left_on,
            right_on=right_on,
            direction=direction,
            tolerance=tolerance,
            exact=exact,
        )

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
        return rolling.cpu(frame, by=by, on=on, known_at=known_at, length=length, outputs=outputs)
