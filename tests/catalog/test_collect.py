from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore, ObjectStore
from tests.catalog.faults import every_death, failing
from tests.catalog.worlds import build_id, commit, copy, damaged, inherited, objects, publish, shard, write_build

from headrace.catalog import collect as module
from headrace.catalog import log
from headrace.catalog.build import new_build
from headrace.catalog.collect import Collection, Garbage, collect
from headrace.catalog.commit import publish as publish_build
from headrace.catalog.leases import take
from headrace.catalog.manifest import Manifest
from headrace.catalog.objects import dump_entry, store_time
from headrace.catalog.reader import open_dataset
from headrace.catalog.refs import Ref, tag, untag
from headrace.catalog.retire import retire
from headrace.catalog.store import get, names, open_store, put
from headrace.catalog.verify import verify
from headrace.schemas.errors import CapabilityError, DataError, UsageError

LATER = datetime.now(UTC) + timedelta(days=8)
"""When everything that is written now is old."""


@pytest.fixture
def store() -> ObjectStore:
    return MemoryStore()


def later(store: ObjectStore, **options: Any) -> Collection:
    return collect(store, dataset="demo", remove=True, at=LATER, **options)


def builds(store: ObjectStore) -> set[str]:
    return {name.split("/")[1] for name in names(store, "builds")}


def test_a_dataset_in_order_has_no_garbage(store: ObjectStore) -> None:
    for _ in range(3):
        publish(store)
    before = objects(store)
    assert later(store) == Collection("demo", (), deleted=True)
    assert objects(store) == before


def test_builds_of_retired_versions_go_and_their_records_stay(store: ObjectStore) -> None:
    first, second = publish(store), publish(store)
    size = sum(len(data) for name, data in objects(store).items() if first.build in name)
    found = retire(store, 1, reason="wrong labels")
    why = f"version 1, retired on {found.retired_at[:10]}: wrong labels"
    assert later(store).garbage == (Garbage(f"builds/{first.build}", why, 3, size),)
    assert builds(store) == {second.build}
    assert [record.version for record in log.history(store)] == [2, 1]
    assert damaged(store, second) == []
    assert later(store).garbage == ()


def test_a_dry_run_says_the_same_and_deletes_nothing(store: ObjectStore) -> None:
    publish(store)
    publish(store)
    retire(store, 1, reason="x")
    write_build(store)
    put(store, "_probe/abc", b"first")
    before = objects(store)
    dry = collect(store, dataset="demo", at=LATER)
    assert objects(store) == before
    assert (dry.deleted, len(dry.garbage)) == (False, 3)
    assert later(store).garbage == dry.garbage


def test_what_refs_and_leases_are_on_stays(store: ObjectStore) -> None:
    kept, held, gone = publish(store), publish(store), publish(store)
    tag(store, "prod", 1)
    lease = take(store, 2, "train", last=timedelta(days=30))
    for version in (1, 2, 3):
        retire(store, version, reason="x", force=True)
    later(store)
    assert builds(store) == {kept.build, held.build}
    assert damaged(store, kept) == damaged(store, held) == []
    assert gone.build not in builds(store)
    untag(store, "prod")
    later(store)
    assert builds(store) == {held.build}
    assert (
        later(
            store,
        ).garbage
        == ()
    )
    collect(store, remove=True, at=lease.until + timedelta(minutes=6))
    assert builds(store) == set()


def test_shards_of_older_builds_stay_as_long_as_a_version_lists_them(store: ObjectStore) -> None:
    old = write_build(store)
    commit(store, old)
    middle = write_build(store, older=inherited(old)[:1])
    commit(store, middle)
    last = publish(store, older=inherited(middle))
    retire(store, 1, reason="x")
    retire(store, 2, reason="x")
    later(store)
    assert damaged(store, last) == []
    assert names(store, f"builds/{old.build}") == [f"builds/{old.build}/train/part-00000.parquet"]
    assert names(store, f"builds/{middle.build}") == [
        f"builds/{middle.build}/train/part-00000.parquet",
        f"builds/{middle.build}/train/part-00001.parquet",
    ]
    assert later(store).garbage == ()
    retire(store, 3, reason="x")
    later(store)
    assert builds(store) == set()


