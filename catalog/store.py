"""Where a catalog lives, and the one promise it must keep: a name can be created once.

Every operation on a commit log goes through obstore, so that the same code serves object stores. Shards of local
catalogs are ordinary files below the same folder.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, ObjectStore, S3Store

from headrace.catalog.files import sync_file, sync_folder
from headrace.catalog.forks import refuse_forked
from headrace.catalog.place import Place
from headrace.catalog.refusal import no_bucket, store_error
from headrace.catalog.remote import remote_store
from headrace.schemas.errors import CapabilityError, UsageError

__all__ = [
    "dataset_place",
    "exists",
    "folders",
    "get",
    "names",
    "open_store",
    "place",
    "probe",
    "put",
    "put_new",
    "store_error",
]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def dataset_place(catalog: str | Path | Place, dataset: str) -> Place:
    """`<catalog>/<dataset>`, with the name checked: letters, digits, ``._-``, no leading dot or underscore."""
    if not _NAME.fullmatch(dataset):
        raise UsageError(
            f"{dataset!r} cannot be the name of a dataset",
            hint="letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 128",
        )
    return Place.of(catalog) / dataset


def open_store(at: str | Path | Place, *, create: bool = False) -> ObjectStore:
    """The store of one dataset, in an object store one for the process. Raises CapabilityError if there can be none.

    With `create` its folder is made; an object store has no folders.
    """
    found = Place.of(at)
    refuse_forked()
    try:
        if found.folder is None:
            return remote_store(found)
        if create:
            found.folder.mkdir(parents=True, exist_ok=True)
        return LocalStore(found.folder)
    except (OSError, BaseError) as error:
        raise store_error(error, "open the catalog", found.uri) from error


def exists(at: Place) -> bool:
    """Whether there is such a folder, or any object below such a prefix. Raises CapabilityError."""
    if at.folder is not None:
        return at.folder.is_dir()
    try:
        return any(batch for batch in obstore.list(open_store(at), chunk_size=1))
    except (OSError, BaseError) as error:
        raise store_error(error, "look into the catalog", at.uri) from error


def folders(at: Place) -> list[str]:
    """Names of the folders directly in a place, sorted. One listing."""
    if at.folder is not None:
        return sorted(path.name for path in at.folder.iterdir() if path.is_dir()) if at.folder.is_dir() else []
    try:
        found = obstore.list_with_delimiter(open_store(at))["common_prefixes"]
    except (OSError, BaseError) as error:
        raise store_error(error, "list the catalog", at.uri) from error
    return sorted(str(name).rstrip("/").rpartition("/")[2] for name in found)


def probe(store: ObjectStore) -> None:
    """Prove that the store can be written and that a second create of one name fails.

    Raises CapabilityError. Two writes and a delete of an object of a few bytes.
    """
    name = f"_probe/{uuid.uuid4().hex}"
    where = place(store)
    try:
        with contextlib.suppress(AlreadyExistsError):  # nobody else has this name: a lost answer, sent again
            obstore.put(store, name, b"first", mode="create")
    except (OSError, BaseError) as error:
        raise store_error(error, "write to the catalog", where) from error
    try:
        obstore.put(store, name, b"second", mode="create")
    except AlreadyExistsError:
        return
    except (OSError, BaseError) as error:
        raise store_error(error, "create an object twice in the catalog", where) from error
    finally:
        with contextlib.suppress(OSError, BaseError):
            obstore.delete(store, name)
    raise CapabilityError(
        "this store lets an existing object be created again, so two publishers could overwrite each other",
        hint="use a store with conditional puts (S3, GCS, Azure, or a local or NFS folder with hard links)",
        where=where,
    )


def put_new(store: ObjectStore, name: str, data: bytes) -> bool:
    """Create `name`; False if it is there. Durable when it returns. Raises CapabilityError or RunError."""
    try:
        obstore.put(store, name, data, mode="create")
        if isinstance(store, LocalStore) and store.prefix is not None:
            # obstore renames but does not sync: a power cut could leave an empty record.
            path = Path(store.prefix) / name
            sync_file(path)
            sync_folder(path.parent)
    except AlreadyExistsError:
        return False
    except (OSError, BaseError) as error:
        raise store_error(error, f"write {name}", place(store)) from error
    return True


def put(store: ObjectStore, name: str, data: bytes) -> None:
    """Write `name`, over what is there; each reader sees the old or the new. Raises CapabilityError, RunError."""
    try:
        obstore.put(store, name, data, mode="overwrite")
    except (OSError, BaseError) as error:
        raise store_error(error, f"write {name}", place(store)) from error


def get(store: ObjectStore, name: str) -> bytes | None:
    """The bytes of `name`, None if it is absent. Raises CapabilityError, RunError."""
    try:
        return bytes(obstore.get(store, name).bytes())
    except FileNotFoundError as error:
        if no_bucket(error):
            raise store_error(error, f"read {name}", place(store)) from error
        return None
    except (OSError, BaseError) as error:
        raise store_error(error, f"read {name}", place(store)) from error


def names(store: ObjectStore, prefix: str) -> list[str]:
    """Names of the objects below `prefix`, sorted."""
    try:
        return sorted(str(entry["path"]) for batch in obstore.list(store, prefix) for entry in batch)
    except (OSError, BaseError) as error:
        raise store_error(error, f"list {prefix or 'it'}", place(store)) from error


def place(store: ObjectStore) -> str:
    """The store in words, for messages: its folder or URI."""
    if isinstance(store, LocalStore):
        return str(store.prefix)
    if isinstance(store, MemoryStore):
        return repr(store)
    scheme = {S3Store: "s3", GCSStore: "gs", AzureStore: "az"}.get(type(store), "store")
    config: Mapping[str, object] = getattr(store, "config", {})  # an AzureStore has no repr
    bucket = config.get("bucket") or config.get("container_name") or "?"
    return "/".join(part for part in (f"{scheme}://{bucket}", str(getattr(store, "prefix", None) or "")) if part)
