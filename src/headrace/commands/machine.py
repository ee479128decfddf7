"""What the machine offers: cores, memory, the catalog's store, Prefect's API."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headrace.commands.findings import Finding
from headrace.commands.layout import bytes_in_words
from headrace.schemas.errors import HeadraceError, UsageError

CATALOG: Final = "catalog"
"""The line of the catalog's store."""

_LITTLE_MEMORY: Final = 2 << 30
_LITTLE_SPACE: Final = 1 << 30


def findings(catalog: str, *, wanted: bool = False) -> Iterator[Finding]:
    """Cores and memory, the store of `catalog`, Prefect. `wanted`: someone named the catalog, who means to use it."""
    yield _processors()
    yield _memory()
    yield from _store(catalog, wanted)
    yield _prefect()


def usable_cores() -> int:
    """Cores that this process may run on; a container's quota counts, rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _text("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdecimal() and period.strip().isdecimal():
        cores = min(cores, -(-int(quota) // int(period)))
    return max(1, cores)


def memory() -> tuple[int, int] | None:
    """Bytes free and in all, within the container's limit if there is one; None where the system does not say."""
    fields = dict(line.split(":", 1) for line in _text("/proc/meminfo").splitlines() if ":" in line)
    try:
        free, total = (int(fields[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))
    except (KeyError, ValueError, IndexError):
        return None
    limit, used = _text("/sys/fs/cgroup/memory.max").strip(), _text("/sys/fs/cgroup/memory.current").strip()
    if limit.isdecimal() and used.isdecimal():
        free, total = min(free, int(limit) - int(used)), min(total, int(limit))
    return max(0, free), total


def _processors() -> Finding:
    return Finding("cores", "ok", f"{usable_cores()} usable of {os.cpu_count()}")


def _memory() -> Finding:
    found = memory()
    if found is None:
        return Finding("memory", "warning", "unknown on this system")
    free, total = found
    words = f"{bytes_in_words(free)} free of {bytes_in_words(total)}"
    if free < _LITTLE_MEMORY:
        return Finding("memory", "warning", words, "runs may be slow or end early: use smaller --partition-bytes")
    return Finding("memory", "ok", words)


def _store(catalog: str, wanted: bool) -> Iterator[Finding]:
    from headrace.catalog.place import Place
    from headrace.catalog.staging import work_folder
    from headrace.catalog.store import exists, open_store, probe

    place = Place.of(catalog)
    folder = work_folder(place)
    try:
        if place.folder is not None and place.folder.is_file():
            raise UsageError("is a file, a catalog is a folder", hint="name a folder with --catalog")
        base = next(path for path in (folder, *folder.parents) if path.is_dir())
        if place.remote:
            probe(open_store(place / ".headrace"))
        else:
            with tempfile.TemporaryDirectory(prefix=".headrace-doctor-", dir=base) as trial:
                probe(open_store(Path(trial)))
        there = "" if exists(place) else " (not there yet)"
    except (HeadraceError, OSError) as error:
        hint = error.hint if isinstance(error, HeadraceError) else "name a folder that can be written with --catalog"
        yield Finding(CATALOG, "broken" if wanted else "warning", f"{catalog}: {error}", hint)
        return
    yield Finding(CATALOG, "ok", f"{place}{there}: can be written, and a name can be created once only")
    space = shutil.disk_usage(base).free
    if space < _LITTLE_SPACE:
        yield Finding("disk", "warning", f"{bytes_in_words(space)} free at {base}", "free some space before a run")
    else:
        yield Finding("disk", "ok", f"{bytes_in_words(space)} free at {base}")


def _prefect() -> Finding:
    from headrace.commands.orchestrator import api_url, health

    url = api_url()
    if not url:
        return Finding("Prefect API", "absent", "not configured; runs need none", "to use one, set PREFECT_API_URL")
    if problem := health(url):
        advice = "start it (`prefect server start`), or unset PREFECT_API_URL; runs do without until then"
        return Finding("Prefect API", "warning", f"{url} does not answer: {problem}", advice)
    return Finding("Prefect API", "ok", f"{url} answers")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
