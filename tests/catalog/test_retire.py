from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from obstore.store import MemoryStore, ObjectStore
from tests.catalog.faults import every_death
from tests.catalog.worlds import objects, publish

from headrace.catalog import log
from headrace.catalog.collect import collect
from headrace.catalog.leases import leased, take
from headrace.catalog.listing import history, list_datasets
from headrace.catalog.reader import open_dataset
from headrace.catalog.refs import tag, untag
from headrace.catalog.retire import retire
from headrace.catalog.retired import newest, retired_versions, retirement
from headrace.catalog.store import get, names, open_store
from headrace.catalog.verify import verify
from headrace.schemas.errors import ConflictError, DataError, UsageError

OTHER = pl.DataFrame({"delay": [1.0, 2.0]}, schema={"delay": pl.Float64})


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """A dataset with three versions."""
    store = MemoryStore() if request.param == "memory" else open_store(tmp_path / "demo", create=True)
    for _ in range(3):
        publish(store)
    return store


def test_latest_is_the_highest_version_that_is_not_retired(store: ObjectStore) -> None:
    assert newest(store) == 3
    retire(store, 3, reason="wrong labels")
    assert newest(store) == 2
    retire(store, 1, reason="old")
    assert newest(store) == 2
    assert publish(store).version == 4
    assert newest(store) == 4
    retire(store, 4, reason="wrong again")
    assert newest(store) == 2
    retire(store, 2, reason="old")
    assert newest(store) is None
    assert publish(store).version == 5
    assert retired_versions(store) == [1, 2, 3, 4]


def test_nothing_else_is_written(store: ObjectStore) -> None:
    before = objects(store)
    retire(store, 2, reason=" wrong labels ")
    after = objects(store)
    assert {name: data for name, data in after.items() if name in before} == before
    assert after.keys() - before.keys() == {"_retired/00000000000000000002.json"}
    assert json.loads(get(store, "_retired/00000000000000000002.json") or b"")["reason"] == "wrong labels"


def test_the_first_reason_stays(store: ObjectStore) -> None:
    first = retire(store, 2, reason="wrong labels")
    assert retire(store, 2, reason="another") == first == retirement(store, 2)


@pytest.mark.parametrize("version", [0, 4])
def test_a_version_that_is_not_there(store: ObjectStore, version: int) -> None:
    with pytest.raises(UsageError, match=f"demo has no version {version}"):
        retire(store, version, reason="x", dataset="demo")


def test_a_reason_is_needed(store: ObjectStore) -> None:
    with pytest.raises(UsageError, match="retired with a reason"):
        retire(store, 1, reason=" ")


def test_a_version_in_use_is_not_retired(store: ObjectStore) -> None:
    tag(store, "prod", 2)
    lease = take(store, 2, "train-7", last=timedelta(hours=1))
    with pytest.raises(ConflictError, match="demo@2 is used by the name prod, the job train-7"):
        retire(store, 2, reason="x", dataset="demo")
    untag(store, "prod")
    with pytest.raises(ConflictError, match="demo@2 is used by the job train-7"):
        retire(store, 2, reason="x", dataset="demo")
    assert retire(store, 2, reason="x", at=lease.until + timedelta(minutes=6)).version == 2


