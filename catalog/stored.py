"""Manifests as they lie in a catalog: checked against their commit record before anything in them is believed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from headrace.catalog.log import CommitRecord
from headrace.catalog.manifest import FORMAT, MANIFEST, READER_FEATURES, Manifest
from headrace.catalog.place import Place
from headrace.catalog.records import relative_path
from headrace.catalog.store import get, open_store
from headrace.schemas.errors import DataError


def object_name(build: str, path: str) -> str:
    """A file of a build as an object of its dataset: ``builds/<id>/train/part-00000.parquet``. Raises DataError.

    A name that leads out of the build is refused, though an object store would take it for a name like any other.
    """
    try:
        return f"builds/{relative_path(build)}/{relative_path(path)}"
    except ValueError as error:
        raise DataError(f"leads out of the build: {error}", where=path) from None


def read_manifest(at: Place, record: CommitRecord) -> Manifest:
    """The manifest of a committed build, checked against the hash in its commit record. Raises DataError.

    `at` is `<catalog>/<dataset>`.
    """
    where = str(at / "builds" / record.build / MANIFEST)
    data = _read(at, record)
    if (got := hashlib.sha256(data).hexdigest()) != record.manifest_sha256:
        raise DataError(
            f"the manifest of version {record.version} was changed after it was published: "
            f"sha256 {got}, expected {record.manifest_sha256}",
            hint="restore it from a backup, or open an older version",
            where=where,
        )
    return parse_manifest(data, where)


def _read(at: Place, record: CommitRecord) -> bytes:
    reason = "it is missing"
    if at.folder is None:
        data = get(open_store(at), object_name(record.build, MANIFEST))
        if data is not None:
            return data
    else:
        try:
            return safe_path(at.folder / "builds" / record.build, MANIFEST).read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
    raise DataError(
        f"the manifest of version {record.version} cannot be read: {reason}",
        hint="restore the build's folder from a backup, or open an older version",
        where=str(at / "builds" / record.build / MANIFEST),
    )


def parse_manifest(data: bytes, where: str) -> Manifest:
    """A manifest from its bytes; refuses a later format and features this reader lacks. Raises DataError."""
    try:
        document = json.loads(data)
        if not isinstance(document, dict):
            raise TypeError("not a JSON object")
        _refuse_later(document, where)
        return Manifest.model_validate(document, context="read")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"is not a manifest: {error.error_count()} faults, the first at {place or 'the top'}: {first['msg']}",
            where=where,
        ) from error
    except (ValueError, TypeError) as error:
        raise DataError(f"is not a manifest: {error}", where=where) from error


def safe_path(root: Path, relative: str) -> Path:
    """`root/relative`, refused with DataError if symbolic links lead out of `root`."""
    path = root / relative
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError(f"{relative} leads out of the build to {path.resolve()}", where=str(root))
    return path


def _refuse_later(document: dict[str, Any], where: str) -> None:
    written = document.get("format")
    unknown = sorted(set(document.get("reader_features") or ()) - READER_FEATURES)
    if (isinstance(written, int) and written > FORMAT) or unknown:
        producer = document.get("producer")
        by = producer.get("headrace", "?") if isinstance(producer, dict) else "?"
        needs = f"features {', '.join(unknown)}" if unknown else f"format {written}; this one reads up to {FORMAT}"
        raise DataError(f"written by headrace {by}, needs {needs}", hint=f"install headrace {by} or later", where=where)
