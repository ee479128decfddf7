"""Opening published datasets: by name and version, with nothing but Polars or Arrow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal

from obstore.store import ObjectStore

from headrace.catalog import log, refs, retired
from headrace.catalog.cache import Cache, cache_folder
from headrace.catalog.cache import cache_limit as limit_of
from headrace.catalog.dataset import Checking, Dataset, near
from headrace.catalog.place import Place
from headrace.catalog.store import exists, folders, open_store, place
from headrace.catalog.stored import read_manifest
from headrace.schemas.errors import DataError, UsageError

__all__ = [
    "LATEST",
    "Checking",
    "Dataset",
    "dataset_names",
    "is_dataset",
    "meant_version",
    "near",
    "open_dataset",
    "split_version",
    "unknown_dataset",
]

LATEST: Final = "latest"


def open_dataset(
    uri: str | Path | Place,
    version: int | str = LATEST,
    *,
    cache_dir: str | Path | Literal[False] | None = None,
    cache_limit: int | str | None = None,
    verify: Checking = "cache",
    allow_retired: bool = False,
) -> Dataset:
    """Open a published dataset.

    Parameters
    ----------
    uri
        ``<catalog>/<dataset>``, ``<catalog>/<dataset>@7`` or ``<catalog>/<dataset>@prod``; the catalog is a folder, or
        a prefix in an object store: ``s3://bucket/catalog``, ``gs://...``, ``az://...``. Credentials come from the
        environment or from the store's own chain, never from the URI.
    version
        A number, a ref such as ``"prod"``, or ``"latest"``: the highest version that is not retired.
    cache_dir
        Where files of an object store are kept; $HEADRACE_CACHE or the user's cache folder if not given. False:
        nowhere; `arrow`, `to_polars` and the loaders read the chunks of the chosen columns straight from the store,
        and compare the checksums of their pages.
    cache_limit
        Bytes that the cache may have, or ``"200GB"``; $HEADRACE_CACHE_LIMIT if not given, else without a limit. What
        was used longest ago is removed for what comes.
    verify
        ``"cache"``: a file is compared with its hash when it is fetched. ``"always"``: each is, once, also one that is
        in the cache or on disk.
    allow_retired
        Open a retired version as long as its files are there: for a job that began with it.

    Raises
    ------
    UsageError
        An option that is not known; there is no such catalog, dataset or version; the message names near ones.
    DataError
        The version is retired; the manifest is damaged, or was written by a later headrace than this one can follow.
    CapabilityError
        The store refuses or does not answer: credentials, bucket, network.

    Notes
    -----
    Cost: the hint, the newest commit record, whether it is retired, and the manifest are read; no data.
    """
    if verify not in ("cache", "always"):
        raise UsageError(f"verify={verify!r} is not known", hint="'cache' or 'always'")
    cache = None if cache_dir is False else Cache(cache_folder(cache_dir), limit_of(cache_limit))
    at, numbered = split_version(Place.of(uri))
    if numbered is not None and str(version) not in (LATEST, str(numbered)):
        raise UsageError(f"{uri} names version {numbered}, and version={version!r} was asked for as well")
    if at.remote and cache is None and verify == "always":
        raise UsageError(
            'verify="always" compares whole files with their hashes, and cache_dir=False reads parts of them',
            hint="leave one of them out; without a cache the checksums of pages are compared",
        )
    if at.folder is not None and not at.folder.is_dir():
        raise unknown_dataset(at)
    store = open_store(at)
    newest = log.latest_version(store)
    if newest is None:
        raise unknown_dataset(at)
    wanted = meant_version(store, at.name, numbered if numbered is not None else version)
    record = log.read(store, wanted)
    if record is None:
        raise UsageError(
            f"{at.name} has no version {wanted}; it has {'1' if newest == 1 else f'1 to {newest}'}",
            hint=f"headrace datasets show {at}",
        )
    try:
        if not allow_retired:
            retired.refuse_retired(store, at.name, wanted)
        manifest = read_manifest(at, record)
    except DataError:
        retired.refuse_collected(store, at.name, record)
        raise
    return Dataset(at.name, wanted, at, record, manifest, cache, verify)


def split_version(at: Place) -> tuple[Place, int | str | None]:
    """``<catalog>/<dataset>@7`` as place and 7, ``@prod`` as a name. Raises UsageError if it can be neither."""
    name, sign, version = at.name.rpartition("@")
    if sign and not (at.folder is not None and at.folder.is_dir()):
        if version.isascii() and version.isdecimal():
            return at.with_name(name), int(version)
        try:
            return at.with_name(name), version if version == LATEST else refs.check_ref(version)
        except UsageError:
            hint = "write <catalog>/<dataset>@7 or @prod"
            raise UsageError(f"{at.name}: {version!r} is not a version", hint=hint) from None
    return at, None


def meant_version(store: ObjectStore, dataset: str, version: int | str) -> int:
    """The number that `version` means: itself, that of a ref, or the latest. Raises UsageError if it means none."""
    if version == LATEST:
        if (newest := retired.newest(store)) is None:
            raise UsageError(
                f"all versions of {dataset} are retired", hint=f"headrace datasets show {dataset}", where=place(store)
            )
        return newest
    whole = isinstance(version, int) and not isinstance(version, bool)
    if whole or (isinstance(version, str) and version.isascii() and version.isdecimal()):
        return int(version)
    if isinstance(version, str) and refs.is_ref(version) and (meant := refs.resolve(store, version)) is not None:
        return meant
    last = log.latest_version(store) or 1
    known = ["1" if last == 1 else f"1 to {last}", LATEST, *refs.refs(store)]
    raise UsageError(
        f"{dataset}@{version}: {version!r} is not a version{near(str(version), known)}",
        hint="a number, 'latest', or a name such as prod",
    )


def dataset_names(catalog: Place) -> list[str]:
    """Names of what a catalog holds that has a commit log, published to or not. On a store a listing for each."""
    known = [name for name in folders(catalog) if not name.startswith(("_", "."))]
    if catalog.folder is not None:
        return [name for name in known if (catalog.folder / name / "_log").is_dir()]
    with ThreadPoolExecutor(8) as pool:
        there = pool.map(lambda name: exists(catalog / name / "_log"), known)
        return [name for name, has_log in zip(known, there, strict=True) if has_log]


def is_dataset(at: Place) -> bool:
    """Whether a place is a dataset with a version, not a catalog."""
    return (at.folder is None or at.folder.is_dir()) and log.latest_version(open_store(at)) is not None


def unknown_dataset(at: Place) -> UsageError:
    """The error for a place that is no dataset: names near ones, or what it is instead."""
    root = at.parent
    if not exists(root):
        return UsageError(f"no catalog at {root}", hint="headrace run PIPELINE --catalog makes one")
    known = [name for name in dataset_names(root) if log.latest_version(open_store(root / name)) is not None]
    if exists(at) and (inner := dataset_names(at)):
        return UsageError(
            f"{at} is a catalog, not a dataset; it holds {', '.join(inner[:10])}", hint=f"open {at / inner[0]}"
        )
    if not known and is_dataset(root):
        return UsageError(
            f"no dataset {at.name!r} in {root}, which is a dataset, not a catalog",
            hint=f"headrace datasets show {root.name} --catalog {root.parent}",
        )
    return UsageError(f"no dataset {at.name!r} in {root}{near(at.name, known)}")
