"""Every small record of a dataset, damaged in every way: `verify` names it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore, ObjectStore
from tests.catalog.worlds import copy, objects, publish

from headrace.catalog import log
from headrace.catalog.bookkeeping import record_damage
from headrace.catalog.leases import take
from headrace.catalog.objects import delete
from headrace.catalog.reader import open_dataset
from headrace.catalog.refs import tag
from headrace.catalog.retire import retire
from headrace.catalog.store import open_store, put
from headrace.catalog.verify import verify
from headrace.schemas.errors import UsageError

LOG = [f"_log/{version:020d}.json" for version in (1, 2, 3)]
HINT = "_log/_latest_hint.json"
REFS = [f"_refs/prod/{number:08d}.json" for number in (1, 2, 3)]
RETIRED = [f"_retired/{version:020d}.json" for version in (1, 2)]


@pytest.fixture
def store() -> ObjectStore:
    """Three versions, a name that moved twice, two retirements, two leases."""
    store = MemoryStore()
    for _ in range(3):
        publish(store)
    for version in (1, 2, 3):
        tag(store, "prod", version)
    for version in (1, 2):
        retire(store, version, reason="wrong labels")
    for job in ("train", "score"):
        take(store, 3, job, last=timedelta(hours=1))
    return store


def small(store: ObjectStore) -> dict[str, bytes]:
    return {name: data for name, data in objects(store).items() if not name.startswith("builds/")}


def found(store: ObjectStore, *, read: bool = True) -> list[tuple[str, str]]:
    return [(damage.path.removeprefix("../../"), damage.problem) for damage in record_damage(store, 3, read=read)]


def test_records_in_order_have_no_damage(store: ObjectStore) -> None:
    assert len(small(store)) == 3 + 1 + 3 + 2 + 2
    assert found(store) == found(store, read=False) == []


def flips_found(store: ObjectStore, step: int) -> int:
    tried = 0
    for name, data in small(store).items():
        for place in sorted({*range(0, len(data), step), len(data) - 1}):
            spoiled = bytearray(data)
            spoiled[place] ^= 1 << place % 8
            put(store, name, bytes(spoiled))
            assert found(store) == [(name, "unreadable")], (name, place)
            tried += 1
        put(store, name, data)
    assert found(store) == []
    return tried


@pytest.mark.slow
def test_flips_of_every_record_are_found(store: ObjectStore) -> None:
    assert flips_found(store, 61) > 50


@pytest.mark.slow
def test_every_flip_of_every_byte_is_found(store: ObjectStore) -> None:
    assert flips_found(store, 1) > 2_500


@pytest.mark.slow
def test_truncations_are_found(store: ObjectStore) -> None:
    for name, data in small(store).items():
        for size in (0, 1, len(data) // 2, len(data) - 2, len(data) - 1):
            put(store, name, data[:size])
            assert found(store) == [(name, "unreadable")], (name, size)
        put(store, name, data)


@pytest.mark.slow
def test_every_swap_and_copy_is_found(store: ObjectStore) -> None:
    records = small(store)
    for name, other in combinations(records, 2):
        put(store, name, records[other])
        assert found(store) == [(name, "unreadable")], (name, other)
        put(store, other, records[name])
        assert sorted(found(store)) == sorted([(name, "unreadable"), (other, "unreadable")])
        put(store, name, records[name])
        put(store, other, records[other])


@pytest.mark.parametrize("name", [*LOG, *REFS[:2]])
@pytest.mark.parametrize("read", [False, True])
def test_a_deletion_is_found_by_what_else_speaks_of_it(store: ObjectStore, name: str, read: bool) -> None:
    delete(store, name)
    assert found(store, read=read) == [(name, "missing")]


def test_the_newest_record_is_missed_without_a_hint_as_well(store: ObjectStore) -> None:
    delete(store, HINT)
    assert found(store) == []
    delete(store, LOG[2])
    assert found(store) == [(LOG[2], "missing")], "a name and leases are on it"


def test_a_renamed_record_is_found(store: ObjectStore) -> None:
    for name, into in [(LOG[2], f"_log/{4:020d}.json"), (REFS[1], "_refs/next/00000001.json")]:
        other = copy(store)
        put(other, into, objects(other)[name])
        delete(other, name)
        assert set(found(other)) == {(into, "unreadable"), (name, "missing")}


@pytest.mark.parametrize("name", ["_log/notes.txt", "_refs/prod/3.json", "_retired/1", "_leases/train", "_refs/x"])
def test_what_no_record_is_called_is_named(store: ObjectStore, name: str) -> None:
    put(store, name, b"x")
    assert found(store, read=False) == [(name, "unlisted")]


@pytest.mark.parametrize("name", [f"_log/{10**20 - 1:020d}.json", "_refs/prod/99999999.json"])
def test_a_number_that_is_nonsense_takes_no_time(store: ObjectStore, name: str) -> None:
    put(store, name, b"{}")
    assert len(found(store)) == 101


def test_a_change_that_keeps_the_form_is_found(store: ObjectStore) -> None:
    """As by hand: valid JSON, all fields right, and no longer what was written."""
    document = json.loads(small(store)[LOG[0]])
    for change in ({"idempotency_key": "monday"}, {"created_at": "2020-01-01T00:00:00.000Z"}):
        put(store, LOG[0], (json.dumps(document | change, indent=2) + "\n").encode())
        assert found(store) == [(LOG[0], "unreadable")]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b'"created_at": "20') + 15] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def test_verify_names_the_record(make: Callable[..., Any], catalog: Path) -> None:
    make()
    make()
    opened = open_dataset(catalog / "demo")
    flip(catalog / "demo" / LOG[1])
    for given in (opened, catalog / "demo", f"{catalog}/demo@2"):
        (damage,) = verify(given)
        assert (damage.path, damage.problem) == (f"../../{LOG[1]}", "unreadable")
        assert damage.got.startswith("the commit record of version 2 is damaged (")
        assert [one.path for one in verify(given, "size")] == [f"../../{LOG[1]}"]
    assert [one.path for one in verify(f"{catalog}/demo@1")] == [f"../../{LOG[1]}"]
    assert verify(f"{catalog}/demo@1", "size") == []
    flip(catalog / "demo" / LOG[0])
    assert [one.path for one in verify(opened)] == [f"../../{name}" for name in LOG[:2]]


def test_verify_misses_the_newest_version(make: Callable[..., Any], catalog: Path) -> None:
    make()
    make()
    (catalog / "demo" / LOG[1]).unlink()
    for level in ("size", "sha256", "pages"):
        (damage,) = verify(catalog / "demo", level)  # type: ignore[arg-type]
        assert (damage.path, damage.problem) == (f"../../{LOG[1]}", "missing")
    with pytest.raises(UsageError, match="demo has no version 2"):
        verify(f"{catalog}/demo@2")


def test_what_killed_processes_left_is_no_damage(make: Callable[..., Any], catalog: Path) -> None:
    make()
    (catalog / "demo" / "_log" / "00000000000000000002.json#1").write_bytes(b"half")
    assert verify(catalog / "demo") == []
    assert log.latest_version(open_store(catalog / "demo")) == 1
