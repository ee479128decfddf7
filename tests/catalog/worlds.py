"""Datasets without rows, for tests of their history: a build is a manifest and shards of a few bytes."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import obstore
from obstore.store import MemoryStore, ObjectStore

from headrace.catalog import log
from headrace.catalog.identity import uuid7
from headrace.catalog.log import CommitRecord
from headrace.catalog.manifest import Manifest, Producer, Split, dump
from headrace.catalog.records import File

PRODUCER = Producer(headrace="0.1.0", python="3.11.9", polars="1.44.2")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def build_id(age: timedelta = timedelta(0), at: datetime | None = None) -> str:
    """The name of a build that was begun so long ago."""
    milliseconds = int(((at or datetime.now(UTC)) - age).timestamp() * 1000)
    random = uuid.UUID(uuid7()).int & (1 << 80) - 1
    return str(uuid.UUID(int=milliseconds << 80 | random))


def shard(store: ObjectStore, build: str, path: str, data: bytes = b"rows") -> File:
    """Write a shard that is none."""
    obstore.put(store, f"builds/{build}/{path}", data)
    digest = hashlib.sha256(data).hexdigest()
    return File(path=path, bytes=len(data), sha256=digest, rows=1, row_groups=(1,))


def write_build(store: ObjectStore, *, older: Sequence[File] = (), build: str = "", shards: int = 2) -> Manifest:
    """Write a build that lists shards of older ones beside its own, and its manifest."""
    build = build or uuid7()
    own = [shard(store, build, f"train/part-{number:05d}.parquet", uuid7().encode()) for number in range(shards)]
    manifest = Manifest(
        dataset="demo",
        build=build,
        created_at="2026-03-01T09:30:00.000Z",
        producer=PRODUCER,
        arrow_schema=(),
        schema_fingerprint="0" * 64,
        splits={"train": Split(rule="all", rows=len(own) + len(older), files=(*older, *own))},
    )
    obstore.put(store, f"builds/{build}/manifest.json", dump(manifest))
    return manifest


def commit(store: ObjectStore, manifest: Manifest, key: str | None = None) -> CommitRecord:
    """Make a build the next version."""
    digest = hashlib.sha256(dump(manifest)).hexdigest()
    return log.commit(store, build=manifest.build, manifest_sha256=digest, producer=PRODUCER, idempotency_key=key)


def publish(store: ObjectStore, *, older: Sequence[File] = (), build: str = "") -> CommitRecord:
    """Write a build and commit it."""
    return commit(store, write_build(store, older=older, build=build))


def inherited(manifest: Manifest) -> list[File]:
    """The shards of a manifest as the next version lists them."""
    files = manifest.splits["train"].files
    return [file if file.build else file.model_copy(update={"build": manifest.build}) for file in files]


def copy(store: ObjectStore) -> MemoryStore:
    """Another store with the same objects."""
    other = MemoryStore()
    for batch in obstore.list(store):
        for entry in batch:
            obstore.put(other, entry["path"], obstore.get(store, entry["path"]).bytes())
    return other


def objects(store: ObjectStore) -> dict[str, bytes]:
    """Everything in a store, by name."""
    found = [str(entry["path"]) for batch in obstore.list(store) for entry in batch]
    return {name: bytes(obstore.get(store, name).bytes()) for name in found}


def damaged(store: ObjectStore, record: CommitRecord) -> list[str]:
    """What of a version is not as it was published: its manifest, or shards of it and of older builds."""
    data = objects(store)
    name = f"builds/{record.build}/manifest.json"
    if hashlib.sha256(data.get(name, b"")).hexdigest() != record.manifest_sha256:
        return [name]
    manifest = Manifest.model_validate_json(data[name])
    places = {f"builds/{file.build or record.build}/{file.path}": file for file in manifest.splits["train"].files}
    return [place for place, file in places.items() if hashlib.sha256(data.get(place, b"")).hexdigest() != file.sha256]
