"""Garbage collection: what no version, ref or lease needs any more, found and, only if asked to, deleted.

What stays is marked from the versions that are not retired, those that refs and live leases are on, and the shards of
older builds that any of these list. What goes: files of retired versions' builds; builds that were never committed and
are old; leases that ran out long ago; what killed processes left of small objects. Commit records, refs and retirements
stay for good.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from obstore.store import ObjectStore

from headrace.catalog import store as stores
from headrace.catalog.leases import FOLDER as LEASES
from headrace.catalog.leases import MARGIN, is_lease, read_lease
from headrace.catalog.manifest import MANIFEST
from headrace.catalog.objects import Object, delete, delete_folder, folders, listed, staged, store_time
from headrace.catalog.retained import BUILDS, Known, Retained, retained
from headrace.schemas.errors import CapabilityError, UsageError

OLD: Final = timedelta(days=7)
"""Age from which a build that was never committed is taken for one that nobody works on."""

YOUNGEST: Final = timedelta(days=1)
"""The least that may be asked for instead: a run writes nothing while it trains baselines, and clocks differ."""

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
class Kept:
    """A retired version that has files, and who keeps them."""

    version: int
    why: str
    """When it was retired and for what reason."""
    by: tuple[str, ...]
    """Names and jobs that are on it; versions that list its shards, which keep those alone."""


@dataclass(frozen=True)
class Collection:
    """What a collection found in a dataset and, if it was told to, deleted."""

    dataset: str
    garbage: tuple[Garbage, ...]
    deleted: bool
    spared: tuple[str, ...] = ()
    """Builds that were found, and that someone committed or began to use before their turn came."""
    kept: tuple[Kept, ...] = ()
    """Retired versions whose files stay, or some of them."""

    @property
    def bytes(self) -> int:
        return sum(found.bytes for found in self.garbage)


def collect(
    store: ObjectStore,
    *,
    dataset: str = "dataset",
    remove: bool = False,
    older_than: timedelta = OLD,
    at: datetime | None = None,
    tell: Callable[[Garbage], None] = lambda _: None,
) -> Collection:
    """Find what nobody needs, and with `remove` delete it.

    Parameters
    ----------
    older_than
        Age of builds without a commit: by the time in their name, and by their newest file. A build that a run still
        writes is younger than that, and so is one that was finished just now. A run that wrote nothing for longer, as
        while it trains, loses its build: it fails then and publishes nothing.
    at
        The time that ages are counted to; now if not given. This machine's clock is compared with the store's then,
        before anything is deleted.
    tell
        Called with each piece that was found, once it is deleted if it is to be: what to say of a collection that ends
        with an error.

    Raises
    ------
    UsageError
        `older_than` is less than a day.
    CapabilityError
        This machine's clock is ahead of the store's, so that what is young looks old.
    DataError
        A commit record, a manifest, ref, lease or retirement cannot be read or is missing, also where only a ref, a
        lease, a retirement or the log's hint says that it was there. What it would keep is not known, so nothing is
        deleted.

    Notes
    -----
    Before each build is deleted, all is marked again: a version, ref or lease that came meanwhile keeps it. Killed in
    the middle, it is run again. Cost: every small record, the manifests of the versions that stay, and a listing of the
    builds; for each build that goes, the listings of small records again, refs, leases, and what is new.
    """
    if older_than < YOUNGEST:
        raise UsageError(
            f"builds that nobody has written to for {older_than} may be those of runs that are training",
            hint="a day is the least, 7 days the default",
        )
    if at is None:
        at = datetime.now(UTC)
        if remove:
            _refuse_early(store, at)
    known = Known(dataset)
    marked = retained(store, at, known)
    builds = {build: listed(store, f"{BUILDS}/{build}") for build in folders(store, BUILDS)}
    if not marked.versions and (name := next((one.name for one in chain(*builds.values()) if _is_manifest(one)), "")):
        raise known.unknown(store, "a build is finished, and there is no commit record at all", name)
    found, spared = [], []
    for build, objects in sorted(builds.items()):
        if not (why := _why(build, objects, marked, at - older_than)):
            continue
        if remove:
            marked, objects = retained(store, at, known), listed(store, f"{BUILDS}/{build}")
            if not _why(build, objects, marked, at - older_than):
                spared.append(build)
                continue
        gone = [one for one in objects if not marked.keeps(build, _path(one))]
        if remove:
            _delete(store, build, gone, whole=build not in marked.shards)
        if gone or not objects:
            found.append(Garbage(f"{BUILDS}/{build}", why, len(gone), sum(one.bytes for one in gone)))
            tell(found[-1])
    for one, why in _leftovers(store, at):
        if remove:
            delete(store, one.name)
        found.append(Garbage(one.name, why, 1, one.bytes))
        tell(found[-1])
    return Collection(dataset, tuple(found), remove, tuple(spared), tuple(_kept(marked, dataset)))


def _refuse_early(store: ObjectStore, at: datetime) -> None:
    ahead = at - store_time(store)
    if ahead > MARGIN:
        raise CapabilityError(
            f"the clock of this machine is {str(ahead).partition('.')[0]} ahead of the store's: builds that are being "
            "written and leases that hold would look old",
            hint="set the clock of this machine right",
            where=stores.place(store),
        )


def _kept(marked: Retained, dataset: str) -> Iterator[Kept]:
    for build, version in sorted(marked.versions.items(), key=lambda entry: entry[1]):
        by = (*marked.users.get(version, ()), *(f"{dataset}@{one}" for one in marked.listed_by.get(build, ())))
        if by and version in marked.retired:
            yield Kept(version, _retired(marked, version), by)


def _retired(marked: Retained, version: int) -> str:
    retired = marked.retired[version]
    return f"retired on {retired.retired_at[:10]}: {retired.reason}"


def _why(build: str, objects: Iterable[Object], marked: Retained, before: datetime) -> str:
    """Why a build, or what others do not list of it, is garbage; empty if it is not."""
    if build in marked.whole:
        return ""
    if (version := marked.versions.get(build)) is not None:
        return f"version {version}, {_retired(marked, version)}"
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


def _made(build: str) -> datetime | None:
    """When a build was begun, from its name; None if the name is not one of ours."""
    try:
        identity = uuid.UUID(build)
    except ValueError:
        return None
    if str(identity) != build or identity.version != 7:
        return None
    return datetime.fromtimestamp((identity.int >> 80) / 1000, UTC)


def _is_manifest(one: Object) -> bool:
    return one.name.count("/") == 2 and one.name.endswith(f"/{MANIFEST}")


def _path(one: Object) -> str:
    return one.name.split("/", 2)[2]


def _leftovers(store: ObjectStore, at: datetime) -> Iterator[tuple[Object, str]]:
    for one in listed(store, LEASES):
        # Read when its turn has come, so that one that was renewed meanwhile stays.
        lease = read_lease(store, one.name) if is_lease(one.name) else None
        if lease is not None and lease.until < at - LEFTOVER:
            yield one, "a lease that ran out"
    left = [(one, "left by a probe") for one in listed(store, "_probe")]
    left += [(one, "left by a process that was killed") for one in staged(store)]
    yield from ((one, why) for one, why in left if one.modified < at - LEFTOVER)
