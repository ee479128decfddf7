"""The CPU engine: Polars, and the CPU bodies of the named kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import polars as pl

from headrace.engines.engine import Engine, EngineName, Held
from headrace.engines.kernels import (
    asof,
    earlier,
    either,
    elements,
    line,
    lists,
    lookup,
    ngrams,
    parquet,
    pieces,
    rolling,
    text,
    xxhash64,
)


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

    def hash64_pair(self, frame: pl.LazyFrame, first: str, second: str, output: str, seed: int = 0) -> pl.LazyFrame:
        return xxhash64.cpu_pair(frame, first, second, output, seed)

    def earlier(self, value: pl.Expr, n: int, by: tuple[str, ...], order: str, *, placed: str, index: str) -> pl.Expr:
        return earlier.cpu(value, n, by, order)

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

    def line(
        self,
        frame: pl.LazyFrame,
        keys: Sequence[str],
        columns: Sequence[str],
        outputs: Sequence[str],
        query: Callable[[pl.LazyFrame], pl.LazyFrame],
    ) -> pl.LazyFrame:
        return line.cpu(frame, keys, columns, outputs, query)

    def either(
        self, value: pl.Expr, holds: either.Of, then: either.Of, otherwise: either.Of, dtype: pl.DataType
    ) -> pl.Expr:
        return either.cpu(value, holds, then, otherwise, dtype)

    def lowered(self, value: pl.Expr) -> pl.Expr:
        return text.cpu_lowered(value)

    def stripped(self, value: pl.Expr, characters: str, side: text.Side) -> pl.Expr:
        return text.cpu_stripped(value, characters, side)

    def lists(self, frame: pl.LazyFrame, column: str, operation: lists.Operation, output: str) -> pl.LazyFrame:
        return lists.cpu(frame, column, operation, output)

    def ngrams(self, frame: pl.LazyFrame, column: str, runs: ngrams.Runs, output: str) -> pl.LazyFrame:
        return ngrams.cpu(frame, column, runs, output)

    def elements(
        self,
        frame: pl.LazyFrame,
        column: str,
        outputs: Sequence[str],
        apply: Callable[[pl.LazyFrame, Engine], pl.LazyFrame],
    ) -> pl.LazyFrame:
        return elements.cpu(frame, column, outputs, lambda rows: apply(rows, self))

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
