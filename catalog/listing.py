"""What a catalog holds: its datasets, and the history of one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.catalog import log, refs, retired
from headrace.catalog.log import CommitRecord
from headrace.catalog.place import Place
from headrace.catalog.reader import dataset_names, is_dataset, split_version, unknown_dataset
from headrace.catalog.retired import Retirement
from headrace.catalog.store import exists, open_store
from headrace.catalog.stored import read_manifest
from headrace.schemas.errors import DataError, UsageError


@dataclass(frozen=True)
class Summary:
    """A line of `headrace datasets list`."""

    name: str
    version: int
    created_at: str
    rows: dict[str, int]
    columns: int
    bytes: int
    path: str
    """Its folder or URI."""
    problem: str = ""
    """Why the latest version, or what the dataset's names mean, cannot be read; the counts are empty then."""
    refs: dict[str, int] = field(default_factory=dict)
    """The names of versions, each with the version that it means."""


@dataclass(frozen=True)
class Version:
    """A line of a dataset's history."""

    record: CommitRecord
    rows: dict[str, int] | None
    """Rows of each split; None if its manifest cannot be read."""
    retired: Retirement | None = None
    refs: tuple[str, ...] = ()
    """Names that mean this version."""


def list_datasets(catalog: str | Path | Place) -> list[Summary]:
    """The datasets of a catalog by name, each with its latest version.

    Raises UsageError if there is no such folder, or if it is a dataset; in an object store, where there are no folders,
    if nothing is there.
    """
    root = Place.of(catalog)
    if not exists(root):
        raise UsageError(f"no catalog at {root}", hint="it is made by the first `headrace run`")
    with ThreadPoolExecutor(8 if root.remote else 1) as pool:
        summaries = pool.map(lambda name: _summary(root / name), dataset_names(root))
        found = [summary for summary in summaries if summary is not None]
    if not found and is_dataset(root):
        raise UsageError(f"{root} is a dataset, not a catalog", hint=f"headrace datasets list --catalog {root.parent}")
    return found


def history(uri: str | Path | Place) -> list[Version]:
    """All versions of a dataset, newest first, with the rows of each. Reads every commit record and manifest."""
    folder, _ = split_version(Place.of(uri))
    if (folder.folder is not None and not folder.folder.is_dir()) or not (
        listed := list(log.history(open_store(folder)))
    ):
        raise unknown_dataset(folder)
    store = open_store(folder)
    gone = {version: retired.retirement(store, version) for version in retired.retired_versions(store)}
    named = refs.refs(store)
    return [
        Version(
            record,
            _rows(folder, record),
            gone.get(record.version),
            tuple(name for name, ref in named.items() if ref.version == record.version),
        )
        for record in listed
    ]


def _summary(folder: Place) -> Summary | None:
    store = open_store(folder)
    head = log.latest_version(store)
    if head is None:
        return None
    empty: dict[str, Any] = {"created_at": "", "rows": {}, "columns": 0, "bytes": 0}
    newest = retired.newest(store)
    if newest is None:
        return Summary(folder.name, head, **empty, path=str(folder), problem="all versions are retired")
    try:
        record = log.read(store, newest)
        assert record is not None
        manifest = read_manifest(folder, record)
        named = {name: ref.version for name, ref in refs.refs(store).items() if ref.version is not None}
    except DataError as error:
        return Summary(folder.name, newest, **empty, path=str(folder), problem=str(error))
    return Summary(
        folder.name,
        newest,
        created_at=record.created_at,
        rows={name: split.rows for name, split in manifest.splits.items()},
        columns=len(manifest.arrow_schema),
        bytes=manifest.bytes,
        path=str(folder),
        refs=named,
    )


def _rows(folder: Place, record: CommitRecord) -> dict[str, int] | None:
    try:
        return {name: split.rows for name, split in read_manifest(folder, record).splits.items()}
    except DataError:
        return None