def test_it_says_which_versions_keep_shards_of_a_retired_one(store: ObjectStore) -> None:
    first = write_build(store)
    commit(store, first)
    publish(store, older=inherited(first))
    publish(store, older=inherited(first)[:1])
    retire(store, 1, reason="wrong labels")
    (kept,) = collect(store, dataset="demo").kept
    assert (kept.version, kept.by) == (1, ("demo@2", "demo@3"))
    assert kept.why.endswith(": wrong labels")
    retire(store, 2, reason="wrong labels")
    retire(store, 3, reason="wrong labels")
    assert collect(store).kept == ()


def test_builds_without_a_commit_go_when_they_are_old(store: ObjectStore) -> None:
    publish(store)
    orphan = write_build(store, build=build_id())
    assert collect(store, remove=True).garbage == ()
    found = collect(store, remove=True, at=datetime.now(UTC) + timedelta(hours=25), older_than=timedelta(days=1))
    assert [one.path for one in found.garbage] == [f"builds/{orphan.build}"]
    assert found.garbage[0].why.startswith("never committed, untouched since 20")


def test_a_build_that_was_begun_long_ago_and_is_still_written_stays(store: ObjectStore) -> None:
    orphan = build_id(timedelta(days=30))
    shard(store, orphan, "train/part-00000.parquet")
    assert collect(store, remove=True).garbage == ()
    assert [one.path for one in later(store).garbage] == [f"builds/{orphan}"]


@pytest.mark.parametrize(
    "name", ["mine", "00000000-0000-4000-8000-000000000000", "01A206E8-0606-7CF3-BF10-49ACFB641427"]
)
def test_what_no_build_is_called_is_not_touched(store: ObjectStore, name: str) -> None:
    put(store, f"builds/{name}/x", b"x")
    put(store, "notes.txt", b"x")
    assert later(store).garbage == ()
    assert sorted(objects(store)) == [f"builds/{name}/x", "notes.txt"]


def test_leases_that_ran_out_and_leftovers_go(store: ObjectStore) -> None:
    publish(store)
    short = take(store, 1, "short", last=timedelta(hours=1)).object_name
    long = take(store, 1, "long", last=timedelta(days=9)).object_name
    put(store, "_probe/abc", b"first")
    assert collect(store, remove=True).garbage == ()
    size = len(get(store, short) or b"")
    assert later(store).garbage == (
        Garbage(short, "a lease that ran out", 1, size),
        Garbage("_probe/abc", "left by a probe", 1, 5),
    )
    assert names(store, "_leases") == [long]
    assert names(store, "_probe") == []


def test_a_day_is_the_least_age(store: ObjectStore) -> None:
    with pytest.raises(UsageError, match="nobody has written to for 23:59:00 may be those of runs that are training"):
        collect(store, older_than=timedelta(hours=23, minutes=59))


def test_a_run_that_trains_for_most_of_a_day_keeps_its_build(store: ObjectStore) -> None:
    publish(store)
    training = build_id(timedelta(hours=30))
    shard(store, training, "train/part-00000.parquet")
    at = datetime.now(UTC) + timedelta(hours=23)
    assert collect(store, remove=True, at=at, older_than=timedelta(days=1)).garbage == ()
    assert training in builds(store)


def broken_record(store: ObjectStore) -> str:
    put(store, log.record_name(2), b"{")
    return log.record_name(2)


def missing_record(store: ObjectStore) -> str:
    obstore.delete(store, log.record_name(2))
    return log.record_name(2)


def broken_manifest(store: ObjectStore) -> str:
    name = f"builds/{log.read(store, 3).build}/manifest.json"  # type: ignore[union-attr]
    put(store, name, (get(store, name) or b"") + b" ")
    return name


def missing_manifest(store: ObjectStore) -> str:
    name = f"builds/{log.read(store, 3).build}/manifest.json"  # type: ignore[union-attr]
    obstore.delete(store, name)
    return name


def broken_ref(store: ObjectStore) -> str:
    put(store, "_refs/prod/00000001.json", b"")
    return "_refs/prod/00000001.json"


def broken_lease(store: ObjectStore) -> str:
    put(store, "_leases/train.json", b"[]")
    return "_leases/train.json"


def broken_retirement(store: ObjectStore) -> str:
    put(store, "_retired/00000000000000000002.json", b"?")
    return "_retired/00000000000000000002.json"


def later_format(store: ObjectStore) -> str:
    put(store, "_refs/prod/00000001.json", b'{"format": 2}')
    return "_refs/prod/00000001.json"


def lost_record(store: ObjectStore) -> str:
    obstore.delete(store, log.record_name(3))
    return log.record_name(3)


