"""Leases: "this job reads version 7 until 18:00". Neither `retire` nor garbage collection takes it away until then.

`_leases/<job>.<holder>.json` belongs to whoever took it, who alone writes and ends it. A job of several processes has
one for each, so that its version is held until the last of them ends. Times are UTC by the clock of the machine that
writes; others wait MARGIN longer than it says, so clocks may differ by that much.
"""

from __future__ import annotations

import os
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from obstore.store import ObjectStore
from pydantic import AwareDatetime, Field

from headrace.catalog import log
from headrace.catalog import store as stores
from headrace.catalog.objects import Entry, check_name, delete, dump_entry, read_entry
from headrace.catalog.retired import refuse_retired
from headrace.schemas.errors import ConflictError, HeadraceError, UsageError

FOLDER: Final = "_leases"
MARGIN: Final = timedelta(minutes=5)
"""By how much clocks may differ."""

LONG: Final = timedelta(hours=12)
"""How long a lease is unless its job says otherwise."""

_RECORD: Final = re.compile(rf"{FOLDER}/([^/]+)\.json")


class Lease(Entry):
    """`_leases/<job>.<holder>.json`."""

    job: str
    holder: str = Field(default="", description="who of the job; empty if written by a headrace that knew one a job")
    version: int = Field(ge=1)
    taken_at: AwareDatetime
    until: AwareDatetime

    @property
    def object_name(self) -> str:
        return f"{FOLDER}/{self.job}.{self.holder}.json" if self.holder else f"{FOLDER}/{self.job}.json"

    def live(self, at: datetime | None = None) -> bool:
        """Whether it holds, for everyone whose clock differs by no more than MARGIN."""
        return (at or _now()) <= self.until + MARGIN


def new_job() -> str:
    """A name for a job that has none: machine, process and a few random digits."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:60].strip("-") or "job"
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def take(
    store: ObjectStore,
    version: int,
    job: str,
    *,
    last: timedelta = LONG,
    dataset: str = "dataset",
    holder: str = "",
) -> Lease:
    """Begin to read a version.

    Parameters
    ----------
    job
        Whose lease it is. A job may take several of a version, as one for each of its processes; one that is started
        again under its name takes another, beside those that its killed processes left to run out.
    last
        How long.
    holder
        Who of the job had this lease before and renews it; a new one if not given.

    Raises
    ------
    UsageError
        No such version, an impossible name, or a lease of no duration.
    DataError
        The version is retired.
    ConflictError
        A job of this name holds a lease on another version.
    """
    check_name(job, "job")
    if last <= timedelta(0):
        raise UsageError(f"a lease must last longer than {last}")
    if version < 1 or stores.get(store, log.record_name(version)) is None:
        raise UsageError(f"{dataset} has no version {version}", where=stores.place(store))
    held = [lease for lease in _of_job(store, job) if lease.live()]
    if other := next((lease for lease in held if lease.version != version), None):
        raise ConflictError(
            f"the job {job!r} has a lease on version {other.version} until {other.until:%Y-%m-%d %H:%M} UTC",
            hint="give this job another name, or end that one",
            where=stores.place(store),
        )
    at = _now()
    lease = Lease(job=job, holder=holder or uuid.uuid4().hex[:12], version=version, taken_at=at, until=at + last)
    stores.put(store, lease.object_name, dump_entry(lease))
    if not held:
        # Written first and checked then: a version that is retired after this finds the lease.
        try:
            refuse_retired(store, dataset, version)
        except BaseException:
            delete(store, lease.object_name)
            raise
    return lease


def renew(store: ObjectStore, lease: Lease, *, last: timedelta = LONG, dataset: str = "dataset") -> Lease:
    """The same lease from now on. One that ran out is taken anew: that fails if the version was retired meanwhile."""
    return take(store, lease.version, lease.job, last=last, dataset=dataset, holder=lease.holder)


def release(store: ObjectStore, lease: Lease) -> None:
    """End a lease; others of its job hold on. One that is gone is no error."""
    delete(store, lease.object_name)


def leases(store: ObjectStore) -> list[Lease]:
    """All leases by name, also those that ran out. One listing, and a read for each. Raises DataError if damaged."""
    return list(_read(store, lease_names(store)))


def live_leases(store: ObjectStore, at: datetime | None = None) -> list[Lease]:
    """The leases that hold, by name."""
    return [lease for lease in leases(store) if lease.live(at)]


def lease_names(store: ObjectStore) -> list[str]:
    """Names of the objects that are leases, sorted. One listing."""
    return [name for name in stores.names(store, FOLDER) if is_lease(name)]


def is_lease(name: str) -> bool:
    """Whether an object of this name is a lease."""
    return _RECORD.fullmatch(name) is not None


def read_lease(store: ObjectStore, name: str) -> Lease | None:
    """The lease of this name, None if it ended. Raises DataError if it is damaged."""
    return read_entry(store, name, Lease)


def _of_job(store: ObjectStore, job: str) -> list[Lease]:
    names = [name for name in lease_names(store) if name.startswith(f"{FOLDER}/{job}.")]
    return [lease for lease in _read(store, names) if lease.job == job]


def _read(store: ObjectStore, names: list[str]) -> Iterator[Lease]:
    found = (read_lease(store, name) for name in names)
    return (lease for lease in found if lease is not None)


class Held:
    """A lease while its job runs."""

    def __init__(self, store: ObjectStore, lease: Lease, last: timedelta, dataset: str) -> None:
        self.lease = lease
        self.left = False
        self._store, self._last, self._dataset = store, last, dataset

    def keep(self) -> None:
        """Renew the lease if a third of its time is gone, else do nothing: call it once in a while."""
        if _now() - self.lease.taken_at > self._last / 3:
            self.lease = renew(self._store, self.lease, last=self._last, dataset=self._dataset)

    def leave(self) -> None:
        """Let the lease run out rather than end it with the block."""
        self.left = True


@contextmanager
def leased(
    store: ObjectStore, version: int, job: str = "", *, last: timedelta = LONG, dataset: str = "dataset"
) -> Iterator[Held]:
    """Hold a lease for as long as the block runs; `keep()` it in between. Raises as `take` does.

    Each block has its own, also where several processes of a job, or several blocks of one, are on the same version. A
    process that is killed leaves its lease to run out.
    """
    held = Held(store, take(store, version, job or new_job(), last=last, dataset=dataset), last, dataset)
    try:
        yield held
    finally:
        if not held.left:
            with suppress(HeadraceError):  # it runs out; what the block did or raised is what counts
                release(store, held.lease)


def _now() -> datetime:
    return datetime.now(UTC)