def test_by_force_it_is(store: ObjectStore) -> None:
    tag(store, "prod", 2)
    assert retire(store, 2, reason="x", force=True).version == 2


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
def test_a_death_at_any_operation_leaves_it_retired_or_not(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    seen = []
    tag(store, "prod", 1)
    for run in every_death(monkeypatch, after=after):
        version = publish(store).version
        died = run(lambda version=version: retire(store, version, reason="x"))  # type: ignore[misc]
        seen.append(retirement(store, version) is not None)
        assert died or seen[-1]
        assert newest(store) == (3 if seen[-1] else version)
        retire(store, version, reason="x")
        assert newest(store) == 3
    assert seen[0] is False
    assert seen[-1] is True


@pytest.mark.slow
def test_opening_a_retired_version_says_why_and_what_to_use(make: Any, catalog: Path) -> None:
    for _ in range(3):
        make()
    store = open_store(catalog / "demo")
    retire(store, 3, reason="wrong labels", dataset="demo")
    assert open_dataset(catalog / "demo").version == 2
    with pytest.raises(DataError, match=r"demo@3 was retired on [-0-9]+: wrong labels") as error:
        open_dataset(catalog / "demo", 3)
    assert error.value.hint == "open demo@2"
    assert open_dataset(catalog / "demo", 3, allow_retired=True).version == 3
    assert verify(open_dataset(catalog / "demo", 3, allow_retired=True)) == []


@pytest.mark.slow
def test_a_ref_opens_its_version(make: Any, catalog: Path) -> None:
    for _ in range(3):
        make()
    store = open_store(catalog / "demo")
    tag(store, "prod", 2)
    assert open_dataset(catalog / "demo", "prod").version == 2
    assert open_dataset(f"{catalog}/demo@prod").version == 2
    assert open_dataset(f"{catalog}/demo@latest").version == 3
    with pytest.raises(UsageError, match="'prdo' is not a version; did you mean 'prod'"):
        open_dataset(catalog / "demo", "prdo")
    with pytest.raises(UsageError, match="names version prod, and version=3 was asked for as well"):
        open_dataset(f"{catalog}/demo@prod", 3)
    retire(store, 2, reason="wrong labels", force=True)
    with pytest.raises(DataError, match="wrong labels"):
        open_dataset(catalog / "demo", "prod")


@pytest.mark.slow
def test_all_versions_retired(make: Any, catalog: Path) -> None:
    make()
    retire(open_store(catalog / "demo"), 1, reason="wrong labels")
    with pytest.raises(UsageError, match="all versions of demo are retired"):
        open_dataset(catalog / "demo")
    (line,) = list_datasets(catalog)
    assert (line.version, line.problem) == (1, "all versions are retired")
    assert make().version == 2


@pytest.mark.slow
def test_publishing_follows_the_version_that_is_not_retired(make: Any, catalog: Path) -> None:
    make()
    bad = make(frame=OTHER)
    store = open_store(catalog / "demo")
    retire(store, 2, reason="wrong columns")
    (bad.path / "manifest.json").unlink()
    assert make().version == 3
    assert log.versions(store) == [1, 2, 3]


@pytest.mark.slow
def test_the_history_says_what_is_retired_and_named(make: Any, catalog: Path) -> None:
    make()
    make()
    store = open_store(catalog / "demo")
    tag(store, "prod", 1)
    tag(store, "old", 1)
    retire(store, 2, reason="wrong labels")
    second, first = history(catalog / "demo")
    assert (first.refs, first.retired) == (("old", "prod"), None)
    assert second.retired is not None
    assert (second.refs, second.retired.reason) == ((), "wrong labels")


def test_a_lease_taken_while_a_version_is_retired_fails_or_keeps_it(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for moment in ("before", "after"):
        version = publish(store).version
        from headrace.catalog import leases as module

        put = module.stores.put

        def late(*arguments: Any, moment: str = moment, version: int = version, put: Any = put) -> None:
            if moment == "before":
                retire(store, version, reason="x")
            put(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(module.stores, "put", late)
            if moment == "before":
                with pytest.raises(DataError, match="was retired"), leased(store, version, "train"):
                    pass
            else:
                with leased(store, version, "train"), pytest.raises(ConflictError, match="the job train"):
                    retire(store, version, reason="x")


@pytest.mark.parametrize("user", ["the name prod", "the job train"])
def test_who_comes_at_the_moment_of_retirement_is_named(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    from headrace.catalog import retire as module

    put_new = module.stores.put_new

    def late(*arguments: Any) -> bool:
        monkeypatch.setattr(module.stores, "put_new", put_new)
        tag(store, "prod", 2) if "prod" in user else take(store, 2, "train")
        return put_new(*arguments)

    monkeypatch.setattr(module.stores, "put_new", late)
    with pytest.raises(ConflictError, match=f"demo@2 is retired, and {user} came to use it meanwhile"):
        retire(store, 2, reason="wrong labels", dataset="demo")
    assert retired_versions(store) == [2]
    collect(store, remove=True)
    assert f"builds/{log.read(store, 2).build}/manifest.json" in names(store, "builds")  # type: ignore[union-attr]