def lost_record_and_hint(store: ObjectStore) -> str:
    tag(store, "prod", 3)
    obstore.delete(store, "_log/_latest_hint.json")
    return lost_record(store)


@pytest.mark.parametrize(
    "damage",
    [
        lost_record,
        lost_record_and_hint,
        broken_record,
        missing_record,
        broken_manifest,
        missing_manifest,
        broken_ref,
        broken_lease,
        broken_retirement,
        later_format,
    ],
)
def test_nothing_is_deleted_if_anything_cannot_be_read(store: ObjectStore, damage: Callable[..., str]) -> None:
    for _ in range(3):
        publish(store)
    retire(store, 1, reason="x")
    write_build(store)
    name = damage(store)
    before = objects(store)
    with pytest.raises(DataError) as error:
        later(store)
    assert error.value.where.endswith(name)
    assert objects(store) == before


def test_a_lost_log_makes_no_build_garbage(store: ObjectStore) -> None:
    record = publish(store)
    for name in names(store, "_log"):
        obstore.delete(store, name)
    with pytest.raises(DataError, match="a build is finished, and there is no commit record at all"):
        later(store)
    assert builds(store) == {record.build}


def test_what_a_first_run_left_that_was_killed_goes(store: ObjectStore) -> None:
    shard(store, build_id(), "train/part-00000.parquet")
    assert len(later(store).garbage) == 1
    assert builds(store) == set()


def test_a_manifest_that_is_damaged_does_no_harm_once_its_version_is_retired(store: ObjectStore) -> None:
    publish(store)
    publish(store)
    publish(store)
    broken_manifest(store)
    retire(store, 3, reason="damaged")
    later(store)
    assert len(builds(store)) == 2


