"""Where a run works on this machine: beside the datasets on disk, in a folder of its own for an object store."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from headrace.catalog.cache import cache_folder
from headrace.catalog.place import Place


def work_folder(catalog: str | Path | Place) -> Path:
    """The folder for what runs of a catalog have under way.

    That of a catalog on disk is the catalog. For an object store it is a folder in $HEADRACE_WORK, else in the cache;
    workers on other machines must see it under the same path.
    """
    place = Place.of(catalog)
    if place.folder is not None:
        return place.folder
    named = os.environ.get("HEADRACE_WORK", "")
    root = Path(named).expanduser().absolute() if named else cache_folder() / "work"
    words = re.sub(r"[^A-Za-z0-9._]+", "-", place.uri)[:80]
    return root / f"{words}-{hashlib.sha256(place.uri.encode()).hexdigest()[:8]}"


def staged_builds(catalog: str | Path | Place, dataset: str) -> Path:
    """The folder that builds of a dataset are written in: on disk the one they stay in."""
    place = Place.of(catalog)
    if place.folder is not None:
        return place.folder / dataset / "builds"
    return work_folder(place) / ".headrace" / "builds" / dataset
