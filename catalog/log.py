"""The commit log of a dataset: a small record a version, created if absent, never rewritten; the only commit point."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore
from pydantic import Field

from headrace.catalog import store as stores
from headrace.catalog.identity import now
from headrace.catalog.manifest import FORMAT, Producer
from headrace.catalog.records import BuildId, Record, Sha256
from headrace.catalog.seal import sealed, unsealed
from headrace.schemas.errors import CapabilityError, ConflictError, DataError, HeadraceError, RunError

_RECORD: Final = re.compile(r"_log/(\d{20})\.json")
HINT: Final = "_log/_latest_hint.json"

CheckHead = Callable[["CommitRecord | None"], None]
Attempt = Callable[[], AbstractContextManager[None]]


class CommitRecord(Record):
    """`_log/<version>.json`: which build is this version."""

    format: int = Field(default=FORMAT, ge=1)
    version: int = Field(ge=1)
    parent: int | None = None
    build: BuildId
    manifest_sha256: Sha256
    idempotency_key: str | None = None
    created_at: str
    producer: Producer


def record_name(version: int) -> str:
    """``_log/00000000000000000007.json``."""
    return f"_log/{version:020d}.json"


def read(store: ObjectStore, version: int) -> CommitRecord | None:
    """The record of a version, None if there is none. Raises DataError if it cannot be understood."""
    name = record_name(version)
    data = stores.get(store, name)
    if data is None:
        return None
    where = f"{stores.place(store)}/{name}"
    try:
        document = json.loads(data)
        _refuse_later_format(document, where)
        if (says := document["version"]) != version:
            raise DataError(f"the commit record of version {version} says it is version {says}", where=where)
        return CommitRecord.model_validate(unsealed(name, data, CommitRecord.model_fields), context="read")
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"the commit record of version {version} is damaged ({len(data)} bytes)",
            hint="restore it from a backup; the other versions can still be opened by number",
            where=where,
        ) from error


def versions(store: ObjectStore) -> list[int]:
    """Numbers of all versions, ascending. One listing."""
    matches = (_RECORD.fullmatch(name) for name in stores.names(store, "_log"))
    return [int(match[1]) for match in matches if match]


def latest_version(store: ObjectStore) -> int | None:
    """The highest version: from the hint, or a listing if that is no help, then upward until one is missing."""
    version = hinted_version(store)
    if version is None or stores.get(store, record_name(version)) is None:
        version = max(versions(store), default=0)
    while stores.get(store, record_name(version + 1)) is not None:
        version += 1
    return version or None


def latest(store: ObjectStore) -> CommitRecord | None:
    """The record of the highest version, None if nothing was ever published."""
    version = latest_version(store)
    return None if version is None else read(store, version)


def history(store: ObjectStore) -> Iterator[CommitRecord]:
    """All records, newest first, each read when it is asked for."""
    for version in reversed(versions(store)):
        record = read(store, version)
        if record is not None:
            yield record


def find(store: ObjectStore, within: range, *, build: str, idempotency_key: str | None) -> CommitRecord | None:
    """The version made of `build` or with `idempotency_key`, None if there is none. Reads each record once."""
    for version in reversed(within):
        record = read(store, version)
        if record is not None and (
            record.build == build or (idempotency_key is not None and record.idempotency_key == idempotency_key)
        ):
            return record
    return None


def commit(
    store: ObjectStore,
    *,
    build: str,
    manifest_sha256: str,
    producer: Producer,
    idempotency_key: str | None = None,
    check_head: CheckHead | None = None,
    attempt: Attempt = nullcontext,
) -> CommitRecord:
    """Make a finished build the next version; the one step that makes it visible.

    Parameters
    ----------
    idempotency_key
        If a version was committed with it, or of this build, that version is returned and nothing is written.
    check_head
        Called with the head the new version would follow, again after every lost race; raises to refuse.
    attempt
        Held while a record is written. It ends in order once it is known whether the record is there; if the block
        raises, the record may be there, or come later.

    Raises
    ------
    ConflictError
        The next number is taken and yet cannot be read.
    CapabilityError, RunError
        The store refuses or does not answer. If that is so while the record is written, the log is looked at, and only
        if it does not tell, the error says that the version may have been published.

    Notes
    -----
    No lock: of k publishers one wins each round, so each needs at most k tries. Every record is read once.
    """
    searched = 0
    while True:
        head = latest(store)
        parent = head.version if head else 0
        if record := find(store, range(searched + 1, parent + 1), build=build, idempotency_key=idempotency_key):
            return record
        searched = parent
        if check_head is not None:
            check_head(head)
        record = CommitRecord(
            version=parent + 1,
            parent=parent or None,
            build=build,
            manifest_sha256=manifest_sha256,
            idempotency_key=idempotency_key,
            created_at=now(),
            producer=producer,
        )
        with attempt():
            outcome = _create(store, record)
        if isinstance(outcome, HeadraceError):
            raise outcome
        if outcome:
            with suppress(HeadraceError):  # the version is there; a hint may be stale
                stores.put(store, HINT, sealed(HINT, {"version": record.version}))
            return record


def _create(store: ObjectStore, record: CommitRecord) -> bool | HeadraceError:
    """Write a commit record. False if the number is someone else's, an error if the store refused, so that there is no
    record. Raises if none of this is known."""
    lost: CapabilityError | RunError | None = None
    try:
        if stores.put_new(store, record_name(record.version), _dump(record)):
            return True
    except (CapabilityError, RunError) as error:
        lost = error
    try:
        there = read(store, record.version)
    except HeadraceError:
        if lost is None:
            raise
        there = None
    if there is not None:
        return there == record  # the same build's by an earlier try is found when the log is looked through
    if lost is None:
        raise ConflictError(f"version {record.version} can be neither created nor read", where=stores.place(store))
    if isinstance(lost, RunError) or isinstance(lost.__cause__, PermissionDeniedError | UnauthenticatedError):
        return lost  # a full disk, no rights: it was not written, and nothing is on its way
    raise CapabilityError(
        f"{lost.message}; version {record.version} may have been published all the same, so its build is left there",
        hint=f"{lost.hint or 'try again later'}; look for the version before that (headrace datasets show), or run "
        "with an idempotency key, which makes no second one",
        where=lost.where,
    ) from lost


def _dump(record: CommitRecord) -> bytes:
    return sealed(record_name(record.version), record.model_dump(mode="json"))


def hinted_version(store: ObjectStore) -> int | None:
    """What the hint says was the highest version when it was written; None if it says nothing, or is damaged."""
    try:
        version = unsealed(HINT, stores.get(store, HINT) or b"null", ("version",))["version"]
    except (ValueError, KeyError):
        return None
    return version if isinstance(version, int) and 1 <= version < 10**20 else None


def _refuse_later_format(document: object, where: str) -> None:
    if isinstance(document, dict) and isinstance(written := document.get("format"), int) and written > FORMAT:
        producer = document.get("producer")
        by = producer.get("headrace", "?") if isinstance(producer, dict) else "?"
        raise DataError(
            f"written by headrace {by} in format {written}; this one reads up to {FORMAT}",
            hint=f"install headrace {by} or later",
            where=where,
        )
