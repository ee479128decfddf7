"""The GPU engine: queries run by cuDF on this process's device, kernels by their bodies on pylibcudf."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import polars as pl

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Engine, EngineName, Held, Kernel
from headrace.engines.gpu import asof, elements, lists, lookup, ngrams, parquet, pieces, query, rolling, xxhash64
from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.gpu.memory import device_errors
from headrace.engines.gpu.source import Chains, Link
from headrace.engines.kernels import pieces as stored
from headrace.engines.kernels.asof import JoinAsof
from headrace.engines.kernels.elements import Elements
from headrace.engines.kernels.lists import Lists
from headrace.engines.kernels.lookup import Lookup
from headrace.engines.kernels.ngrams import Ngrams
from headrace.engines.kernels.parquet import Layout
from headrace.engines.kernels.rolling import Rolling
from headrace.engines.kernels.xxhash64 import Hash64
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

    def kernel(self, frame: pl.LazyFrame, kernel: Kernel) -> pl.LazyFrame:
        writes = kernel.writes(frame.collect_schema(), self)
        return self._chains.add(frame, Link(kernel.reads, writes, self._body(kernel, writes)), self._run)

    def _body(self, kernel: Kernel, writes: Mapping[str, pl.DataType]) -> Callable[[DeviceFrame], DeviceFrame]:
        match kernel:
            case Lookup():
                return lambda rows: lookup.gpu(rows, kernel, self._vocabularies.of(kernel.vocabulary))
            case JoinAsof():
                return lambda rows: asof.gpu(rows, kernel, self._run(kernel.table))
            case Elements():
                return lambda rows: elements.gpu(rows, kernel.column, writes, partial(self._apply, kernel))
            case Hash64():
                return lambda rows: xxhash64.gpu(rows, kernel)
            case Rolling():
                return lambda rows: rolling.gpu(rows, kernel)
            case Lists():
                return lambda rows: lists.gpu(rows, kernel)
            case Ngrams():
                return lambda rows: ngrams.gpu(rows, kernel)
        raise AssertionError(f"kernel {kernel.name!r} has no body for the GPU")

    def _apply(self, kernel: Elements, part: DeviceFrame) -> DeviceFrame:
        return self._run(kernel.apply(query.as_source(part.schema, part.select), self).select(kernel.outputs))

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
