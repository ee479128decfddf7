"""What of a dataset must stay: marked from its versions, refs and leases, or refused where any of it cannot be read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from obstore.store import ObjectStore

from headrace.catalog import log
from headrace.catalog import store as stores
from headrace.catalog.leases import live_leases
from headrace.catalog.log import CommitRecord
from headrace.catalog.manifest import MANIFEST, Manifest
from headrace.catalog.refs import refs
from headrace.catalog.retired import Retirement, retired_versions, retirement, retirement_name
from headrace.catalog.stored import parse_manifest
from headrace.schemas.errors import DataError

BUILDS: Final = "builds"


@dataclass(frozen=True)
class Retained:
    """What garbage collection keeps."""

    whole: frozenset[str]
    """Builds of versions that stay: all that is in them."""
    shards: Mapping[str, frozenset[str]]
    """By build, the paths in it that versions of other builds list."""
    versions: Mapping[str, int]
    """The version that a build was committed as."""
    retired: Mapping[int, Retirement]
    users: Mapping[int, tuple[str, ...]]
    """By version, the names and jobs that are on it, in words."""
    listed_by: Mapping[str, tuple[int, ...]]
    """By build, the versions of other builds that list shards of it."""

    def keeps(self, build: str, path: str) -> bool:
        return build in self.whole or path in self.shards.get(build, frozenset())


def retained(store: ObjectStore, at: datetime, known: Known) -> Retained:
    """What stays: the versions that are not retired or that refs and live leases are on, and the shards they list.

    Raises
    ------
    DataError
        Any of it is missing, damaged, or speaks of a version that the log does not have.

    Notes
    -----
    The order of reading matters: whoever takes a version into use says so first and looks then whether it is retired;
    and an append ends its lease on the version that it goes on from after its own commit.
    """
    retired = {version: known.retirement(store, version) for version in retired_versions(store)}
    used = users(store, at)
    records = known.all_records(store)
    if beyond := {*retired, *used} - {record.version for record in records}:
        raise known.unknown(store, f"there is no commit record of version {max(beyond)}", log.record_name(max(beyond)))
    staying = [record for record in records if record.version not in retired or record.version in used]
    shards: dict[str, set[str]] = {}
    listed_by: dict[str, set[int]] = {}
    for record in staying:
        for split in known.manifest(store, record).splits.values():
            for file in split.files:
                if file.build is not None and file.build != record.build:
                    shards.setdefault(file.build, set()).add(file.path)
                    listed_by.setdefault(file.build, set()).add(record.version)
    return Retained(
        whole=frozenset(record.build for record in staying),
        shards={build: frozenset(paths) for build, paths in shards.items()},
        versions={record.build: record.version for record in records},
        retired=retired,
        users=used,
        listed_by={build: tuple(sorted(numbers)) for build, numbers in listed_by.items()},
    )


def users(store: ObjectStore, at: datetime | None = None) -> dict[int, tuple[str, ...]]:
    """Who is on a version, in words: names in their order, then jobs with a live lease. Raises DataError if damaged."""
    found: dict[int, list[str]] = {}
    for name, ref in refs(store).items():
        if ref.version is not None:
            found.setdefault(ref.version, []).append(f"the name {name}")
    for version, job in sorted({(lease.version, lease.job) for lease in live_leases(store, at)}):
        found.setdefault(version, []).append(f"the job {job}")
    return {version: tuple(words) for version, words in found.items()}


class Known:
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
                raise self.unknown(store, f"the retirement of version {version} is gone", retirement_name(version))
            self._retired[version] = found
        return self._retired[version]

    def all_records(self, store: ObjectStore) -> list[CommitRecord]:
        numbers = log.versions(store)
        head = max(max(numbers, default=0), log.latest_version(store) or 0, log.hinted_version(store) or 0)
        for version in range(1, head + 1):
            if version not in self._records:
                record = log.read(store, version)
                if record is None:
                    what = f"there are versions up to {head}, and no commit record of version {version}"
                    raise self.unknown(store, what, log.record_name(version))
                self._records[version] = record
        return [self._records[version] for version in range(1, head + 1)]

    def manifest(self, store: ObjectStore, record: CommitRecord) -> Manifest:
        if record.build not in self._manifests:
            name = f"{BUILDS}/{record.build}/{MANIFEST}"
            data = stores.get(store, name)
            if data is None or hashlib.sha256(data).hexdigest() != record.manifest_sha256:
                what = "is missing" if data is None else "was changed after it was published"
                raise self.unknown(store, f"the manifest of version {record.version} {what}", name)
            self._manifests[record.build] = parse_manifest(data, f"{stores.place(store)}/{name}")
        return self._manifests[record.build]

    def unknown(self, store: ObjectStore, what: str, name: str) -> DataError:
        """The refusal to go on."""
        return DataError(
            f"{what}: what {self._dataset} needs is not known, and no garbage is collected",
            hint="restore it from a backup",
            where=f"{stores.place(store)}/{name}",
        )
