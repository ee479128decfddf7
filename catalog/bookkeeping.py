"""What is wrong with the small records of a dataset: its log, names, retirements and leases."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from obstore.store import ObjectStore

from headrace.catalog import leases, log, refs, retired
from headrace.catalog import store as stores
from headrace.catalog.damage import Damage
from headrace.catalog.objects import Entry, read_entry
from headrace.catalog.seal import unsealed
from headrace.schemas.errors import DataError

_LOG: Final = re.compile(r"_log/(\d{20})\.json")
_REF: Final = re.compile(rf"{refs.FOLDER}/([^/]+)/(\d{{8}})\.json")
_RETIRED: Final = re.compile(rf"{retired.FOLDER}/\d{{20}}\.json")
_STAGED: Final = re.compile(r".*#\d+")
"""What a process that was killed left of an object; it never was one."""

_MOST: Final = 100
"""Missing records that are named."""

_FOLDERS: Final = ("_log", refs.FOLDER, retired.FOLDER, leases.FOLDER)

Look = Callable[[ObjectStore, str], "log.CommitRecord | Entry | None"]


def record_damage(store: ObjectStore, version: int | None = None, *, read: bool) -> Iterator[Damage]:
    """Records that are missing, damaged, or called otherwise than they say.

    Parameters
    ----------
    version
        Its commit record is read in any case; if not given, those of all versions are.
    read
        Read all records; else the names of the others are compared.

    Notes
    -----
    The log has no holes up to the highest version that the hint or any record speaks of, and neither have names. What
    no other record speaks of can be deleted unseen: the newest record of a name, a retirement, a lease. Cost: the hint,
    four listings, and with `read` every record once.
    """
    hinted = log.hinted_version(store) or 0  # first: what is published meanwhile is listed then
    found = [name for folder in _FOLDERS for name in stores.names(store, folder)]
    looks = {name: look for name in found if (look := _look(name)) is not None}
    for name in found:
        if name not in looks and name != log.HINT and not _STAGED.fullmatch(name):
            yield Damage(_path(name), "unlisted", "nothing", "an object")
    own = looks if version is None else (log.record_name(version),)
    chosen = [name for name in looks if read or (name in own and _LOG.fullmatch(name))]
    with ThreadPoolExecutor(8) as pool:
        outcomes = dict(zip(chosen, pool.map(lambda name: _outcome(looks[name], store, name), chosen), strict=True))
    for name, outcome in outcomes.items():
        if isinstance(outcome, DataError):
            yield Damage(_path(name), "unreadable", "as it was written", outcome.message)
    meant = [n for outcome in outcomes.values() if isinstance(n := getattr(outcome, "version", None), int)]
    yield from _missing(found, max(hinted, version or 0, *meant))
    if read:
        yield from _hint(store)


def _look(name: str) -> Look | None:
    if match := _LOG.fullmatch(name):
        return lambda store, _: log.read(store, int(match[1]))
    if _REF.fullmatch(name):
        return lambda store, name: read_entry(store, name, refs.Ref)
    if _RETIRED.fullmatch(name):
        return lambda store, name: read_entry(store, name, retired.Retirement)
    return leases.read_lease if leases.is_lease(name) else None


def _outcome(look: Look, store: ObjectStore, name: str) -> log.CommitRecord | Entry | DataError | None:
    try:
        return look(store, name)
    except DataError as error:
        return error


def _missing(found: list[str], highest: int) -> Iterator[Damage]:
    versions = {int(match[1]) for name in found if (match := _LOG.fullmatch(name))}
    names = [log.record_name(version) for version in _holes(versions, highest)]
    numbers: dict[str, set[int]] = {}
    for match in filter(None, map(_REF.fullmatch, found)):
        numbers.setdefault(match[1], set()).add(int(match[2]))
    names += [refs.record_name(name, number) for name, there in numbers.items() for number in _holes(there)]
    for name in names:
        yield Damage(_path(name), "missing", "a record", "nothing")


def _holes(there: set[int], highest: int = 0) -> Iterator[int]:
    """Numbers from 1 up to the highest that are not there; the first of them, for one that is nonsense has many."""
    return islice((n for n in range(1, max(highest, *there, 0) + 1) if n not in there), _MOST)


def _hint(store: ObjectStore) -> Iterator[Damage]:
    data = stores.get(store, log.HINT)
    if data is None:
        return
    try:
        unsealed(log.HINT, data, ("version",))
    except ValueError as error:
        yield Damage(_path(log.HINT), "unreadable", "as it was written", str(error))


def _path(name: str) -> str:
    """As seen from the build, like all paths of damage."""
    return f"../../{name}"
