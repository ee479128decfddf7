"""Run records: what ran, how far it came and what it gave, as one JSON file a run. They do not need Prefect."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from headrace.catalog.build import Build
from headrace.catalog.manifest import BaselineResult
from headrace.catalog.place import Place
from headrace.catalog.store import dataset_place, get, names, open_store, put
from headrace.pipelines.work import write_atomically
from headrace.schemas.errors import CapabilityError, HeadraceError, RunError, UsageError

Status = Literal["running", "done", "failed", "interrupted"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class BadFile(_Frozen):
    """A source file that was left out."""

    path: str
    reason: str


class RunFailure(_Frozen):
    """Why a run did not end well."""

    code: str
    message: str
    hint: str = ""
    where: str = ""


class RunRecord(_Frozen):
    """One run. Times are UTC; `seconds` are by stage; counts are of rows."""

    run_id: str
    pipeline: str
    status: Status
    started_at: datetime
    finished_at: datetime | None = None
    engine: str = ""
    engine_reason: str = ""
    cluster: str = ""
    seconds: dict[str, float] = {}
    rows_in: int = 0
    rows_filtered: int = 0
    rows_published: int = 0
    splits: dict[str, int] = {}
    quarantined: dict[str, int] = {}
    rows_quarantined: int = 0
    bad_files: tuple[BadFile, ...] = ()
    features: int = 0
    dataset: str = ""
    version: int | None = None
    path: str = ""
    report: str = ""
    baselines: tuple[BaselineResult, ...] = ()
    fallbacks: tuple[str, ...] = ()
    vocabularies: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    error: RunFailure | None = None
    host: str = ""
    pid: int = 0
    build: str = ""

    @property
    def elapsed(self) -> float:
        """Seconds from start to end; of a run without an end, those of the stages it finished."""
        if self.finished_at is None:
            return sum(self.seconds.values())
        return (self.finished_at - self.started_at).total_seconds()


def runs_place(catalog: str | Path) -> Place:
    """Where the records of a catalog's runs lie."""
    return Place.of(catalog) / ".headrace" / "runs"


def save_run(catalog: str | Path, record: RunRecord) -> None:
    """Write a record, or write it anew. Raises CapabilityError, RunError."""
    place = runs_place(catalog)
    if (folder := place.folder) is None:
        put(open_store(place), f"{record.run_id}.json", record.model_dump_json(indent=1).encode())
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / f"{record.run_id}.json", record.model_dump_json(indent=1))
    except OSError as problem:
        raise unwritable(problem, catalog) from problem


def unwritable(problem: OSError, catalog: str | Path) -> CapabilityError | RunError:
    """Why nothing can be written to a catalog, as one of our errors."""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free space and run again; it goes on from here"
        return RunError(f"the disk is full: {problem.strerror}", where=str(catalog), hint=hint)
    return CapabilityError(
        f"the catalog cannot be written: {problem.strerror}",
        where=str(catalog),
        hint="choose another folder with --catalog, or make this one writable",
    )


def list_runs(catalog: str | Path) -> list[RunRecord]:
    """All runs of a catalog, the latest first. Files that are no records are passed over."""
    records = []
    for data in _saved(runs_place(catalog)):
        try:
            records.append(RunRecord.model_validate_json(data))
        except ValidationError:
            continue
    return sorted(records, key=lambda record: (record.started_at, record.run_id), reverse=True)


def read_run(catalog: str | Path, run_id: str) -> RunRecord:
    """One run by its id, by a beginning of it that only one run has, or the newest as `latest`.

    Raises
    ------
    UsageError
        No such run, or more than one.
    """
    runs = list_runs(catalog)
    if run_id == "latest" and runs:
        return runs[0]
    found = [r for r in runs if r.run_id.startswith(run_id)]
    if len(found) == 1 or any(r.run_id == run_id for r in found):
        return next((r for r in found if r.run_id == run_id), found[0])
    problem = f"{len(found)} runs begin with" if found else "no run begins with"
    raise UsageError(f"{problem} {run_id!r}", where=str(catalog), hint="headrace runs list")


def sweep(catalog: str | Path, pipeline: str) -> None:
    """Close the records of runs on this machine that ended without a word, and remove what they had begun to write.

    A run that was killed cannot do this itself. Nothing of it was visible.
    """
    here = socket.gethostname()
    for record in list_runs(catalog):
        mine = record.pipeline == pipeline and record.host == here
        if mine and record.status == "running" and not _alive(record.pid):
            if record.build:
                folder, place = Path(record.build), dataset_place(catalog, pipeline)
                with contextlib.suppress(HeadraceError):
                    Build(pipeline, folder.name, folder, place if place.remote else None).discard()
            failure = RunFailure(code="killed", message="the process ended without a word; it was killed")
            save_run(catalog, record.model_copy(update={"status": "failed", "error": failure}))


def _saved(place: Place) -> Iterator[bytes]:
    if place.folder is not None:
        for path in place.folder.glob("*.json"):
            with contextlib.suppress(OSError):
                yield path.read_bytes()
        return
    store = open_store(place)
    some = [name for name in names(store, "") if name.endswith(".json")]
    with ThreadPoolExecutor(16) as pool:
        yield from (data for data in pool.map(lambda name: get(store, name), some) if data is not None)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
