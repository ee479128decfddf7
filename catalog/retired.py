"""Which versions are retired, and what `latest` means: the highest version that is not.

Commit records are never rewritten: a version is retired by a record of its own, `_retired/<version>.json`, that is
created once. The version keeps its number, and publishing takes the next one.
"""

from __future__ import annotations

import re
from typing import Final

from obstore.store import ObjectStore
from pydantic import Field

from headrace.catalog import log
from headrace.catalog import store as stores
from headrace.catalog.manifest import MANIFEST
from headrace.catalog.objects import Entry, read_entry
from headrace.schemas.errors import DataError, UsageError

FOLDER: Final = "_retired"
_RECORD: Final = re.compile(rf"{FOLDER}/(\d{{20}})\.json")


class Retirement(Entry):
    """`_retired/<version>.json`: nobody is to begin with this version any more."""

    version: int = Field(ge=1)
    reason: str
    retired_at: str

    @property
    def object_name(self) -> str:
        return retirement_name(self.version)


def retirement_name(version: int) -> str:
    """``_retired/00000000000000000007.json``."""
    return f"{FOLDER}/{version:020d}.json"


def retirement(store: ObjectStore, version: int) -> Retirement | None:
    """Why and when a version was retired, None if it was not. One read. Raises DataError for a damaged record."""
    return read_entry(store, retirement_name(version), Retirement)


def retired_versions(store: ObjectStore) -> list[int]:
    """Numbers of the retired versions, ascending. One listing."""
    matches = (_RECORD.fullmatch(name) for name in stores.names(store, FOLDER))
    return [int(match[1]) for match in matches if match]


def newest(store: ObjectStore) -> int | None:
    """The highest version that is not retired: what `latest` means. None if there is none.

    Notes
    -----
    Cost: that of `log.latest_version` and one read, and, only where the highest is retired, one listing.
    """
    head = log.latest_version(store)
    if head is None or retirement(store, head) is None:
        return head
    gone = set(retired_versions(store))
    return next((version for version in range(head - 1, 0, -1) if version not in gone), None)


def newest_record(store: ObjectStore) -> log.CommitRecord | None:
    """The commit record of the highest version that is not retired, None if there is none."""
    version = newest(store)
    return None if version is None else log.read(store, version)


def refuse_retired(store: ObjectStore, dataset: str, version: int) -> None:
    """Raise DataError if a version is retired: with the reason, and the version to use instead."""
    found = retirement(store, version)
    if found is None:
        return
    raise DataError(
        f"{dataset}@{version} was retired on {found.retired_at[:10]}: {found.reason}",
        hint=_instead(store, dataset),
        where=stores.place(store),
    )


def refuse_collected(store: ObjectStore, dataset: str, record: log.CommitRecord) -> None:
    """Raise UsageError if a version is retired and its files were collected: there is no such version any more."""
    found = retirement(store, record.version)
    if found is None or stores.get(store, f"builds/{record.build}/{MANIFEST}") is not None:
        return
    raise UsageError(
        f"{dataset}@{record.version} was retired on {found.retired_at[:10]} ({found.reason}) and collected",
        hint=_instead(store, dataset),
        where=stores.place(store),
    )


def _instead(store: ObjectStore, dataset: str) -> str:
    instead = newest(store)
    return f"open {dataset}@{instead}" if instead is not None else "publish a new version"
