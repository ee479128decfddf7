"""The CPU engine: Polars, and the CPU bodies of the named kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl

from headrace.engines.engine import Engine, EngineName, Held, Kernel
from headrace.engines.kernels import parquet, pieces


@dataclass(frozen=True)
class InMemory:
    """Rows in this process's memory."""

    frame: pl.DataFrame

    @property
    def height(self) -> int:
        return self.frame.height

    @property
    def schema(self) -> pl.Schema:
        return self.frame.schema

    def lazy(self) -> pl.LazyFrame:
        return self.frame.lazy()

    def slice(self, first: int, rows: int) -> InMemory:
        # In one chunk: a float sum must not depend on what else is held.
        return InMemory(self.frame.slice(first, rows).rechunk())

    def to_polars(self) -> pl.DataFrame:
        return self.frame


class CpuEngine:
    """Polars' own in-memory engine."""

    name: EngineName = "cpu"
    fallbacks: tuple[str, ...] = ()

    def collect(self, frames: Sequence[pl.LazyFrame], *, any_order: bool = False) -> list[pl.DataFrame]:
        return pl.collect_all(frames, engine="streaming" if any_order else "in-memory")

    def hold(self, frame: pl.LazyFrame) -> InMemory:
        return InMemory(frame.collect())

    def collect_parts(
        self, parts: Sequence[Held], queries: Callable[[pl.LazyFrame], Sequence[pl.LazyFrame]]
    ) -> list[list[pl.DataFrame]]:
        return [self.collect(list(queries(part.lazy()))) for part in parts]

    def step(
        self, label: str, frame: pl.LazyFrame, apply: Callable[[pl.LazyFrame, Engine], pl.LazyFrame]
    ) -> pl.LazyFrame:
        return apply(frame, self)

    def kernel(self, frame: pl.LazyFrame, kernel: Kernel) -> pl.LazyFrame:
        return kernel.cpu(frame, self)

    def write_pieces(self, path: Path, rows: Held, bucket: str, buckets: int) -> None:
        pieces.cpu_write(path, rows.to_polars(), bucket, buckets)

    def read_bucket(self, paths: Sequence[Path], bucket: int) -> InMemory:
        return InMemory(pieces.cpu_read(paths, bucket))

    def write_rows(self, path: Path, rows: Held) -> None:
        pieces.cpu_write_rows(path, rows.to_polars())

    def read_rows(self, paths: Sequence[Path], row: str, first: int, last: int) -> pl.LazyFrame:
        return pieces.cpu_read_rows(paths, row, first, last)

    def write_parquet(self, sink: BinaryIO, rows: Held, layout: parquet.Layout) -> tuple[int, ...]:
        return parquet.cpu(sink, rows.to_polars(), layout)
