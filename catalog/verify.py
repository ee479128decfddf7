"""Verification: does every byte of a published version still say what was published?"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalog.arrow_schema import arrow_fields, arrow_summary, fingerprint
from headrace.catalog.bookkeeping import record_damage
from headrace.catalog.cache import pieces
from headrace.catalog.damage import Damage, presence
from headrace.catalog.files import sha256_of
from headrace.catalog.manifest import MANIFEST, Manifest
from headrace.catalog.place import Place
from headrace.catalog.reader import Dataset, open_dataset, split_version
from headrace.catalog.records import File, FileRef
from headrace.catalog.store import open_store
from headrace.catalog.stored import object_name, read_manifest
from headrace.schemas.errors import DataError, RunError, UsageError

__all__ = ["LEVELS", "Damage", "Level", "verify"]

Level = Literal["size", "sha256", "pages"]
LEVELS: Final[tuple[Level, ...]] = ("size", "sha256", "pages")


def verify(dataset: Dataset | str | Path | Place, level: Level = "sha256") -> list[Damage]:
    """Compare every file of a version with its manifest, the manifest with its commit record, and the dataset's small
    records, of all versions, with their seals.

    Parameters
    ----------
    level
        ``size``: what is there and how large it is; no data are read, and of the small records the version's own.
        ``sha256``: and every byte. ``pages``: and that
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
    Cost: ``sha256`` reads each file once, ``pages`` shards twice; one row group of memory per thread. In an object
    store ``size`` is a listing; ``sha256`` and ``pages`` fetch each file once, and keep none: ``pages`` needs room for
    a few shards in the temporary folder.
    """
    if level not in LEVELS:
        raise UsageError(f"{level!r} is not a level of verification", hint=f"one of {', '.join(LEVELS)}")
    place = dataset.place if isinstance(dataset, Dataset) else split_version(Place.of(dataset))[0]
    try:
        given = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
        opened = replace(given, verify="cache")  # what is wrong is to be listed, not raised
        manifest = read_manifest(opened.place, opened.record)
    except DataError as error:
        found = list(record_damage(open_store(place), read=level != "size"))
        if not any(error.where.endswith(damage.path.removeprefix("../..")) for damage in found):
            found.append(Damage(MANIFEST, "manifest", "as in the commit record", str(error)))
        return sorted(found, key=_order)
    found = list(record_damage(open_store(place), opened.version, read=level != "size"))
    found += presence(opened, manifest)
    bad = {damage.path for damage in found}
    if level != "size":
        listed = [ref for ref in manifest.all_files() if manifest.place(ref) not in bad]
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            for damages in pool.map(lambda ref: _content(opened, ref, manifest, level), listed):
                found += damages
    found += _consistency(manifest)
    return sorted(found, key=_order)


def _order(damage: Damage) -> tuple[str, str]:
    return damage.path, damage.problem


def _content(opened: Dataset, ref: FileRef, manifest: Manifest, level: Level) -> list[Damage]:
    path = manifest.place(ref)
    with contextlib.ExitStack() as stack:
        try:
            if opened.place.remote:
                full, digest = _fetched(opened, ref, stack, keep=level == "pages" and isinstance(ref, File))
            else:
                full = opened.local(ref)
                _, digest = sha256_of(full)
        except OSError as error:
            return [Damage(path, "unreadable", f"{ref.bytes} bytes", error.strerror or str(error))]
        except DataError as error:
            return [Damage(path, "unreadable", f"{ref.bytes} bytes", error.message)]
        found = [] if digest == ref.sha256 else [Damage(path, "sha256", ref.sha256, digest)]
        if level == "pages" and isinstance(ref, File):
            found += (replace(damage, path=path) for damage in _pages(full, ref, manifest))
    return found


def _fetched(opened: Dataset, ref: FileRef, stack: contextlib.ExitStack, *, keep: bool) -> tuple[Path, str]:
    """The hash of a file in an object store; `keep` it in a temporary file. The cache is not used."""
    store, digest = open_store(opened.place), hashlib.sha256()
    try:
        # Closed by the stack, when its pages were looked at.
        out = stack.enter_context(tempfile.NamedTemporaryFile(prefix="headrace-verify-")) if keep else None  # noqa: SIM115
        for data in pieces(store, object_name(opened.build_of(ref), ref.path), ref.bytes):
            digest.update(data)
            if out is not None:
                out.write(data)
        if out is None:
            return Path(), digest.hexdigest()
        out.flush()
    except OSError as error:
        raise RunError(
            f"no room for a shard of {ref.bytes:,} bytes: {error.strerror or error}",
            hint="free space in the temporary folder, or set TMPDIR to another; level sha256 needs no room",
            where=tempfile.gettempdir(),
        ) from error
    return Path(out.name), digest.hexdigest()


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
