"""The GPU engine: queries run by cuDF on this process's device, kernels by their bodies on pylibcudf."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import polars as pl

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Engine, EngineName, Held
from headrace.engines.gpu import asof, elements, lists, lookup, ngrams, parquet, pieces, query, rolling, xxhash64
from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.gpu.memory import device_errors
from headrace.engines.gpu.source import Chains, Kernel
from headrace.engines.kernels import earlier, either, line, text
from headrace.engines.kernels import pieces as stored
from headrace.engines.kernels import xxhash64 as hashing
from headrace.engines.kernels.asof import Direction
from headrace.engines.kernels.elements import output_dtypes
from headrace.engines.kernels.lists import Operation, output_dtype
from headrace.engines.kernels.ngrams import OUTPUT as NGRAMS
from headrace.engines.kernels.ngrams import Runs
from headrace.engines.kernels.parquet import Layout
from headrace.engines.kernels.rolling import Output
from headrace.engines.translation import TranslationEngine, untranslatable
from headrace.schemas.errors import CapabilityError

_LOG = logging.getLogger("headrace")
_STRICT = "leave --strict-gpu out, and this step runs on the CPU with the same result; or write it in another way"


@dataclass(frozen=True)
class OnDevice:
    """Rows on the device."""

    frame: DeviceFrame

    @property
    def height(self) -> int:
        return self.frame.height

    @property
    def schema(self) -> pl.Schema:
        return self.frame.schema

    def lazy(self) -> pl.LazyFrame:
        return query.as_source(self.frame.schema, self.frame.select)

    def slice(self, first: int, rows: int) -> OnDevice:
        with device_errors():
            return OnDevice(self.frame.slice(first, rows))

    def to_polars(self) -> pl.DataFrame:
        return query.to_polars(self.frame)


class GpuEngine:
    """cuDF through its Polars engine.

    Parameters
    ----------
    strict
        Refuse what cannot run on the device, instead of running it on the CPU.
    """

    name: EngineName = "gpu"

    def __init__(self, strict: bool = False) -> None:
        self._strict = strict
        self._cpu = CpuEngine()
        self._chains = Chains()
        self._vocabularies = lookup.Vocabularies()
        self._fallbacks: dict[str, str] = {}
        self._lacking: dict[tuple[str, tuple[tuple[str, pl.DataType], ...]], tuple[str, ...]] = {}

    @property
    def fallbacks(self) -> tuple[str, ...]:
        return tuple(f"{label}: {reason}" for label, reason in self._fallbacks.items())

    def collect(self, frames: Sequence[pl.LazyFrame], *, any_order: bool = False) -> list[pl.DataFrame]:
        return [self.hold(frame).to_polars() for frame in frames]

    def hold(self, frame: pl.LazyFrame) -> OnDevice:
        return OnDevice(self._run(frame))

    def _run(self, frame: pl.LazyFrame) -> DeviceFrame:
        return self._prepared(frame)()

    def _prepared(self, frame: pl.LazyFrame) -> Callable[[], DeviceFrame]:
        """What runs a query, on the CPU if it does not translate."""
        try:
            return query.prepared(frame)
        except query.Untranslatable as problem:
            self._falls_back(f"a query for {', '.join(frame.collect_schema().names()[:3])}", problem.reasons)
            return lambda: query.from_polars(query.run_on_host(frame))

    def collect_parts(
        self, parts: Sequence[Held], queries: Callable[[pl.LazyFrame], Sequence[pl.LazyFrame]]
    ) -> list[list[pl.DataFrame]]:
        # Translated once: that takes longer than running a query over the rows of a unit.
        if not parts:
            return []
        part = [_held(parts[0])]
        source = query.as_source(part[0].schema, lambda wanted: part[0].select(wanted))
        runs = [self._prepared(frame) for frame in queries(source)]

        def over(rows: Held) -> list[pl.DataFrame]:
            part[0] = _held(rows)
            return [query.to_polars(run()) for run in runs]

        return [over(rows) for rows in parts]

    def step(
        self, label: str, frame: pl.LazyFrame, apply: Callable[[pl.LazyFrame, Engine], pl.LazyFrame]
    ) -> pl.LazyFrame:
        schema = frame.collect_schema()
        lacking = self._lacks(schema, apply)
        if not lacking:
            return apply(frame, self)
        self._falls_back(label, lacking)
        # Between two sources: what comes before and after it stays on the device.
        before = query.as_source(schema, lambda wanted: self._run(frame.select(wanted)))
        after = apply(before, self._cpu)
        return query.as_source(
            after.collect_schema(), lambda wanted: query.from_polars(query.run_on_host(after.select(wanted)))
        )

    def _lacks(self, schema: pl.Schema, apply: Callable[[pl.LazyFrame, Engine], pl.LazyFrame]) -> tuple[str, ...]:
        probe = apply(pl.LazyFrame(schema=schema), TranslationEngine())
        key = probe.explain(optimized=False), tuple(schema.items())
        if key not in self._lacking:
            self._lacking[key] = tuple(untranslatable(probe))
        return self._lacking[key]

    def _falls_back(self, label: str, reasons: Sequence[str]) -> None:
        reason = "; ".join(reasons)
        if self._strict:
            raise CapabilityError(f"the GPU engine cannot run {label}: {reason}", hint=_STRICT)
        if label not in self._fallbacks:
            _LOG.warning("%s runs on the CPU: %s", label, reason)
            self._fallbacks[label] = reason

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
        def body(rows: DeviceFrame) -> DeviceFrame:
            values = self._vocabularies.of(vocabulary)
            return lookup.gpu(rows, column, values, output, first=first, missing=missing, null=null)

        return self._chains.add(frame, Kernel((column,), {output: pl.Int32()}, body), self._run)

    def hash64(self, frame: pl.LazyFrame, column: str, dtype: pl.DataType, output: str, seed: int = 0) -> pl.LazyFrame:
        if dtype != pl.String:  # the arithmetic on integers runs on both engines as it stands
            return hashing.anywhere(frame, column, dtype, seed, output)

        def body(rows: DeviceFrame) -> DeviceFrame:
            return xxhash64.gpu(rows, column, output, seed)

        return self._chains.add(frame, Kernel((column,), {output: pl.UInt64()}, body), self._run)

    def hash64_pair(self, frame: pl.LazyFrame, first: str, second: str, output: str, seed: int = 0) -> pl.LazyFrame:
        return frame.with_columns(hashing.pair(pl.col(first), pl.col(second), seed).alias(output))

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
        direction: Direction = "backward",
        tolerance: timedelta | None = None,
        exact: bool = True,
    ) -> pl.LazyFrame:
        added = {n: dtype for n, dtype in table.collect_schema().items() if n not in (*by, right_on)}

        def body(rows: DeviceFrame) -> DeviceFrame:
            return asof.gpu(
                rows,
                self._run(table),
                by=by,
                left_on=left_on,
                right_on=right_on,
                direction=direction,
                tolerance=tolerance,
                exact=exact,
            )

        return self._chains.add(frame, Kernel((*by, left_on), added, body), self._run)

    def rolling(
        self,
        frame: pl.LazyFrame,
        *,
        by: tuple[str, ...],
        on: str,
        known_at: str | None,
        length: timedelta,
        outputs: tuple[Output, ...],
    ) -> pl.LazyFrame:
        reads = dict.fromkeys([*by, on, *([known_at] if known_at else []), *(o.column for o in outputs)])

        def body(rows: DeviceFrame) -> DeviceFrame:
            return rolling.gpu(rows, by=by, on=on, known_at=known_at, length=length, outputs=outputs)

        return self._chains.add(frame, Kernel(tuple(reads), {o.name: o.dtype for o in outputs}, body), self._run)

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

    def lists(self, frame: pl.LazyFrame, column: str, operation: Operation, output: str) -> pl.LazyFrame:
        def body(rows: DeviceFrame) -> DeviceFrame:
            return lists.gpu(rows, column, operation, output)

        dtype = output_dtype(operation, frame.collect_schema()[column])
        return self._chains.add(frame, Kernel((column,), {output: dtype}, body), self._run)

    def ngrams(self, frame: pl.LazyFrame, column: str, runs: Runs, output: str) -> pl.LazyFrame:
        def body(rows: DeviceFrame) -> DeviceFrame:
            return ngrams.gpu(rows, column, runs, output)

        return self._chains.add(frame, Kernel((column,), {output: NGRAMS}, body), self._run)

    def elements(
        self,
        frame: pl.LazyFrame,
        column: str,
        outputs: Sequence[str],
        apply: Callable[[pl.LazyFrame, Engine], pl.LazyFrame],
    ) -> pl.LazyFrame:
        def query_of(part: pl.LazyFrame) -> pl.LazyFrame:
            return apply(part, self).select(outputs)

        dtypes = output_dtypes(frame.collect_schema()[column], column, outputs, query_of)

        def body(rows: DeviceFrame) -> DeviceFrame:
            def run(part: DeviceFrame) -> DeviceFrame:
                return self._run(query_of(query.as_source(part.schema, part.select)))

            return elements.gpu(rows, column, dtypes, run)

        return self._chains.add(frame, Kernel((column,), dtypes, body), self._run)

    def write_pieces(self, path: Path, rows: Held, bucket: str, buckets: int) -> None:
        pieces.gpu_write(path, _held(rows), bucket, buckets)

    def read_bucket(self, paths: Sequence[Path], bucket: int) -> OnDevice:
        return OnDevice(pieces.gpu_read(paths, bucket))

    def write_rows(self, path: Path, rows: Held) -> None:
        pieces.gpu_write_rows(path, _held(rows))

    def read_rows(self, paths: Sequence[Path], row: str, first: int, last: int) -> pl.LazyFrame:
        return stored.cpu_read_rows(paths, row, first, last)

    def write_parquet(self, sink: BinaryIO, rows: Held, layout: Layout) -> tuple[int, ...]:
        return parquet.gpu(sink, _held(rows), layout)


def _held(rows: Held) -> DeviceFrame:
    assert isinstance(rows, OnDevice)
    return rows.frame
