from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from obstore.store import MemoryStore, ObjectStore

from headrace.catalog import log
from headrace.catalog.identity import uuid7
from headrace.catalog.log import CommitRecord
from headrace.catalog.manifest import Producer
from headrace.catalog.seal import sealed
from headrace.catalog.store import get, open_store, put, put_new
from headrace.schemas.errors import ConflictError, DataError

PRODUCER = Producer(headrace="0.1.0", python="3.11.9", polars="1.44.2")
ZEROS = "0" * 64


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return MemoryStore() if request.param == "memory" else open_store(tmp_path / "demo", create=True)


def commit(store: ObjectStore, **changes: Any) -> CommitRecord:
    return log.commit(store, **({"build": uuid7(), "manifest_sha256": ZEROS, "producer": PRODUCER} | changes))


def test_versions_count_from_one_and_name_their_parent(store: ObjectStore) -> None:
    assert log.latest(store) is None
    made = [commit(store) for _ in range(3)]
    assert [(record.version, record.parent) for record in made] == [(1, None), (2, 1), (3, 2)]
    assert log.latest(store) == made[2]
    assert list(log.history(store)) == made[::-1]
    assert log.read(store, 2) == made[1]
    assert log.read(store, 4) is None


def test_a_record_is_json_at_a_name_of_twenty_digits(store: ObjectStore) -> None:
    record = commit(store, idempotency_key="run-1")
    document = json.loads(get(store, "_log/00000000000000000001.json") or b"")
    assert document["build"] == record.build
    assert list(document) == [
        "format",
        "version",
        "parent",
        "build",
        "manifest_sha256",
        "idempotency_key",
        "created_at",
        "producer",
        "sha256",
    ]


def test_the_same_key_gives_the_version_that_is_there(store: ObjectStore) -> None:
    first = commit(store, idempotency_key="run-1")
    commit(store, idempotency_key="run-2")
    commit(store)
    assert commit(store, idempotency_key="run-1") == first
    assert len(log.versions(store)) == 3


def test_a_build_becomes_one_version(store: ObjectStore) -> None:
    first = commit(store)
    commit(store)
    assert commit(store, build=first.build) == first


@pytest.mark.parametrize(
    "hint", [b"", b"{", b"[]", b'{"version": 1}', b'{"version": 99}', b'{"version": -1}', b'{"version": "x"}']
)
def test_a_hint_that_is_stale_or_nonsense_does_no_harm(store: ObjectStore, hint: bytes) -> None:
    for _ in range(3):
        commit(store)
    put(store, "_log/_latest_hint.json", hint)
    assert log.latest_version(store) == 3
    assert commit(store).version == 4


def test_a_store_without_a_hint_is_listed(tmp_path: Path) -> None:
    store = open_store(tmp_path, create=True)
    for _ in range(3):
        commit(store)
    (tmp_path / "_log" / "_latest_hint.json").unlink()
    (tmp_path / "_log" / "notes.txt").write_text("not a version")
    (tmp_path / "_log" / "00000000000000000009.json#1").write_text("an upload cut short")
    assert log.versions(store) == [1, 2, 3]
    assert log.latest_version(store) == 3


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"\xff\xfe"])
def test_a_damaged_record_is_named(store: ObjectStore, data: bytes) -> None:
    put_new(store, log.record_name(1), data)
    with pytest.raises(DataError, match=f"version 1 is damaged \\({len(data)} bytes\\)"):
        log.read(store, 1)


def test_a_record_under_another_number_is_refused(store: ObjectStore) -> None:
    commit(store)
    put_new(store, log.record_name(2), get(store, log.record_name(1)) or b"")
    with pytest.raises(DataError, match="of version 2 says it is version 1"):
        log.latest(store)


def test_a_record_from_the_future_names_its_producer(store: ObjectStore) -> None:
    commit(store)
    document = json.loads(get(store, log.record_name(1)) or b"")
    document |= {"format": 2, "producer": {"headrace": "9.0"}}
    put_new(store, log.record_name(2), json.dumps(document).encode())
    with pytest.raises(DataError, match=r"written by headrace 9\.0 in format 2; this one reads up to 1") as caught:
        log.read(store, 2)
    assert caught.value.hint == "install headrace 9.0 or later"


def test_fields_of_later_versions_are_skipped(store: ObjectStore) -> None:
    commit(store)
    document = json.loads(get(store, log.record_name(1)) or b"") | {"version": 2, "colour": "blue"}
    del document["sha256"]
    put_new(store, log.record_name(2), sealed(log.record_name(2), document))
    assert log.latest_version(store) == 2
    assert log.read(store, 2) is not None


def test_a_record_from_before_there_were_seals_is_read(store: ObjectStore) -> None:
    written = commit(store)
    old = written.model_dump(mode="json")
    put(store, log.record_name(1), json.dumps(old, indent=2).encode() + b"\n")
    assert log.read(store, 1) == written
    assert commit(store).version == 2
    put(store, log.record_name(1), json.dumps(old | {"sha257": "0" * 64}).encode())
    with pytest.raises(DataError, match="version 1 is damaged"):
        log.read(store, 1)


def test_the_head_is_checked_again_after_a_lost_race(store: ObjectStore) -> None:
    seen: list[int | None] = []

    def check(head: CommitRecord | None) -> None:
        seen.append(head.version if head else None)
        if len(seen) < 3:  # someone else is faster, twice
            commit(store)

    assert commit(store, check_head=check).version == 3
    assert seen == [None, 1, 2]


def test_a_head_that_is_refused_leaves_the_log_alone(store: ObjectStore) -> None:
    def refuse(_: CommitRecord | None) -> None:
        raise ConflictError("another schema")

    commit(store)
    with pytest.raises(ConflictError, match="another schema"):
        commit(store, check_head=refuse)
    assert log.versions(store) == [1]


@pytest.mark.slow
def test_concurrent_publishers_get_contiguous_versions(store: ObjectStore) -> None:
    publishers, each = 8, 6
    start = Barrier(publishers)

    def run(_: int) -> list[int]:
        start.wait()
        return [commit(store).version for _ in range(each)]

    with ThreadPoolExecutor(publishers) as pool:
        got = [version for versions in pool.map(run, range(publishers)) for version in versions]
    assert sorted(got) == list(range(1, publishers * each + 1))
    records = list(log.history(store))
    assert len({record.build for record in records}) == publishers * each
    assert [record.parent for record in records[::-1]] == [None, *range(1, publishers * each)]


def test_concurrent_retries_with_one_key_make_one_version(store: ObjectStore) -> None:
    start = Barrier(6)

    def run(_: int) -> CommitRecord:
        start.wait()
        return commit(store, idempotency_key="run-1")

    with ThreadPoolExecutor(6) as pool:
        assert len({record.version for record in pool.map(run, range(6))}) == 1
    assert log.versions(store) == [1]
