"""What an engine is: something that runs queries, and has a body for each named kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

import polars as pl

if TYPE_CHECKING:
    from headrace.engines.kernels import asof, either, lists, ngrams, parquet, rolling, text

EngineName = Literal["cpu", "gpu"]


class Held(Protocol):
    """Rows that an engine holds where it computes: in this process's memory, or on its GPU."""

    @property
    def height(self) -> int: ...

    @property
    def schema(self) -> pl.Schema: ...

    def lazy(self) -> pl.LazyFrame:
        """A query over these rows, to be run by the same engine."""
        ...

    def slice(self, first: int, rows: int) -> Held:
        """Some of the rows; their values are not copied."""
        ...

    def to_polars(self) -> pl.DataFrame:
        """The rows in this process's memory."""
        ...


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

    def hash64_pair(self, frame: pl.LazyFrame, first: str, second: str, output: str, seed: int = 0) -> pl.LazyFrame: ...

    def earlier(
        self, value: pl.Expr, n: int, by: tuple[str, ...], order: str, *, placed: str, index: str
    ) -> pl.Expr: ...

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

    def line(
        self,
        frame: pl.LazyFrame,
        keys: Sequence[str],
        columns: Sequence[str],
        outputs: Sequence[str],
        query: Callable[[pl.LazyFrame], pl.LazyFrame],
    ) -> pl.LazyFrame: ...

    def either(
        self, value: pl.Expr, holds: either.Of, then: either.Of, otherwise: either.Of, dtype: pl.DataType
    ) -> pl.Expr: ...

    def lowered(self, value: pl.Expr) -> pl.Expr: ...

    def stripped(self, value: pl.Expr, characters: str, side: text.Side) -> pl.Expr: ...

    def lists(self, frame: pl.LazyFrame, column: str, operation: lists.Operation, output: str) -> pl.LazyFrame: ...

    def ngrams(self, frame: pl.LazyFrame, column: str, runs: ngrams.Runs, output: str) -> pl.LazyFrame: ...

    def elements(
        self,
        frame: pl.LazyFrame,
        column: str,
        outputs: Sequence[str],
        apply: Callable[[pl.LazyFrame, Engine], pl.LazyFrame],
    ) -> pl.LazyFrame: ...


class TaskEngine(Engine, Protocol):
    """An engine as tasks use it: it also holds rows, falls back, and reads and writes files."""

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The steps that this engine handed to the CPU, as `label: reason`, since it was opened."""
        ...

    def hold(self, frame: pl.LazyFrame) -> Held:
        """Run a query and keep its rows where the engine computes."""
        ...

    def collect_parts(
        self, parts: Sequence[Held], queries: Callable[[pl.LazyFrame], Sequence[pl.LazyFrame]]
    ) -> list[list[pl.DataFrame]]:
        """Run the same queries over each of several parts, which have one schema: results by part, then by query.

        `queries` is called with a frame of a part's columns, once or for each part.
        """
        ...

    def step(
        self, label: str, frame: pl.LazyFrame, apply: Callable[[pl.LazyFrame, Engine], pl.LazyFrame]
    ) -> pl.LazyFrame:
        """Add a step to a query: what `apply` makes of it on this engine, or on the CPU where this one cannot.

        Raises
        ------
        CapabilityError
            The engine is strict, and cannot run the step.
        """
        ...

    def write_pieces(self, path: Path, rows: Held, bucket: str, buckets: int) -> None: ...

    def read_bucket(self, paths: Sequence[Path], bucket: int) -> Held: ...

    def write_rows(self, path: Path, rows: Held) -> None: ...

    def read_rows(self, paths: Sequence[Path], row: str, first: int, last: int) -> pl.LazyFrame: ...

    def write_parquet(self, sink: BinaryIO, rows: Held, layout: parquet.Layout) -> tuple[int, ...]: ...
