"""Appending: a version whose manifest lists the shards of the version before, where they lie, beside its own."""

from __future__ import annotations

import hashlib
import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from headrace.catalog import log
from headrace.catalog.appended import appended, differences, other_steps
from headrace.catalog.build import MANIFEST, Build, UploadAll
from headrace.catalog.card import CARD
from headrace.catalog.commit import Published, publish
from headrace.catalog.croissant import CROISSANT
from headrace.catalog.leases import Held, leased
from headrace.catalog.manifest import Manifest
from headrace.catalog.output_contract import OUTPUT_CONTRACT
from headrace.catalog.place import Place
from headrace.catalog.reader import Dataset, open_dataset
from headrace.catalog.records import FileRef
from headrace.catalog.sketch import Sketch, merge_sketches
from headrace.catalog.sketch_files import COLUMNS, FOLDER, VALUES, load_sketches, save_sketches, sketches_of
from headrace.catalog.store import dataset_place, open_store
from headrace.catalog.upload import upload_here
from headrace.schemas.errors import ConflictError, DataError

OWN: Final = f"{FOLDER}/own"
"""Statistics of the rows that an append brings, in its build; those beside it are of all rows."""

_FILES: Final = (COLUMNS, VALUES)
_LEASE: Final = timedelta(hours=1)


def append(
    catalog: str | Path | Place,
    dataset: str,
    build: Build,
    manifest: Manifest,
    *,
    idempotency_key: str | None = None,
    any_pipeline: bool = False,
    upload: UploadAll = upload_here,
) -> Published:
    """Publish the rows of a build behind those of the latest version, whose shards stay where they are.

    Parameters
    ----------
    build
        Holds the new shards, the state that made them and their statistics (`save_sketches`), as for `publish`.
    manifest
        Lists what is in the build, as for `publish`. The older shards, inputs and counts are added here, statistics of
        all rows are merged from those saved with both; no rows are read.
    idempotency_key
        A run that is retried passes the same key and gets the version that its first try published.
    any_pipeline
        Also if steps of the fitted pipeline differ from those that made the older rows: for whoever knows that they
        come to the same.
    upload
        Who uploads the files of a build for an object store.

    Raises
    ------
    UsageError
        There is no version to append to.
    DataError
        The new rows cannot stand beside the older ones: another schema, split or split rule, ids that mean other
        values, another cardinality, other steps, the same input files again. All that differs is named. Or one of the
        two has no saved statistics.
    ConflictError
        The same, of a version that was published meanwhile.

    Notes
    -----
    The latest version is leased meanwhile, so that it is not collected. A lost race begins again with the new head.
    Cost: the two manifests and statistics; for each lost race the build's files are uploaded again.
    """
    place = dataset_place(catalog, dataset)
    store = open_store(place)
    tries = 0
    while True:
        head = log.latest_version(store) or 0
        if log.find(store, range(1, head + 1), build=build.id, idempotency_key=idempotency_key):
            return publish(place.parent, dataset, build, manifest, idempotency_key=idempotency_key)
        base = open_dataset(str(place))
        with leased(store, base.version, f"append-{build.id}-{base.version}", last=_LEASE, dataset=dataset) as held:
            _check(base, build, manifest, any_pipeline=any_pipeline, meanwhile=tries > 0)
            try:
                return publish(
                    place.parent,
                    dataset,
                    build,
                    _whole(base, build, manifest),
                    idempotency_key=idempotency_key,
                    may_follow=partial(_follows, base, held),
                    upload=upload,
                )
            except _LostRace:
                tries += 1
            except BaseException:
                if build.unsettled:
                    held.leave()  # a version that lists the older shards may still come
                raise


class _LostRace(Exception):
    """Another version was published meanwhile."""


def _follows(base: Dataset, held: Held, head: Dataset) -> None:
    held.keep()
    if head.version != base.version:
        raise _LostRace


def _check(base: Dataset, build: Build, manifest: Manifest, *, any_pipeline: bool, meanwhile: bool) -> None:
    problems = list(differences(base, manifest))
    if not any_pipeline:
        problems += other_steps(base, manifest, build.path)
    if not problems:
        return
    what = f"the build cannot be appended to {base.name}@{base.version}"
    message = "\n".join([f"{what}, which was published meanwhile:" if meanwhile else f"{what}:", *problems])
    if meanwhile:
        raise ConflictError(message, hint="look at that version, then run again", where=str(build.path))
    raise DataError(message, hint="publish all rows as a version of their own", where=str(build.path))


def _whole(base: Dataset, build: Build, manifest: Manifest) -> Manifest:
    """The manifest of all rows, and in the build the statistics that belong to it, in place of an earlier try's."""
    mine = {file.path: file for file in manifest.own_files()}
    statistics = [f"{FOLDER}/{name}" for name in _FILES]
    if missing := [path for path in statistics if path not in mine]:
        raise DataError(
            f"the build has no saved statistics: {' and '.join(missing)} not listed",
            hint="headrace.catalog.sketch_files.save_sketches writes them",
            where=str(build.path),
        )
    kept = [build.write(f"{OWN}/{Path(path).name}", _listed(build, mine[path])) for path in statistics]
    own = {split: load_sketches(build.path / OWN, split) for split in manifest.splits}
    merged: dict[str, dict[str, Sketch]] = {}
    for split in base.splits:
        older = _saved(base, split)
        merged[split] = merge_sketches([older, own[split]]) if split in own else older
    cut_short = {path for path in build.files() if Path(path).match(".*.tmp")}  # by `durable_file`, in an earlier try
    for path in ({CARD, CROISSANT, OUTPUT_CONTRACT} | cut_short) - mine.keys() | {*statistics, MANIFEST}:
        (build.path / path).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        paths = save_sketches(Path(folder), merged)
        whole = [build.write(f"{FOLDER}/{path.name}", path.read_bytes()) for path in paths]
    files = [*(file for file in manifest.files if file.path not in statistics), *kept, *whole]
    manifest = manifest.model_copy(update={"files": tuple(sorted(files, key=lambda file: file.path))})
    return appended(base.manifest, manifest, merged)


def _listed(build: Build, ref: FileRef) -> bytes:
    """A file of statistics as it is listed: where an earlier try was, it lies in `statistics/own`."""
    for folder in (OWN, FOLDER):
        path = build.path / folder / Path(ref.path).name
        if path.is_file() and hashlib.sha256(data := path.read_bytes()).hexdigest() == ref.sha256:
            return data
    raise DataError(f"{ref.path} is not in the build as it is listed", where=str(build.path))


def _saved(base: Dataset, split: str) -> dict[str, Sketch]:
    if not any(file.path == f"{FOLDER}/{COLUMNS}" for file in base.manifest.files):
        raise DataError(
            f"{base.name}@{base.version} has no saved statistics, so those of all rows cannot be merged",
            hint="publish all rows as a version of their own",
            where=str(base.place),
        )
    return sketches_of(base, split)
