"""Leases: "this job reads version 7 until 18:00". Neither `retire` nor garbage collection takes it away until then.

`_leases/<job>.json` belongs to its job, which alone writes it. Times are UTC by the clock of the machine that writes;
others wait MARGIN longer than it says, so clocks may differ by that much.
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
    """`_leases/<job>.json`."""

    job: str
    version: int = Field(ge=1)
    taken_at: AwareDatetime
    until: AwareDatetime

    def live(self, at: datetime | None = None) -> bool:
        """Whether it holds, for everyone whose clock differs by no more than MARGIN."""
        return (at or _now()) <= self.until + MARGIN


def new_job() -> str:
    """A name for a job that has none: machine, process and a few random digits."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:60].strip("-") or "job"
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def take(store: ObjectStore, version: int, job: str, *, last: timedelta = LONG, dataset: str = "dataset") -> Lease:
    """Begin to read a version.

    Parameters
    ----------
    job
        Whose lease it is. A job that is started again under its name goes on with the lease it had.
    last
        How long.

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
    held = read_entry(store, _name(job), Lease)
    if held is not None and held.live() and held.version != version:
        raise ConflictError(
            f"the job {job!r} has a lease on version {held.version} until {held.until:%Y-%m-%d %H:%M} UTC",
            hint="give this job another name, or end that one",
            where=stores.place(store),
        )
    at = _now()
    lease = Lease(job=job, version=version, taken_at=at, until=at + last)
    stores.put(store, _name(job), dump_entry(lease))
    if held is None or not held.live():
        # Written first and checked then: a version that is retired after this finds the lease.
        try:
            refuse_retired(store, dataset, version)
        except BaseException:
            delete(store, _name(job))
            raise
    return lease


def renew(store: ObjectStore, lease: Lease, *, last: timedelta = LONG, dataset: str = "dataset") -> Lease:
    """The same lease from now on. One that ran out is taken anew: that fails if the version was retired meanwhile."""
    return take(store, lease.version, lease.job, last=last, dataset=dataset)


def release(store: ObjectStore, lease: Lease) -> None:
    """End a lease. One that is gone is no error."""
    delete(store, _name(lease.job))


def leases(store: ObjectStore) -> dict[str, Lease]:
    """All leases by job, also those that ran out. One listing, and a read for each. Raises DataError if damaged."""
    matches = (_RECORD.fullmatch(name) for name in stores.names(store, FOLDER))
    found = {match[1]: read_entry(store, _name(match[1]), Lease) for match in matches if match}
    return {job: lease for job, lease in found.items() if lease is not None}


def live_leases(store: ObjectStore, at: datetime | None = None) -> dict[str, Lease]:
    """The leases that hold, by job."""
    return {job: lease for job, lease in leases(store).items() if lease.live(at)}


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

    A process that is killed leaves its lease to run out.
    """
    held = Held(store, take(store, version, job or new_job(), last=last, dataset=dataset), last, dataset)
    try:
        yield held
    finally:
        if not held.left:
            with suppress(HeadraceError):  # it runs out; what the block did or raised is what counts
                release(store, held.lease)


def _name(job: str) -> str:
    return f"{FOLDER}/{job}.json"


def _now() -> datetime:
    return datetime.now(UTC)
