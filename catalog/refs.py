"""Names that move: `prod` is version 7 today and 8 tomorrow.

A ref is a small log of its own, `_refs/prod/00000003.json`: records are created if absent and never rewritten, and the
highest wins. So it needs no more of a store than the commit log does.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from obstore.store import ObjectStore
from pydantic import Field

from headrace.catalog import log
from headrace.catalog import store as stores
from headrace.catalog.identity import now
from headrace.catalog.objects import Entry, check_name, dump_entry, read_entry
from headrace.catalog.retired import refuse_retired
from headrace.schemas.errors import ConflictError, DataError, UsageError

FOLDER: Final = "_refs"
_RECORD: Final = re.compile(rf"{FOLDER}/([^/]+)/(\d{{8}})\.json")
_RESERVED: Final = ("latest", "none")

Expected = int | None | Literal["any"]
"""What a ref must be for it to be moved: a version, None for no ref, or any."""


class Ref(Entry):
    """`_refs/<name>/<number>.json`: from then on the name means this version."""

    name: str
    number: int = Field(ge=1)
    version: int | None = Field(default=None, ge=1, description="None: the name was removed")
    before: int | None = Field(default=None, description="the version it was moved from")
    moved_at: str

    @property
    def object_name(self) -> str:
        return record_name(self.name, self.number)


def check_ref(name: str) -> str:
    """`name`, if it may name a ref. Raises UsageError for words with a meaning of their own, and for digits."""
    if name in _RESERVED or name.isdecimal():
        raise UsageError(
            f"{name!r} cannot be the name of a version: it means something else where a version is asked for",
            hint="such as prod, or 2026-06",
        )
    return check_name(name, "version")


def is_ref(name: str) -> bool:
    """Whether `name` may name a ref."""
    try:
        check_ref(name)
    except UsageError:
        return False
    return True


def tag(store: ObjectStore, name: str, version: int, *, expected: Expected = "any", dataset: str = "dataset") -> Ref:
    """Let a name mean a version.

    Parameters
    ----------
    expected
        Move it only if it means this version now, or, with None, only if there is no such ref.
    dataset
        For messages.

    Returns
    -------
    Ref
        The record that says so. If the name meant this version already, that which said so first: nothing is written.

    Raises
    ------
    UsageError
        The name cannot be one, or there is no such version.
    DataError
        The version is retired; a record of the ref is damaged.
    ConflictError
        The ref is not what was expected; the version was retired meanwhile.

    Notes
    -----
    No lock: of k movers one wins each round, the others look again and take the next number. The last one wins, unless
    `expected` tells it not to.
    """
    check_ref(name)
    if version < 1 or stores.get(store, log.record_name(version)) is None:
        head = log.latest_version(store)
        raise UsageError(
            f"{dataset} has no version {version}"
            + (f"; it has 1 to {head}" if head else "; nothing was published in it yet"),
            where=stores.place(store),
        )
    refuse_retired(store, dataset, version)
    found = _append(store, name, version, expected)
    try:
        refuse_retired(store, dataset, version)
    except DataError as error:
        raise ConflictError(
            f"{name} is version {version} now, which was retired meanwhile", hint=error.hint, where=error.where
        ) from error
    return found


def untag(store: ObjectStore, name: str, *, expected: Expected = "any") -> Ref:
    """Remove a name, by a record that says it means nothing. Raises UsageError if there is none, ConflictError."""
    check_ref(name)
    if current(store, name) is None:
        raise UsageError(f"there is no name {name!r}", where=stores.place(store))
    return _append(store, name, None, expected)


def resolve(store: ObjectStore, name: str) -> int | None:
    """The version that a name means, None if there is no such ref. One listing, one read. Raises DataError."""
    found = current(store, name)
    return None if found is None else found.version


def current(store: ObjectStore, name: str) -> Ref | None:
    """The record that says what a name means, None if it means nothing. Raises DataError if it is damaged."""
    found = _last(store, name)
    return None if found is None or found.version is None else found


def refs(store: ObjectStore) -> dict[str, Ref]:
    """What every name means, by name. One listing, and a read for each. Raises DataError for a damaged record."""
    matches = [_RECORD.fullmatch(name) for name in stores.names(store, FOLDER)]
    found = {name: current(store, name) for name in sorted({match[1] for match in matches if match})}
    return {name: ref for name, ref in found.items() if ref is not None}


def _append(store: ObjectStore, name: str, version: int | None, expected: Expected) -> Ref:
    while True:
        last = _last(store, name)
        meant = None if last is None else last.version
        if last is not None and meant == version:
            return last
        if expected != "any" and meant != expected:
            raise ConflictError(
                f"{name} is {_in_words(meant)}, expected {_in_words(expected)}; it was not moved",
                hint="look at what was published meanwhile, then move it again",
                where=stores.place(store),
            )
        number = 1 if last is None else last.number + 1
        ref = Ref(name=name, number=number, version=version, before=meant, moved_at=now())
        if stores.put_new(store, record_name(name, number), dump_entry(ref)):
            return ref
        if stores.get(store, record_name(name, number)) is None:
            raise ConflictError(f"record {number} of {name} can be neither created nor read", where=stores.place(store))


def _last(store: ObjectStore, name: str) -> Ref | None:
    """The highest record of a name: from a listing, then upward until one is missing."""
    matches = [_RECORD.fullmatch(path) for path in stores.names(store, f"{FOLDER}/{name}")]
    number = max((int(match[2]) for match in matches if match), default=0)
    if not number:
        return None
    found = read_entry(store, record_name(name, number), Ref)
    while (later := read_entry(store, record_name(name, number + 1), Ref)) is not None:
        found, number = later, number + 1
    if found is None:
        raise DataError(
            f"record {number} of {name} is gone", where=f"{stores.place(store)}/{record_name(name, number)}"
        )
    return found


def record_name(name: str, number: int) -> str:
    """``_refs/prod/00000003.json``."""
    return f"{FOLDER}/{name}/{number:08d}.json"


def _in_words(version: int | str | None) -> str:
    return "no name" if version is None else f"version {version}"
