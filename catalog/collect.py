"""Garbage collection: what no version, ref or lease needs any more, found and, only if asked to, deleted.

What stays is marked from the versions that are not retired, those that refs and live leases are on, and the shards of
older builds that any of these list. What goes: files of retired versions' builds; builds that were never committed and
are old; leases that ran out long ago; what killed processes left of small objects. Commit records, refs and retirements
stay for good.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from obstore.store import ObjectStore

from headrace.catalog import log
from headrace.catalog import store as stores
from headrace.catalog.build import MANIFEST
from headrace.catalog.leases import FOLDER as LEASES
from headrace.catalog.leases import leases, live_leases
from headrace.catalog.log import CommitRecord
from headrace.catalog.manifest import Manifest
from headrace.catalog.objects import Object, delete, delete_folder, folders, listed, staged
from headrace.catalog.refs import refs
from headrace.catalog.retired import Retirement, retired_versions, retirement, retirement_name
from headrace.catalog.stored import parse_manifest
from headrace.schemas.errors import DataError, UsageError

BUILDS: Final = "builds"
OLD: Final = timedelta(days=7)
"""Age from which a build that was never committed is taken for one that nobody works on."""

YOUNGEST: Final = timedelta(hours=1)
"""The least that may be asked for instead."""

LEFTOVER: Final = timedelta(days=1)
"""Age of leases that ran out, and of what is left of probes and small objects."""


@dataclass(frozen=True)
class Garbage:
    """What nobody needs: a build or part of one, or a small object."""

    path: str
    """Below the dataset: ``builds/<id>``, or an object's name."""
    why: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Collection:
    """What a collection found in a dataset and, if it was told to, deleted."""

    dataset: str
    garbage: tuple[Garbage, ...]
    deleted: bool
    spared: tuple[str, ...] = ()
    """Builds that were found, and that someone committed or began to use before their turn came."""

    @property
    def bytes(self) -> int:
        return sum(found.bytes for found in self.garbage)


@dataclass(frozen=True)
class _Marked:
    whole: frozenset[str]
    """Builds of versions that stay: all that is in them."""
    shards: Mapping[str, frozenset[str]]
    """By build, the paths in it that versions of other builds list."""
    versions: Mapping[str, int]
    """The version that a build was committed as."""
    retired: Mapping[int, Retirement]

    def keeps(self, build: str, path: str) -> bool:
        return build in self.whole or path in self.shards.get(build, frozenset())


def collect(
    store: ObjectStore,
    *,
    dataset: str = "dataset",
    remove: bool = False,
    older_than: timedelta = OLD,
    at: datetime | None = None,
) -> Collection:
    """Find what nobody needs, and with `remove` delete it.

    Parameters
    ----------
    older_than
        Age of builds without a commit: by the time in their name, and by their newest file. A build that a run still
        writes is younger than that, and so is one that was finished just now.
    at
        The time that ages are counted to; now if not given.

    Raises
    ------
    UsageError
        `older_than` is less than an hour.
    DataError
        A commit record, a manifest, ref, lease or retirement cannot be read or is missing. What it would keep is not
        known, so nothing is deleted.

    Notes
    -----
    Before each build is deleted, all is marked again: a version, ref or lease that came meanwhile keeps it. Killed in
    the middle, it is run again. Cost: every small record, the manifests of the versions that stay, and a listing of the
    builds; for each build that goes, the listings of small records again, refs, leases, and what is new.
    """
    if older_than < YOUNGEST:
        raise UsageError(
            f"builds of the last {older_than} may still be written to", hint="an hour is the least, 7 days the default"
        )
    at = at or datetime.now(UTC)
    known = _Known(dataset)
    marked = _mark(store, at, known)
    builds = {build: listed(store, f"{BUILDS}/{build}") for build in folders(store, BUILDS)}
    found, spared = [], []
    for build, objects in sorted(builds.items()):
        if not (why := _why(build, objects, marked, at - older_than)):
            continue
        if remove:
            marked, objects = _mark(store, at, known), listed(store, f"{BUILDS}/{build}")
            if not _why(build, objects, marked, at - older_than):
                spared.append(build)
                continue
        gone = [one for one in objects if not marked.keeps(build, _path(one))]
        if gone or not objects:
            found.append(Garbage(f"{BUILDS}/{build}", why, len(gone), sum(one.bytes for one in gone)))
        if remove:
            _delete(store, build, gone, whole=build not in marked.shards)
    for one, why in _leftovers(store, at):
        found.append(Garbage(one.name, why, 1, one.bytes))
        if remove:
            delete(store, one.name)
    return Collection(dataset, tuple(found), remove, tuple(spared))


