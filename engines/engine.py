"""What an engine is: something that runs queries, and has a body for each named kernel; and what a kernel is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

import polars as pl

if TYPE_CHECKING:
    from headrace.engines.kernels import parquet

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
    """Runs Polars queries, and kernels in them."""

    @property
    def name(self) -> EngineName: ...

    def collect(self, frames: Sequence[pl.LazyFrame], *, any_order: bool = False) -> list[pl.DataFrame]:
        """Run queries together, what they share only once.

        With `any_order` the rows of a result, and the terms of a sum, may come in any order, which is faster: for
        counts and other exact statistics.
        """
        ...

    def kernel(self, frame: pl.LazyFrame, kernel: Kernel) -> pl.LazyFrame:
        """The frame with a kernel's columns."""
        ...


class Kernel(Protocol):
    """A named kernel at its place in a query: a frozen value, which knows its body on Polars.

    The GPU engine has the other body. Contracts stand in `headrace.engines.kernels`.
    """

    @property
    def name(self) -> str: ...

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        ...

    def writes(self, schema: pl.Schema, engine: Engine) -> dict[str, pl.DataType]:
        """The columns that it adds to frames of a schema, or replaces there, and their types."""
        ...

    def cpu(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """Its body on Polars; `engine` runs what it is given to run."""
        ...

    def stand_in(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """A frame of the same schema out of expressions that translate.

        It lets the translation check look past the kernel at the rest of the query.
        """
        ...


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
