"""Objects of a store as more than bytes: listed with size and time, deleted, read as small records."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore
from pydantic import Field

from headrace.catalog import store as stores
from headrace.catalog.manifest import FORMAT
from headrace.catalog.records import Record
from headrace.catalog.seal import sealed, unsealed
from headrace.schemas.errors import DataError, UsageError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_STAGED: Final = re.compile(r".*#\d+")
_SMALL: Final = ("_leases", "_log", "_probe", "_refs", "_retired")


class Entry(Record):
    """A small JSON object of its own beside the log: of a ref, a lease, a retirement."""

    format: int = Field(default=FORMAT, ge=1)

    @property
    def object_name(self) -> str:
        """Where it lies in its dataset."""
        raise NotImplementedError


E = TypeVar("E", bound=Entry)


@dataclass(frozen=True)
class Object:
    """What a listing says of an object."""

    name: str
    bytes: int
    modified: datetime
    """By the store's clock, UTC."""


def listed(store: ObjectStore, prefix: str) -> list[Object]:
    """The objects below a folder by name, with size and time; on disk all files, links that are not followed too.

    Raises CapabilityError, RunError.
    """
    try:
        if (folder := _on_disk(store, prefix)) is not None:
            return sorted(_files(folder, prefix), key=lambda found: found.name)
        found = [entry for batch in obstore.list(store, prefix) for entry in batch]
    except (OSError, BaseError) as error:
        raise stores.store_error(error, f"list {prefix}", stores.place(store)) from error
    objects = [Object(str(e["path"]), int(e["size"]), e["last_modified"].astimezone(UTC)) for e in found]
    return sorted(objects, key=lambda found: found.name)


def folders(store: ObjectStore, prefix: str) -> list[str]:
    """Names of the folders directly in one, without its own; on disk also of empty ones, and none that is a link."""
    try:
        if (folder := _on_disk(store, prefix)) is not None:
            inner = list(os.scandir(folder)) if folder.is_dir() else []
            return sorted(entry.name for entry in inner if entry.is_dir(follow_symlinks=False))
        found = obstore.list_with_delimiter(store, prefix)["common_prefixes"]
    except (OSError, BaseError) as error:
        raise stores.store_error(error, f"list {prefix}", stores.place(store)) from error
    return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)


def delete(store: ObjectStore, name: str) -> None:
    """Delete an object; one that is not there is no error. Raises CapabilityError, RunError."""
    try:
        if (path := _on_disk(store, name)) is not None:
            path.unlink(missing_ok=True)
        else:
            obstore.delete(store, name)
    except FileNotFoundError:
        return
    except (OSError, BaseError) as error:
        raise stores.store_error(error, f"delete {name}", stores.place(store)) from error


def delete_folder(store: ObjectStore, prefix: str) -> None:
    """On disk: remove a folder with the empty ones in it. Elsewhere there are none."""
    if (folder := _on_disk(store, prefix)) is not None:
        shutil.rmtree(folder, ignore_errors=True)


def store_time(store: ObjectStore) -> datetime:
    """The time by the store's clock, which writes the times of objects. An object of a few bytes is written for it.

    Raises CapabilityError, RunError.
    """
    name = f"_probe/{uuid.uuid4().hex}"
    stores.put(store, name, b"clock")
    try:
        return obstore.head(store, name)["last_modified"].astimezone(UTC)
    except (OSError, BaseError) as error:
        raise stores.store_error(error, "ask for the time", stores.place(store)) from error
    finally:
        delete(store, name)


def staged(store: ObjectStore) -> list[Object]:
    """On disk: what a process that was killed left of small objects that it was about to create."""
    if _on_disk(store, "") is None:
        return []
    return [one for folder in _SMALL for one in listed(store, folder) if _STAGED.fullmatch(one.name)]


def _on_disk(store: ObjectStore, name: str) -> Path | None:
    """The path of an object. obstore follows links to folders, so on disk it neither lists nor deletes."""
    return Path(store.prefix) / name if isinstance(store, LocalStore) and store.prefix is not None else None


def _files(folder: Path, prefix: str) -> Iterator[Object]:
    for root, inner, files in os.walk(folder):
        links = [name for name in inner if (Path(root) / name).is_symlink()]
        for path in (Path(root) / name for name in (*files, *links)):
            try:
                found = path.lstat()
            except FileNotFoundError:
                continue  # meanwhile
            name = f"{prefix}/{path.relative_to(folder).as_posix()}"
            yield Object(name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def dump_entry(entry: Entry) -> bytes:
    """JSON as people read it, sealed for where it lies."""
    return sealed(entry.object_name, entry.model_dump(mode="json"))


def read_entry(store: ObjectStore, name: str, kind: type[E]) -> E | None:
    """A small record, None if it is absent. Raises DataError if it is damaged, another's, or of a later format."""
    data = stores.get(store, name)
    if data is None:
        return None
    where = f"{stores.place(store)}/{name}"
    try:
        document = json.loads(data)
        written = document.get("format") if isinstance(document, dict) else None
        if isinstance(written, int) and written > FORMAT:
            raise DataError(
                f"is of format {written}; this headrace reads up to {FORMAT}",
                hint="install the headrace that wrote it, or a later one",
                where=where,
            )
        found = kind.model_validate(document, context="read")
        if found.object_name != name:
            raise DataError(f"says it is {found.object_name}", hint="restore it from a backup", where=where)
        unsealed(name, data, kind.model_fields)
        return found
    except ValueError as error:
        raise DataError(
            f"is damaged ({len(data)} bytes)", hint="restore it from a backup, or look at it", where=where
        ) from error


def is_name(name: str) -> bool:
    """Whether `name` may be that of a dataset, a ref or a job."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str, what: str) -> str:
    """`name`, if it may name a ref or a job: the alphabet of datasets' names. Raises UsageError."""
    if not is_name(name):
        raise UsageError(
            f"{name!r} cannot be the name of a {what}",
            hint="letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 128",
        )
    return name
