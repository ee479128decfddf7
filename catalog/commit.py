"""Publishing: the last step, which turns a finished build into the next version of its dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.catalog import log
from headrace.catalog.arrow_schema import arrow_summary
from headrace.catalog.build import Build
from headrace.catalog.card import CARD, dataset_card
from headrace.catalog.manifest import Extends, Manifest
from headrace.catalog.store import dataset_folder, open_store
from headrace.catalog.stored import read_manifest
from headrace.schemas.errors import ConflictError, UsageError


@dataclass(frozen=True)
class Published:
    """A version that everyone can open."""

    dataset: str
    version: int
    path: Path
    """The build's folder: what `datasets.load_dataset` and `pl.scan_parquet` take."""
    build: str
    manifest_sha256: str
    created: bool
    """False if the idempotency key had been used: the version was there, and the build handed in is gone."""


def publish(
    catalog: str | Path,
    dataset: str,
    build: Build,
    manifest: Manifest,
    *,
    idempotency_key: str | None = None,
    continues: Mapping[str, Extends | None] = {},
) -> Published:
    """Write the card (unless there is one) and the manifest into `build`, and commit it as the next version.

    Parameters
    ----------
    manifest
        Lists every file of the build; the README.md that is written here is added.
    idempotency_key
        A run that is retried passes the same key and gets the version that its first try published.
    continues
        Columns whose vocabularies go on from the latest version, and what that was when they were learned: None where
        they began.

    Raises
    ------
    ConflictError
        While this was publishing, someone else published a version with another schema than this one and than the
        version that was the latest when this began. Or, since a vocabulary in `continues` was learned, a version that
        continues it otherwise: one id would stand for two values.
    DataError
        The build and its manifest differ.
    """
    folder = dataset_folder(catalog, dataset)
    if build.path != folder / "builds" / build.id:
        raise UsageError(f"the build {build.path} does not belong to {folder}")
    store = open_store(folder)
    began = log.latest(store)
    accepted = {manifest.schema_fingerprint}
    if began is not None:
        all_before = range(1, began.version + 1)
        if known := log.find(store, all_before, build=build.id, idempotency_key=idempotency_key):
            return _published(dataset, folder, known, build)
        accepted.add(read_manifest(folder, began).schema_fingerprint)

    def follows(head: log.CommitRecord | None) -> None:
        if head is None or (not continues and began is not None and head.version == began.version):
            return
        theirs = read_manifest(folder, head)
        if column := _continued_otherwise(continues, manifest, theirs, head.version):
            raise ConflictError(
                f"version {head.version} was published meanwhile, and its ids of new values in column {column!r} are "
                "others",
                hint="run again, to continue that version",
                where=str(folder),
            )
        if theirs.schema_fingerprint not in accepted:
            raise ConflictError(
                f"version {head.version} was published meanwhile with another schema: "
                + arrow_summary(manifest.arrow_schema, theirs.arrow_schema),
                hint="look at that version; if this one is to follow it, run again",
                where=str(folder),
            )

    if CARD not in {ref.path for ref in manifest.all_files()}:
        card = build.write(CARD, dataset_card(manifest).encode())
        manifest = manifest.model_copy(update={"files": (*manifest.files, card)})
    digest = build.finish(manifest)
    record = log.commit(
        store,
        build=build.id,
        manifest_sha256=digest,
        producer=manifest.producer,
        idempotency_key=idempotency_key,
        check_head=follows,
    )
    return _published(dataset, folder, record, build)


def _continued_otherwise(
    continues: Mapping[str, Extends | None], ours: Manifest, theirs: Manifest, version: int
) -> str | None:
    """The first column whose ids in `theirs` are neither those that ours went on from nor those it has now."""
    own = {c.name: c.vocabulary.sha256 for c in ours.columns if c.vocabulary}
    for column in theirs.columns:
        if column.vocabulary is None or column.name not in continues:
            continue
        older = continues[column.name]
        if older is not None and older.version == version:
            continue
        if column.vocabulary.sha256 not in (older and older.sha256, own.get(column.name)):
            return column.name
    return None


def _published(dataset: str, folder: Path, record: log.CommitRecord, build: Build) -> Published:
    created = record.build == build.id
    if not created:
        build.discard()
    path = folder / "builds" / record.build
    return Published(dataset, record.version, path, record.build, record.manifest_sha256, created)
