"""Retiring a version: nobody begins with it any more, and garbage collection may take its files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from obstore.store import ObjectStore

from headrace.catalog import log
from headrace.catalog import store as stores
from headrace.catalog.identity import now
from headrace.catalog.objects import dump_entry
from headrace.catalog.retained import users
from headrace.catalog.retired import Retirement, retirement, retirement_name
from headrace.schemas.errors import ConflictError, UsageError


def retire(
    store: ObjectStore,
    version: int,
    *,
    reason: str,
    force: bool = False,
    dataset: str = "dataset",
    at: datetime | None = None,
) -> Retirement:
    """Retire a version, for good: opening it says why, and `latest` passes it over.

    Its commit record stays and no number is used again. Its files stay until they are collected, and as long as a ref,
    a lease or an append that lists them needs them.

    Parameters
    ----------
    reason
        For those who open it.
    force
        Also if refs or jobs use it. They keep its files.
    at
        The time that leases are held against; now if not given.

    Returns
    -------
    Retirement
        If it was retired before, the record of that.

    Raises
    ------
    UsageError
        No such version, or no reason.
    ConflictError
        Refs or live leases are on it: they are named. Or came to be on it meanwhile: it is retired then, and they keep
        its files.
    """
    if not reason.strip():
        raise UsageError(
            "a version is retired with a reason", hint="say what is wrong with it; who opens it reads that"
        )
    if version < 1 or log.read(store, version) is None:
        raise UsageError(f"{dataset} has no version {version}", where=stores.place(store))
    if (before := retirement(store, version)) is not None:
        return before
    on_it = users(store, at).get(version, ())
    if on_it and not force:
        raise ConflictError(
            f"{dataset}@{version} is used by {_some(on_it)}",
            hint="move the names and let the jobs end, or force it: they keep the files",
            where=stores.place(store),
        )
    made = Retirement(version=version, reason=reason.strip(), retired_at=now())
    if not stores.put_new(store, retirement_name(version), dump_entry(made)):
        made = retirement(store, version) or made
    if not force and (on_it := users(store, at).get(version, ())):  # they looked before it was retired
        raise ConflictError(
            f"{dataset}@{version} is retired, and {_some(on_it)} came to use it meanwhile",
            hint="move the names and let the jobs end: they keep the files",
            where=stores.place(store),
        )
    return made


def _some(named: Sequence[str]) -> str:
    return f"{', '.join(named[:10])}{', ...' if len(named) > 10 else ''}"
