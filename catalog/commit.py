"""Publishing: the last step, which turns a finished build into the next version of its dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headrace.catalog import log
from headrace.catalog.arrow_schema import arrow_summary
from headrace.catalog.build import Build, UploadAll
from headrace.catalog.cards import cards
from headrace.catalog.manifest import Manifest
from headrace.catalog.place import Place
from headrace.catalog.reader import Dataset
from headrace.catalog.retired import newest_record
from headrace.catalog.store import dataset_place, open_store
from headrace.catalog.stored import read_manifest
from headrace.catalog.upload import upload_here
from headrace.schemas.errors import ConflictError, UsageError


@dataclass(frozen=True)
class Published:
    """A version that everyone can open."""

    dataset: str
    version: int
    place: Place
    """Where the build lies."""
    build: str
    manifest_sha256: str
    created: bool
    """False if the idempotency key had been used: the version was there, and the build handed in is gone."""

    @property
    def uri(self) -> str:
        """Where the build lies, in words."""
        return str(self.place)

    @property
    def path(self) -> Path:
        """The build's folder: what `datasets.load_dataset` and `pl.scan_parquet` take. CapabilityError in a store."""
        return self.place.on_disk("open the dataset by open_dataset, and its files by local() or files()")


def publish(
    catalog: str | Path | Place,
    dataset: str,
    build: Build,
    manifest: Manifest,
    *,
    idempotency_key: str | None = None,
    may_follow: Callable[[Dataset], None] | None = None,
    upload: UploadAll = upload_here,
) -> Published:
    """Write the cards (but those that are there) and the manifest into `build`, and commit it as the next version.

    Parameters
    ----------
    manifest
        Lists every file of the build; the cards that are written here are added.
    idempotency_key
        A run that is retried passes the same key and gets the version that its first try published.
    may_follow
        Called with the version that this one would follow, the highest that is not retired, again after every lost
        race; raises to refuse. Called also for the one that was the latest when this began: what it goes on from was
        read before.
    upload
        Who uploads the files of a build for an object store.

    Raises
    ------
    ConflictError
        While this was publishing, someone else published a version with another schema than this one and than the
        version that was the latest when this began.
    DataError
        The build and its manifest differ.
    CapabilityError, RunError
        The store or the disk refuses. If the message says that the version may have been published all the same, the
        build is `unsettled`: it is kept until garbage collection finds that nothing came of it.
    """
    place = dataset_place(catalog, dataset)
    if build.place != place:
        raise UsageError(f"the build {build.path} does not belong to {place}")
    store = open_store(place)
    began = log.latest(store)
    accepted = {manifest.schema_fingerprint}
    if began is not None:
        all_before = range(1, began.version + 1)
        if known := log.find(store, all_before, build=build.id, idempotency_key=idempotency_key):
            return _published(known, build)
    before = newest_record(store)
    if before is not None:
        accepted.add(read_manifest(place, before).schema_fingerprint)

    def follows(_: log.CommitRecord | None) -> None:
        head = newest_record(store)
        if head is None or (may_follow is None and before is not None and head.version == before.version):
            return
        theirs = read_manifest(place, head)
        if may_follow is not None:
            may_follow(Dataset(dataset, head.version, place, head, theirs))
        if theirs.schema_fingerprint not in accepted:
            raise ConflictError(
                f"version {head.version} was published meanwhile with another schema: "
                + arrow_summary(manifest.arrow_schema, theirs.arrow_schema),
                hint="look at that version; if this one is to follow it, run again",
                where=str(place),
            )

    there = {ref.path for ref in manifest.files}
    written = [build.write(name, data) for name, data in cards(manifest).items() if name not in there]
    manifest = manifest.model_copy(update={"files": (*manifest.files, *written)})
    digest = build.finish(manifest, upload)
    record = log.commit(
        store,
        build=build.id,
        manifest_sha256=digest,
        producer=manifest.producer,
        idempotency_key=idempotency_key,
        check_head=follows,
        attempt=build.committing,
    )
    return _published(record, build)


def _published(record: log.CommitRecord, build: Build) -> Published:
    created = record.build == build.id
    if created:
        build.settle()
        build.unstage()
    else:
        build.discard()
    return published_as(build.dataset, build.place, record, created=created)


def published_as(dataset: str, place: Place, record: log.CommitRecord, *, created: bool) -> Published:
    """What a commit record says was published. `place` is `<catalog>/<dataset>`."""
    at = place / "builds" / record.build
    return Published(dataset, record.version, at, record.build, record.manifest_sha256, created)
