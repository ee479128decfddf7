"""What a run will do, known from footers alone: partitions, passes, exchanges, bytes and memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.pipelines.model import Pipeline
from headrace.pipelines.passes import columns_read
from headrace.pipelines.resolve import Resolved
from headrace.pipelines.sources import CheckedFile, SourceFiles
from headrace.schemas.footers import Footer
from headrace.transforms.base import describe

UNIT_ROWS = 1 << 16
"""Row groups are run together to units of at least this many rows; float statistics are measured per unit."""

BUCKET_ROWS = 1 << 21
"""Rows of one bucket of an exchange by key, about."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Unit(_Frozen):
    """A run of row groups of one file. Numbered over all files; depends on the files alone, never on partitions."""

    number: int
    first_row: int
    rows: int


class Partition(_Frozen):
    """A run of units of one file that one task works on. `first_row` counts over the whole source."""

    number: int
    file: str
    fingerprint: str
    file_row: int
    first_row: int
    rows: int
    bytes: int
    units: tuple[Unit, ...]

    def parts(self, count: int) -> tuple[Partition, ...]:
        """The partition cut into at most `count` runs of about equally many units, to be worked on one by one."""
        count = min(count, len(self.units))
        if count <= 1:
            return (self,)
        bounds = [i * len(self.units) // count for i in range(count + 1)]
        return tuple(self._of(self.units[low:high]) for low, high in pairwise(bounds))

    def _of(self, units: tuple[Unit, ...]) -> Partition:
        first, rows = units[0].first_row, sum(unit.rows for unit in units)
        changed = {
            "file_row": self.file_row + first - self.first_row,
            "first_row": first,
            "rows": rows,
            "bytes": self.bytes * rows // max(1, self.rows),
            "units": units,
        }
        return self.model_copy(update=changed)


class PlannedPass(_Frozen):
    """One pass over the rows, and all it serves."""

    number: int
    serves: tuple[str, ...]
    columns: tuple[str, ...]
    bytes: int


class PlannedAppend(_Frozen):
    """The version that the rows of a run are appended to, and its columns that may have nulls."""

    version: int
    nullable: tuple[str, ...]


class Plan(_Frozen):
    """What a run will do. `memory_bytes` is what one worker is expected to need at most."""

    pipeline: str
    files: tuple[CheckedFile, ...]
    rows: int
    partitions: tuple[Partition, ...]
    passes: tuple[PlannedPass, ...]
    exchanges: tuple[str, ...]
    buckets: int
    shard_rows: int
    tasks: int
    features: tuple[str, ...]
    output: dict[str, str]
    memory_bytes: int
    available_bytes: int
    vocabularies: dict[str, str] = {}
    """By column: what its vocabulary continues, or why it begins anew; of steps with `previous`."""
    appends_to: PlannedAppend | None = None
    notes: tuple[str, ...] = ()
    """What is to be said of the run beside its numbers."""


def make_plan(
    pipeline: Pipeline,
    resolved: Resolved,
    files: SourceFiles,
    partition_bytes: int,
    vocabularies: Mapping[str, str] = MappingProxyType({}),
) -> Plan:
    """Plan a run over these files.

    Parameters
    ----------
    partition_bytes
        Bytes of one partition's rows in memory, about; a partition has at least one unit.
    vocabularies
        What is known of those that steps continue, by column.
    """
    partitions = _partitions(files, row_width(resolved.source), partition_bytes)
    passes = tuple(_pass(resolved, files, number) for number in range(resolved.passes))
    final = _pass(resolved, files, resolved.passes)
    rows = sum(p.rows for p in partitions)
    buckets = max(1, -(-rows // BUCKET_ROWS))
    windows = [s for s in resolved.steps if s.collects]
    exchanges = [f"unique {', '.join(key)}" for key in pipeline.contract.unique_keys()]
    exchanges += [f"{describe(s.step)} by {', '.join(s.gathered[: len(s.form.entity)])}" for s in windows]  # type: ignore[attr-defined]
    exchanges.append(f"{pipeline.output.order} into shards")
    shard_rows = _shard_rows(resolved, pipeline.output.shard_bytes)
    shards = len(pipeline.split.names) + rows // shard_rows
    width = max(p.bytes for p in partitions) if partitions else 0
    return Plan(
        pipeline=pipeline.name,
        files=files.checked,
        rows=rows,
        partitions=partitions,
        passes=(*passes, final),
        exchanges=tuple(exchanges),
        buckets=buckets,
        shard_rows=shard_rows,
        tasks=len(partitions) * (resolved.passes + 1) + buckets * (len(exchanges) - 1) + shards,
        features=resolved.features,
        output={name: str(dtype) for name, dtype in resolved.output.items()},
        memory_bytes=_BASE_MEMORY + max(2 * width, 3 * min(shard_rows, max(rows, 1)) * row_width(resolved.output)),
        available_bytes=_available_memory(),
        vocabularies=dict(vocabularies),
    )


def row_width(schema: pl.Schema) -> int:
    """Bytes of one row in memory, about: what fixed types take, 24 for the rest (a short string and its view)."""
    return sum(_WIDTHS.get(dtype.base_type(), 24) for dtype in schema.values())


def content_key(*parts: str) -> str:
    """A name for what is computed from exactly these inputs: SHA-256 over the parts and this package's own code."""
    digest = hashlib.sha256(code_digest().encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part.encode())
    return digest.hexdigest()[:32]


def code_digest() -> str:
    """SHA-256 over the source of headrace: work of another version is never resumed."""
    import headrace

    root = Path(headrace.__file__).parent
    digest = hashlib.sha256()
    for folder in ("schemas", "engines", "transforms", "catalog", "pipelines"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _partitions(files: SourceFiles, width: int, partition_bytes: int) -> tuple[Partition, ...]:
    partitions: list[Partition] = []
    unit_number = 0
    row = 0
    for footer in files.footers:
        units: list[tuple[Unit, int]] = []
        first = rows = size = 0
        for group in footer.row_groups:
            # A footer knows the size of encoded pages; a dictionary of few values hides what the rows take in memory.
            rows, size = rows + group.rows, size + max(group.bytes, group.rows * width)
            if rows >= UNIT_ROWS:
                units.append((Unit(number=unit_number, first_row=row + first, rows=rows), size))
                unit_number, first, rows, size = unit_number + 1, first + rows, 0, 0
        if rows:
            units.append((Unit(number=unit_number, first_row=row + first, rows=rows), size))
            unit_number += 1
        held: list[Unit] = []
        held_bytes = 0
        for unit, unit_bytes in units:
            if held and held_bytes + unit_bytes > partition_bytes:
                partitions.append(_partition(len(partitions), footer, row, held, held_bytes))
                held, held_bytes = [], 0
            held.append(unit)
            held_bytes += unit_bytes
        if held:
            partitions.append(_partition(len(partitions), footer, row, held, held_bytes))
        row += footer.rows
    return tuple(partitions)


def _partition(number: int, footer: Footer, file_start: int, units: Sequence[Unit], size: int) -> Partition:
    first = units[0].first_row
    return Partition(
        number=number,
        file=str(footer.path),
        fingerprint=footer.fingerprint,
        file_row=first - file_start,
        first_row=first,
        rows=sum(u.rows for u in units),
        bytes=size,
        units=tuple(units),
    )


def _pass(resolved: Resolved, files: SourceFiles, number: int) -> PlannedPass:
    contract = resolved.pipeline.contract
    if number == 0:
        columns = tuple(contract.names)  # the contract is checked in the first pass, and sees every column
        serves: tuple[str, ...] = ("contract", *(f"unique {', '.join(k)}" for k in contract.unique_keys()))
    else:
        columns, serves = columns_read(resolved, number), ()
    serves += tuple(describe(s.step) for s in resolved.in_pass(number))
    if number == resolved.passes:
        serves += ("apply",)
    sizes = files.column_bytes
    return PlannedPass(number=number, serves=serves, columns=columns, bytes=sum(sizes.get(c, 0) for c in columns))


def _shard_rows(resolved: Resolved, shard_bytes: int) -> int:
    rows = shard_bytes // max(1, row_width(resolved.output))
    return max(_ROW_GROUP, rows // _ROW_GROUP * _ROW_GROUP)


def _available_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


_ROW_GROUP = 1 << 17
_BASE_MEMORY = 300 << 20
_WIDTHS = {
    pl.Boolean: 1,
    pl.Int8: 1,
    pl.UInt8: 1,
    pl.Int16: 2,
    pl.UInt16: 2,
    pl.Int32: 4,
    pl.UInt32: 4,
    pl.Float32: 4,
    pl.Date: 4,
    pl.Int64: 8,
    pl.UInt64: 8,
    pl.Float64: 8,
    pl.Datetime: 8,
    pl.Duration: 8,
    pl.Time: 8,
}
