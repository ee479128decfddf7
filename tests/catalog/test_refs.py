from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from obstore.store import MemoryStore, ObjectStore
from tests.catalog.faults import every_death, failing
from tests.catalog.worlds import publish

from headrace.catalog.refs import check_ref, current, refs, resolve, tag, untag
from headrace.catalog.retire import retire
from headrace.catalog.store import get, names, open_store, put
from headrace.schemas.errors import CapabilityError, ConflictError, DataError, UsageError


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """A dataset with three versions."""
    store = MemoryStore() if request.param == "memory" else open_store(tmp_path / "demo", create=True)
    for _ in range(3):
        publish(store)
    return store


def test_a_name_moves(store: ObjectStore) -> None:
    assert resolve(store, "prod") is None
    assert tag(store, "prod", 1).number == 1
    moved = tag(store, "prod", 3)
    assert (moved.number, moved.version, moved.before) == (2, 3, 1)
    assert resolve(store, "prod") == 3
    assert names(store, "_refs") == ["_refs/prod/00000001.json", "_refs/prod/00000002.json"]
    assert json.loads(get(store, "_refs/prod/00000001.json") or b"")["version"] == 1


def test_moving_it_where_it_is_writes_nothing(store: ObjectStore) -> None:
    assert tag(store, "prod", 2) == tag(store, "prod", 2) == tag(store, "prod", 2, expected=1)
    assert len(names(store, "_refs")) == 1


def test_names_are_listed_and_removed(store: ObjectStore) -> None:
    tag(store, "prod", 1)
    tag(store, "next", 3)
    tag(store, "old", 1)
    assert untag(store, "old").before == 1
    assert {name: ref.version for name, ref in refs(store).items()} == {"next": 3, "prod": 1}
    assert current(store, "old") is None
    with pytest.raises(UsageError, match="there is no name 'old'"):
        untag(store, "old")
    assert tag(store, "old", 2).number == 3


def test_a_ref_is_moved_only_from_what_was_expected(store: ObjectStore) -> None:
    tag(store, "prod", 1, expected=None)
    tag(store, "prod", 2, expected=1)
    with pytest.raises(ConflictError, match="prod is version 2, expected version 1; it was not moved") as error:
        tag(store, "prod", 3, expected=1)
    assert error.value.exit_code == 4
    with pytest.raises(ConflictError, match="prod is version 2, expected no name"):
        tag(store, "prod", 3, expected=None)
    with pytest.raises(ConflictError, match="prod is version 2, expected version 3"):
        untag(store, "prod", expected=3)
    untag(store, "prod", expected=2)
    assert resolve(store, "prod") is None


@pytest.mark.parametrize("name", ["latest", "none", "7", "", "a/b", "_x", ".x", "a b", "x" * 129, "a@b"])
def test_what_cannot_be_a_name(store: ObjectStore, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a version"):
        tag(store, name, 1)


@pytest.mark.parametrize("name", ["prod", "2026-06", "v1.2", "x" * 128, "A_b"])
def test_what_can_be_a_name(name: str) -> None:
    assert check_ref(name) == name


@pytest.mark.parametrize("version", [0, -1, 4])
def test_a_version_that_is_not_there(store: ObjectStore, version: int) -> None:
    with pytest.raises(UsageError, match=f"demo has no version {version}; it has 1 to 3"):
        tag(store, "prod", version, dataset="demo")
    assert refs(store) == {}


def test_a_version_that_is_retired(store: ObjectStore) -> None:
    retire(store, 2, reason="wrong labels")
    with pytest.raises(DataError, match=r"demo@2 was retired on [-0-9]+: wrong labels"):
        tag(store, "prod", 2, dataset="demo")


def test_a_version_that_is_retired_meanwhile(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.catalog import refs as module

    append = module._append

    def late(*arguments: object) -> object:
        retire(store, 2, reason="wrong labels")
        return append(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_append", late)
    with pytest.raises(ConflictError, match="prod is version 2 now, which was retired meanwhile"):
        tag(store, "prod", 2)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1}', b'{"format": 99}'])
def test_a_damaged_record_is_named(store: ObjectStore, content: bytes) -> None:
    tag(store, "prod", 1)
    tag(store, "next", 1)
    put(store, "_refs/prod/00000001.json", content)
    with pytest.raises(DataError) as error:
        resolve(store, "prod")
    assert error.value.where.endswith("_refs/prod/00000001.json")
    assert resolve(store, "next") == 1


def test_a_record_that_was_moved_is_found(store: ObjectStore) -> None:
    tag(store, "prod", 1)
    put(store, "_refs/prod/00000009.json", get(store, "_refs/prod/00000001.json") or b"")
    with pytest.raises(DataError, match=r"says it is _refs/prod/00000001\.json"):
        resolve(store, "prod")


def test_movers_at_once_lose_no_record(store: ObjectStore) -> None:
    workers, rounds = 6, 10
    barrier = Barrier(workers)

    def move(worker: int) -> None:
        barrier.wait()
        for number in range(rounds):
            tag(store, "prod", 1 + (worker + number) % 3)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(move, range(workers)))
    written = names(store, "_refs/prod")
    assert written == [f"_refs/prod/{number:08d}.json" for number in range(1, len(written) + 1)]
    records = [json.loads(get(store, name) or b"") for name in written]
    assert [record["number"] for record in records] == list(range(1, len(written) + 1))
    assert [record["before"] for record in records] == [None, *(record["version"] for record in records[:-1])]
    assert resolve(store, "prod") == records[-1]["version"]


def test_of_movers_that_expect_the_same_one_wins(store: ObjectStore) -> None:
    tag(store, "prod", 1)
    barrier = Barrier(8)

    def move(worker: int) -> bool:
        barrier.wait()
        try:
            return tag(store, "prod", 2 + worker % 2, expected=1).version == 2 + worker % 2
        except ConflictError:
            return False

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(move, range(8)))
    end = resolve(store, "prod")
    assert won == [2 + worker % 2 == end for worker in range(8)]
    assert len(names(store, "_refs/prod")) == 2


@pytest.mark.parametrize("after", [False, True])
def test_a_death_at_any_operation_leaves_the_old_or_the_new(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    seen = []
    for number, run in enumerate(every_death(monkeypatch, after=after)):
        name = f"prod-{number}"
        tag(store, name, 1)
        died = run(lambda name=name: tag(store, name, 2))  # type: ignore[misc]
        seen.append(resolve(store, name))
        assert seen[-1] in ((1, 2) if died else (2,))
        assert tag(store, name, 2).number == 2
    assert len(seen) > 4
    assert seen[0] == 1


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
def test_a_store_that_fails_once_is_one_error_and_a_second_try_succeeds(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    tag(store, "prod", 1)
    for at in range(1, 20):
        with failing(monkeypatch, at=at, after=after) as fault:
            try:
                tag(store, "prod", 2)
                told = not fault.happened
            except CapabilityError as error:
                told = "503" in error.message
        assert told
        assert resolve(store, "prod") in (1, 2)
        tag(store, "prod", 2)
        assert resolve(store, "prod") == 2
        tag(store, "prod", 1)
