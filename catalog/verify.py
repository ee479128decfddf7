"""Verification: does every byte of a published version still say what was published?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalog.arrow_schema import arrow_fields, arrow_summary, fingerprint
from headrace.catalog.build import MANIFEST
from headrace.catalog.files import sha256_of
from headrace.catalog.manifest import Manifest
from headrace.catalog.reader import Dataset, open_dataset
from headrace.catalog.records import File, FileRef
from headrace.catalog.stored import read_manifest
from headrace.schemas.errors import DataError, UsageError

Level = Literal["size", "sha256", "pages"]
LEVELS: Final[tuple[Level, ...]] = ("size", "sha256", "pages")


@dataclass(frozen=True)
class Damage:
    """A file that is not what the manifest says it is."""

    path: str
    """Relative to the build; ``../<build>/...`` for a shard of an older one."""
    problem: str
    """missing, unlisted, size, sha256, outside, unreadable, rows, row groups, schema, nulls or manifest."""
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}: expected {self.expected}, got {self.got}"


def verify(dataset: Dataset | str | Path, level: Level = "sha256") -> list[Damage]:
    """Compare every file of a version with its manifest, and the manifest with its commit record.

    Parameters
    ----------
    level
        ``size``: what is there and how large it is; no data are read. ``sha256``: and every byte. ``pages``: and that
        every page of every shard decodes, with a right checksum if it has one, with the rows, row groups, schema and
        REQUIRED columns of the manifest. Shards that the GPU engine wrote have no checksums of pages:
        `headrace.catalog.checksums` says which these are.

    Returns
    -------
    list of Damage
        Empty if all is as published; by path.

    Raises
    ------
    UsageError
        No such dataset, version or level.

    Notes
    -----
    Cost: ``sha256`` reads each file once, ``pages`` shards twice; one row group of memory per thread.
    """
    if level not in LEVELS:
        raise UsageError(f"{level!r} is not a level of verification", hint=f"one of {', '.join(LEVELS)}")
    try:
        opened = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
        manifest = read_manifest(opened.folder, opened.record)
    except DataError as error:
        return [Damage(MANIFEST, "manifest", "as in the commit record", str(error))]
    found = list(_presence(opened, manifest))
    bad = {damage.path for damage in found}
    if level != "size":
        listed = [ref for ref in manifest.all_files() if manifest.place(ref) not in bad]
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            for damages in pool.map(lambda ref: _content(opened, ref, manifest, level), listed):
                found += damages
    found += _consistency(manifest)
    return sorted(found, key=lambda damage: (damage.path, damage.problem))


def _presence(opened: Dataset, manifest: Manifest) -> Iterator[Damage]:
    for ref in manifest.all_files():
        path = manifest.place(ref)
        try:
            full = opened.local(ref)
        except DataError as error:
            yield Damage(path, "outside", "a file of the build", error.message)
            continue
        if not full.is_file():
            yield Damage(path, "missing", f"{ref.bytes} bytes", "nothing")
        elif (size := full.stat().st_size) != ref.bytes:
            yield Damage(path, "size", f"{ref.bytes} bytes", f"{size} bytes")
    own = {ref.path for ref in manifest.own_files()}
    for full in opened.path.rglob("*"):
        path = full.relative_to(opened.path).as_posix()
        if not full.is_dir() and path not in own and path != MANIFEST:
            yield Damage(path, "unlisted", "nothing", f"{full.lstat().st_size} bytes")


def _content(opened: Dataset, ref: FileRef, manifest: Manifest, level: Level) -> list[Damage]:
    full, path = opened.local(ref), manifest.place(ref)
    try:
        _, digest = sha256_of(full)
    except OSError as error:
        return [Damage(path, "unreadable", f"{ref.bytes} bytes", error.strerror or str(error))]
    found = [] if digest == ref.sha256 else [Damage(path, "sha256", ref.sha256, digest)]
    if level == "pages" and isinstance(ref, File):
        found += (replace(damage, path=path) for damage in _pages(full, ref, manifest))
    return found


def _pages(full: Path, ref: File, manifest: Manifest) -> Iterator[Damage]:
    try:
        with pq.ParquetFile(full, page_checksum_verification=True) as shard:
            groups = tuple(shard.metadata.row_group(i).num_rows for i in range(shard.num_row_groups))
            if shard.metadata.num_rows != ref.rows:
                yield Damage(ref.path, "rows", str(ref.rows), str(shard.metadata.num_rows))
            if groups != ref.row_groups:
                yield Damage(ref.path, "row groups", str(ref.row_groups), str(groups))
            fields = arrow_fields(shard.schema_arrow)
            if fields != manifest.arrow_schema:
                yield Damage(ref.path, "schema", "as in the manifest", arrow_summary(fields, manifest.arrow_schema))
            required = [field.name for field in shard.schema_arrow if not field.nullable]
            for index in range(shard.num_row_groups):
                table = shard.read_row_group(index)
                table.validate(full=True)
                for name in required:
                    if nulls := table.column(name).null_count:
                        yield Damage(ref.path, "nulls", f"{name}: 0", f"{name}: {nulls} in row group {index}")
    except (OSError, pa.ArrowException) as error:
        yield Damage(ref.path, "unreadable", "pages with right checksums", str(error).splitlines()[0])


def _consistency(manifest: Manifest) -> Iterator[Damage]:
    if (got := fingerprint(manifest.arrow_schema)) != manifest.schema_fingerprint:
        yield Damage(MANIFEST, "schema", manifest.schema_fingerprint, got)