def meanwhile(monkeypatch: pytest.MonkeyPatch, event: Callable[[], Any]) -> None:
    """Let something happen after garbage was found and before it is deleted."""
    mark, calls = module.retained, []

    def late(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            event()
        return mark(*arguments)

    monkeypatch.setattr(module, "retained", late)


def test_a_build_that_is_committed_meanwhile_stays(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(store)
    orphan = write_build(store)
    meanwhile(monkeypatch, lambda: commit(store, orphan))
    assert later(store) == Collection("demo", (), deleted=True, spared=(orphan.build,))
    record = log.latest(store)
    assert record is not None
    assert (record.build, damaged(store, record)) == (orphan.build, [])


def test_a_ref_that_is_moved_meanwhile_keeps_its_version(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    old = publish(store)
    tag(store, "prod", 1)
    retire(store, 1, reason="x", force=True)
    untag(store, "prod")
    ref = Ref(name="prod", number=3, version=1, moved_at="2026-03-01T09:30:00.000Z")
    meanwhile(monkeypatch, lambda: put(store, "_refs/prod/00000003.json", dump_entry(ref)))
    assert later(store).spared == (old.build,)
    assert damaged(store, old) == []


def test_an_append_that_is_committed_meanwhile_keeps_what_it_lists(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write_build(store)
    commit(store, old)
    retire(store, 1, reason="x")
    fresh = write_build(store, older=inherited(old))
    meanwhile(monkeypatch, lambda: commit(store, fresh))
    assert [one.path for one in later(store).garbage] == [f"builds/{old.build}"]
    record = log.latest(store)
    assert record is not None
    assert damaged(store, record) == []


def test_records_are_read_once(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(6):
        publish(store)
    for version in (1, 2, 3):
        retire(store, version, reason="x")
    read: list[str] = []
    inner = obstore.get
    monkeypatch.setattr(obstore, "get", lambda store, name: read.append(name) or inner(store, name))  # type: ignore[func-returns-value]
    later(store)
    kept = [name for name in read if name.startswith(("builds/", "_retired/"))]
    assert len(kept) == len(set(kept)) == 6


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
def test_a_death_at_any_operation_keeps_what_is_needed_and_the_next_run_ends_it(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    old = write_build(store)
    commit(store, old)
    publish(store)
    last = publish(store, older=inherited(old)[:1])
    tag(store, "prod", 3)
    take(store, 3, "train", last=timedelta(hours=1))
    retire(store, 1, reason="x")
    retire(store, 2, reason="x")
    write_build(store)
    put(store, "_probe/abc", b"first")
    clean = copy(store)
    done = later(clean)
    deaths = 0
    for run in every_death(monkeypatch, after=after):
        world = copy(store)
        deaths += run(lambda world=world: later(world))  # type: ignore[misc]
        assert damaged(world, last) == []
        later(world)
        assert objects(world) == objects(clean)
    assert len(done.garbage) == 5
    assert deaths > 40


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
def test_a_store_that_fails_once_stops_it_and_a_second_try_ends_it(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    last = [publish(store) for _ in range(3)][-1]
    retire(store, 1, reason="x")
    write_build(store)
    clean = copy(store)
    later(clean)
    happened, at = True, 0
    while happened:
        at += 1
        world = copy(store)
        with failing(monkeypatch, at=at, after=after) as fault:
            try:
                later(world)
                told = not fault.happened
            except CapabilityError as error:
                told = "503" in error.message
        assert told
        assert damaged(world, last) == []
        later(world)
        assert objects(world) == objects(clean)
        happened = fault.happened
    assert at > 20


@pytest.mark.slow
def test_on_disk_empty_folders_and_what_killed_processes_left_go(make: Any, catalog: Path) -> None:
    make()
    make()
    root = catalog / "demo"
    store = open_store(root)
    retire(store, 1, reason="x")
    empty, half = new_build(catalog, "demo"), new_build(catalog, "demo")
    (half.path / "train").mkdir()
    (half.path / "train" / ".part-00000.parquet.77.tmp").write_bytes(b"half")
    (half.path / "train" / "broken").symlink_to("/nowhere")
    (root / "_log" / "00000000000000000003.json#1").write_bytes(b"abc")
    found = later(store)
    assert {(one.path, one.files, one.bytes) for one in found.garbage[1:]} == {
        (f"builds/{empty.id}", 0, 0),
        (f"builds/{half.id}", 2, 4 + len("/nowhere")),
        ("_log/00000000000000000003.json#1", 1, 3),
    }
    assert [path.name for path in (root / "builds").iterdir()] == [open_dataset(root).path.name]
    assert sorted(path.name for path in (root / "_log").iterdir()) == [
        "00000000000000000001.json",
        "00000000000000000002.json",
        "_latest_hint.json",
    ]
    assert verify(root) == []
    assert later(store).garbage == ()
    assert make().version == 3


def test_a_link_in_a_build_is_removed_and_not_what_it_points_to(catalog: Path, tmp_path: Path) -> None:
    build = new_build(catalog, "demo")
    (tmp_path / "precious.txt").write_text("x")
    (build.path / "link").symlink_to(tmp_path / "precious.txt")
    (build.path / "folder").symlink_to(tmp_path)
    linked = build.path.with_name(build_id(timedelta(days=30)))
    linked.symlink_to(tmp_path)
    (found,) = later(open_store(catalog / "demo")).garbage
    assert (found.path, found.files) == (f"builds/{build.id}", 2)
    assert not build.path.exists()
    assert linked.is_symlink()
    assert (tmp_path / "precious.txt").read_text() == "x"


def test_the_manifest_says_what_is_its_own(store: ObjectStore) -> None:
    old = write_build(store)
    fresh: Manifest = write_build(store, older=inherited(old)[:1], shards=1)
    assert [fresh.place(file) for file in fresh.all_files()] == [
        f"../{old.build}/train/part-00000.parquet",
        "train/part-00000.parquet",
    ]
    assert [file.path for file in fresh.own_files()] == ["train/part-00000.parquet"]


def test_a_run_whose_build_was_collected_publishes_nothing(catalog: Path, filled: Any) -> None:
    build, manifest = filled()
    (found,) = later(open_store(catalog / "demo")).garbage
    assert found.path == f"builds/{build.id}"
    with pytest.raises(DataError, match="listed, not there"):
        publish_build(catalog, "demo", build, manifest)
    assert log.latest(open_store(catalog / "demo")) is None


def test_a_machine_whose_clock_is_ahead_deletes_nothing(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(store)
    write_build(store)
    before = objects(store)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(days=8)

    monkeypatch.setattr(module, "datetime", Ahead)
    assert len(collect(store).garbage) == 1, "it is shown"
    with pytest.raises(CapabilityError, match=r"the clock of this machine is 7 days, 23:59:\d\d ahead of the store's"):
        collect(store, remove=True)
    assert objects(store) == before


def test_the_clock_of_the_store_is_asked_and_nothing_is_left(tmp_path: Path) -> None:
    for store in (MemoryStore(), open_store(tmp_path / "demo", create=True)):
        at = datetime.now(UTC)
        assert abs(store_time(store) - at) < timedelta(minutes=1)
        assert names(store, "") == []
