from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from obstore.store import MemoryStore, ObjectStore
from tests.catalog.worlds import publish

from headrace.catalog import leases as module
from headrace.catalog.leases import Lease, leased, leases, live_leases, new_job, release, renew, take
from headrace.catalog.retire import retire
from headrace.catalog.store import get, names, open_store, put
from headrace.schemas.errors import ConflictError, DataError, UsageError

HOUR = timedelta(hours=1)
LATER = datetime.now(UTC) + timedelta(days=2)


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """A dataset with two versions."""
    store = MemoryStore() if request.param == "memory" else open_store(tmp_path / "demo", create=True)
    publish(store)
    publish(store)
    return store


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The time that leases see: the last of the list."""
    times = [datetime(2026, 3, 1, 12, tzinfo=UTC)]
    monkeypatch.setattr(module, "_now", lambda: times[-1])
    return times


def test_a_lease_is_a_small_file_of_its_job(store: ObjectStore) -> None:
    lease = take(store, 1, "train-7", last=HOUR)
    assert lease.until - lease.taken_at == HOUR
    assert lease.object_name == f"_leases/train-7.{lease.holder}.json"
    assert json.loads(get(store, lease.object_name) or b"")["version"] == 1
    assert leases(store) == [lease]
    release(store, lease)
    release(store, lease)
    assert leases(store) == []


def test_a_lease_that_ran_out_does_not_count(store: ObjectStore, clock: list[datetime]) -> None:
    take(store, 1, "short", last=HOUR)
    take(store, 1, "long", last=4 * HOUR)
    clock.append(clock[0] + HOUR + timedelta(minutes=4))
    assert [lease.job for lease in live_leases(store)] == ["long", "short"], "clocks may differ by five minutes"
    clock.append(clock[0] + HOUR + timedelta(minutes=6))
    assert [lease.job for lease in live_leases(store)] == ["long"]
    assert [lease.job for lease in leases(store)] == ["long", "short"]


def test_a_lease_is_renewed(store: ObjectStore, clock: list[datetime]) -> None:
    lease = take(store, 1, "train", last=HOUR)
    clock.append(clock[0] + timedelta(minutes=50))
    assert renew(store, lease, last=HOUR).until == clock[-1] + HOUR
    clock.append(clock[0] + 9 * HOUR)
    assert renew(store, lease).live(), "one that ran out is taken anew"


def test_a_job_that_is_started_again_goes_on_with_its_lease(store: ObjectStore) -> None:
    take(store, 1, "train")
    assert take(store, 1, "train").version == 1
    with pytest.raises(ConflictError, match="the job 'train' has a lease on version 1 until"):
        take(store, 2, "train")


def test_the_last_of_a_job_ends_its_hold(store: ObjectStore) -> None:
    with leased(store, 1, "train") as slow:
        with leased(store, 1, "train"), leased(store, 1, "train"):
            assert [lease.version for lease in live_leases(store)] == [1, 1, 1]
        assert live_leases(store) == [slow.lease]
        with pytest.raises(ConflictError, match=r"demo@1 is used by the job train$"):
            retire(store, 1, reason="wrong labels", dataset="demo")
    assert leases(store) == []
    retire(store, 1, reason="wrong labels")


def test_ranks_that_begin_and_end_at_once_leave_nothing(store: ObjectStore) -> None:
    start = Barrier(6)

    def rank(_: int) -> bool:
        start.wait()
        with leased(store, 1, "train") as held:
            held.keep()
            return held.lease in live_leases(store)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(rank, range(6))) == [True] * 6
    assert leases(store) == []


def test_a_job_that_was_killed_does_not_keep_another_rank_from_its_version(store: ObjectStore) -> None:
    killed = take(store, 1, "train")
    with leased(store, 1, "train"):
        pass
    assert live_leases(store) == [killed], "it runs out by itself"


def test_jobs_whose_names_begin_alike_are_apart(store: ObjectStore) -> None:
    with leased(store, 1, "train"), leased(store, 2, "train.v2"), leased(store, 2, "trainer"):
        assert [(lease.job, lease.version) for lease in leases(store)] == [
            ("train", 1),
            ("train.v2", 2),
            ("trainer", 2),
        ]


def test_a_lease_of_an_earlier_headrace_is_one_for_its_job(store: ObjectStore) -> None:
    at = datetime.now(UTC)
    old = {"format": 1, "job": "train", "version": 1, "taken_at": at.isoformat(), "until": (at + HOUR).isoformat()}
    put(store, "_leases/train.json", json.dumps(old).encode())
    assert [(lease.object_name, lease.version) for lease in live_leases(store)] == [("_leases/train.json", 1)]
    with pytest.raises(ConflictError, match="has a lease on version 1 until"):
        take(store, 2, "train")
    with leased(store, 1, "train"):
        assert len(live_leases(store)) == 2
    assert names(store, "_leases") == ["_leases/train.json"]


def test_a_job_may_take_another_version_once_its_lease_ran_out(store: ObjectStore, clock: list[datetime]) -> None:
    take(store, 1, "train", last=HOUR)
    clock.append(clock[0] + 2 * HOUR)
    assert take(store, 2, "train").version == 2


def test_what_cannot_be_leased(store: ObjectStore) -> None:
    with pytest.raises(UsageError, match="demo has no version 3"):
        take(store, 3, "train", dataset="demo")
    with pytest.raises(UsageError, match="cannot be the name of a job"):
        take(store, 1, "../train")
    with pytest.raises(UsageError, match="a lease must last longer than 0:00:00"):
        take(store, 1, "train", last=timedelta(0))
    retire(store, 1, reason="wrong labels")
    with pytest.raises(DataError, match=r"demo@1 was retired on [-0-9]+: wrong labels"):
        take(store, 1, "train", dataset="demo")
    assert names(store, "_leases") == []


def test_a_lease_on_a_version_that_was_retired_by_force_goes_on_until_it_runs_out(
    store: ObjectStore, clock: list[datetime]
) -> None:
    lease = take(store, 1, "train", last=HOUR)
    retire(store, 1, reason="wrong labels", force=True)
    assert renew(store, lease, last=HOUR).live()
    clock.append(clock[0] + 2 * HOUR)
    with pytest.raises(DataError, match="wrong labels"):
        renew(store, lease)
    assert leases(store) == []


def test_a_damaged_lease_is_named(store: ObjectStore) -> None:
    put(store, "_leases/train.json", b"{")
    with pytest.raises(DataError) as error:
        leases(store)
    assert error.value.where.endswith("_leases/train.json")


def test_a_time_without_a_zone_is_damage(store: ObjectStore) -> None:
    lease = take(store, 1, "train").model_dump(mode="json") | {"until": "2026-03-01T12:00:00"}
    put(store, "_leases/train.json", json.dumps(lease).encode())
    with pytest.raises(DataError, match="is damaged"):
        leases(store)


def test_a_lease_for_a_block(store: ObjectStore, clock: list[datetime]) -> None:
    with leased(store, 1, "train", last=3 * HOUR) as held:
        assert [held.lease] == leases(store)
        clock.append(clock[0] + timedelta(minutes=59))
        held.keep()
        assert leases(store)[0].until == clock[0] + 3 * HOUR, "not written again before a third of its time"
        clock.append(clock[0] + timedelta(minutes=61))
        held.keep()
        assert leases(store)[0].until == clock[-1] + 3 * HOUR
    assert leases(store) == []


def test_a_block_that_raises_ends_its_lease(store: ObjectStore) -> None:
    with pytest.raises(ZeroDivisionError), leased(store, 1):
        raise ZeroDivisionError
    assert leases(store) == []


def test_jobs_without_a_name_get_different_ones(store: ObjectStore) -> None:
    assert new_job() != new_job()
    with leased(store, 1), leased(store, 2):
        assert sorted(lease.version for lease in leases(store)) == [1, 2]


def test_a_lease_says_when_it_ends_in_utc() -> None:
    lease = Lease(job="x", version=1, taken_at=NOON, until=NOON + HOUR)
    assert json.loads(lease.model_dump_json())["until"] == "2026-03-01T13:00:00Z"
    assert (lease.live(NOON), lease.live(LATER)) == (True, False)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
