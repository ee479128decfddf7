"""Where a catalog lives, and the one promise it must keep: a name can be created once.

Every operation on a commit log goes through obstore, so that the same code serves object stores. Shards of local
catalogs are ordinary files below the same folder.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore

from headrace.catalog.files import sync_file, sync_folder
from headrace.schemas.errors import CapabilityError, RunError, UsageError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_FULL: Final = ("No space left", "os error 28", "Disk quota", "os error 122")


def local_path(uri: str | Path) -> Path:
    """The folder that `uri` names: a path or ``file://``. Raises CapabilityError for other schemes."""
    text = str(uri)
    if match := _SCHEME.match(text):
        if match[1].lower() != "file":
            raise CapabilityError(
                f"catalogs on {match[1]}:// are not supported yet",
                hint="use a folder; a shared file system works",
                where=text,
            )
        text = text[match.end() :]
    return Path(text).expanduser().absolute()


def dataset_folder(catalog: str | Path, dataset: str) -> Path:
    """`<catalog>/<dataset>`, with the name checked: letters, digits, ``._-``, no leading dot or underscore."""
    if not _NAME.fullmatch(dataset):
        raise UsageError(
            f"{dataset!r} cannot be the name of a dataset",
            hint="letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 128",
        )
    return local_path(catalog) / dataset


def open_store(folder: Path, *, create: bool = False) -> ObjectStore:
    """The store of one dataset. With `create` its folder is made. Raises CapabilityError if that is not allowed."""
    try:
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        return LocalStore(folder)
    except (OSError, BaseError) as error:
        raise store_error(error, "open the catalog", str(folder)) from error


def probe(store: ObjectStore) -> None:
    """Prove that the store can be written and that a second create of one name fails.

    Raises CapabilityError. Two writes and a delete of an object of a few bytes.
    """
    name = f"_probe/{uuid.uuid4().hex}"
    where = place(store)
    try:
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
    except FileNotFoundError:
        return None
    except (OSError, BaseError) as error:
        raise store_error(error, f"read {name}", place(store)) from error


def names(store: ObjectStore, prefix: str) -> list[str]:
    """Names of the objects below `prefix`, sorted."""
    try:
        return sorted(str(entry["path"]) for batch in obstore.list(store, prefix) for entry in batch)
    except (OSError, BaseError) as error:
        raise store_error(error, f"list {prefix}", place(store)) from error


def place(store: ObjectStore) -> str:
    """The store in words, for messages."""
    return str(store.prefix) if isinstance(store, LocalStore) else repr(store)


def store_error(error: Exception, doing: str, where: str) -> CapabilityError | RunError:
    """What a store or the disk below it refused, as one of our errors."""
    reason = str(error).splitlines()[0]
    if any(sign in str(error) for sign in _FULL):
        return RunError(f"could not {doing}: {reason}", hint="free space there; nothing was published", where=where)
    return CapabilityError(
        f"could not {doing}: {reason}",
        hint="check that the folder exists and may be written, or choose another catalog",
        where=where,
    )
