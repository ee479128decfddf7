"""What a file holds, by its bytes: footers tell files apart, but not those that differ in plain numbers alone."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from headrace.pipelines.sources import SourceFiles
from headrace.schemas.errors import DataError

_THREADS: Final = 4


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, all of which are read.

    Raises
    ------
    DataError
        The file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror or error}", where=str(path), hint="run again when nobody moves its files"
        ) from error


def with_sha256(files: SourceFiles) -> SourceFiles:
    """The files of a source with the SHA-256 of each good one: all of them are read once, several at a time."""
    good = [file.path for file in files.checked if not file.problem]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = dict(zip(good, pool.map(sha256_of, good), strict=True))
    checked = (file.model_copy(update={"sha256": found.get(file.path, "")}) for file in files.checked)
    return replace(files, checked=tuple(checked))
