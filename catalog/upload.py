"""The files of a build on their way into an object store, each checked as it goes. A task for a worker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import BaseError

from headrace.catalog.objects import delete
from headrace.catalog.place import Place
from headrace.catalog.records import FileRef
from headrace.catalog.store import open_store, store_error
from headrace.schemas.errors import DataError, RunError

PART: Final = 8 << 20
"""Bytes of one request; larger files go in parts."""

AHEAD: Final = 4
"""Parts at once."""


@dataclass(frozen=True)
class Upload:
    """One file: small enough a value to be sent anywhere. The file goes from where it lies, not through the client."""

    place: Place
    """`<catalog>/<dataset>`"""
    name: str
    """The object's name: ``builds/<id>/train/part-00000.parquet``."""
    path: Path
    file: FileRef
    """Its size and hash, which it must have when it is read."""


def upload(task: Upload) -> int:
    """Write the file into the store, over what an earlier try left. Returns its bytes.

    Raises
    ------
    DataError
        The file is not what it was when it was described. Nothing is left in the store.
    RunError
        It cannot be read.
    CapabilityError
        The store refuses or does not answer.

    Notes
    -----
    Cost: the file is read once, a few parts of it are in memory.
    """
    store, digest = open_store(task.place), hashlib.sha256()
    try:
        size = task.path.stat().st_size
        parts = _parts(task.path, digest)
        source = b"".join(parts) if size <= PART else parts
        obstore.put(store, task.name, source, chunk_size=PART, max_concurrency=AHEAD, mode="overwrite")
    except OSError as error:
        if not task.path.is_file():
            raise RunError("is gone before it was published", hint="run again", where=str(task.path)) from error
        raise store_error(error, f"write {task.name}", task.place.uri) from error
    except BaseError as error:
        raise store_error(error, f"write {task.name}", task.place.uri) from error
    if (got := digest.hexdigest()) != task.file.sha256:
        delete(store, task.name)
        raise DataError(
            f"was changed before it was published: sha256 {got}, expected {task.file.sha256}",
            hint="run again with --force",
            where=str(task.path),
        )
    return size


def upload_here(tasks: Sequence[Upload]) -> None:
    """Upload from this process, a few files at once."""
    with ThreadPoolExecutor(4, thread_name_prefix="upload") as pool:
        try:
            list(pool.map(upload, tasks))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _parts(path: Path, digest: hashlib._Hash) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(PART):
            digest.update(data)
            yield data