def _why(build: str, objects: Iterable[Object], marked: _Marked, before: datetime) -> str:
    """Why a build, or what others do not list of it, is garbage; empty if it is not."""
    if build in marked.whole:
        return ""
    if (version := marked.versions.get(build)) is not None:
        retired = marked.retired[version]
        return f"version {version}, retired on {retired.retired_at[:10]}: {retired.reason}"
    made = _made(build)
    if made is None or build in marked.shards:
        return ""
    newest = max([made, *(one.modified for one in objects)])
    return f"never committed, untouched since {newest:%Y-%m-%d %H:%M} UTC" if newest < before else ""


def _delete(store: ObjectStore, build: str, gone: Iterable[Object], *, whole: bool) -> None:
    for one in gone:
        delete(store, one.name)
    if whole:
        delete_folder(store, f"{BUILDS}/{build}")


def _mark(store: ObjectStore, at: datetime, known: _Known) -> _Marked:
    """What stays. Read in this order: whoever takes a version into use says so first and looks then if it is retired;
    and an append ends its lease on the version it goes on from after its own commit."""
    retired = {version: known.retirement(store, version) for version in retired_versions(store)}
    used = {ref.version for ref in refs(store).values()} | {one.version for one in live_leases(store, at).values()}
    records = known.all_records(store)
    staying = [record for record in records if record.version not in retired or record.version in used]
    shards: dict[str, set[str]] = {}
    for record in staying:
        for split in known.manifest(store, record).splits.values():
            for file in split.files:
                if file.build is not None and file.build != record.build:
                    shards.setdefault(file.build, set()).add(file.path)
    return _Marked(
        whole=frozenset(record.build for record in staying),
        shards={build: frozenset(paths) for build, paths in shards.items()},
        versions={record.build: record.version for record in records},
        retired=retired,
    )


class _Known:
    """What was read and never changes: records, retirements, manifests. All of it must be readable."""

    def __init__(self, dataset: str) -> None:
        self._dataset = dataset
        self._records: dict[int, CommitRecord] = {}
        self._retired: dict[int, Retirement] = {}
        self._manifests: dict[str, Manifest] = {}

    def retirement(self, store: ObjectStore, version: int) -> Retirement:
        if version not in self._retired:
            found = retirement(store, version)
            if found is None:
                raise self._unknown(store, f"the retirement of version {version} is gone", retirement_name(version))
            self._retired[version] = found
        return self._retired[version]

    def all_records(self, store: ObjectStore) -> list[CommitRecord]:
        numbers = log.versions(store)
        head = max(max(numbers, default=0), log.latest_version(store) or 0)
        for version in range(1, head + 1):
            if version not in self._records:
                record = log.read(store, version)
                if record is None:
                    what = f"there are versions up to {head}, and no commit record of version {version}"
                    raise self._unknown(store, what, log.record_name(version))
                self._records[version] = record
        return [self._records[version] for version in range(1, head + 1)]

    def manifest(self, store: ObjectStore, record: CommitRecord) -> Manifest:
        if record.build not in self._manifests:
            name = f"{BUILDS}/{record.build}/{MANIFEST}"
            data = stores.get(store, name)
            if data is None or hashlib.sha256(data).hexdigest() != record.manifest_sha256:
                what = "is missing" if data is None else "was changed after it was published"
                raise self._unknown(store, f"the manifest of version {record.version} {what}", name)
            self._manifests[record.build] = parse_manifest(data, f"{stores.place(store)}/{name}")
        return self._manifests[record.build]

    def _unknown(self, store: ObjectStore, what: str, name: str) -> DataError:
        return DataError(
            f"{what}: what {self._dataset} needs is not known, and no garbage is collected",
            hint="restore it from a backup",
            where=f"{stores.place(store)}/{name}",
        )


def _made(build: str) -> datetime | None:
    """When a build was begun, from its name; None if the name is not one of ours."""
    try:
        identity = uuid.UUID(build)
    except ValueError:
        return None
    if str(identity) != build or identity.version != 7:
        return None
    return datetime.fromtimestamp((identity.int >> 80) / 1000, UTC)


def _path(one: Object) -> str:
    return one.name.split("/", 2)[2]


def _leftovers(store: ObjectStore, at: datetime) -> Iterator[tuple[Object, str]]:
    over = {job for job, lease in leases(store).items() if lease.until < at - LEFTOVER}
    for one in listed(store, LEASES):
        if one.name.rpartition("/")[2].removesuffix(".json") in over:
            yield one, "a lease that ran out"
    left = [(one, "left by a probe") for one in listed(store, "_probe")]
    left += [(one, "left by a process that was killed") for one in staged(store)]
    yield from ((one, why) for one, why in left if one.modified < at - LEFTOVER)
