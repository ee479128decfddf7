from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
    assert json.loads(get(store, "_leases/train-7.json") or b"")["version"] == 1
    assert leases(store) == {"train-7": lease}
    release(store, lease)
    release(store, lease)
    assert leases(store) == {}


def test_a_lease_that_ran_out_does_not_count(store: ObjectStore, clock: list[datetime]) -> None:
    take(store, 1, "short", last=HOUR)
    take(store, 1, "long", last=4 * HOUR)
    clock.append(clock[0] + HOUR + timedelta(minutes=4))
    assert sorted(live_leases(store)) == ["long", "short"], "clocks may differ by five minutes"
    clock.append(clock[0] + HOUR + timedelta(minutes=6))
    assert sorted(live_leases(store)) == ["long"]
    assert sorted(leases(store)) == ["long", "short"]


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
    assert leases(store) == {}


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
        assert held.lease == leases(store)["train"]
        clock.append(clock[0] + timedelta(minutes=59))
        held.keep()
        assert leases(store)["train"].until == clock[0] + 3 * HOUR, "not written again before a third of its time"
        clock.append(clock[0] + timedelta(minutes=61))
        held.keep()
        assert leases(store)["train"].until == clock[-1] + 3 * HOUR
    assert leases(store) == {}


def test_a_block_that_raises_ends_its_lease(store: ObjectStore) -> None:
    with pytest.raises(ZeroDivisionError), leased(store, 1):
        raise ZeroDivisionError
    assert leases(store) == {}


def test_jobs_without_a_name_get_different_ones(store: ObjectStore) -> None:
    assert new_job() != new_job()
    with leased(store, 1), leased(store, 2):
        assert sorted(lease.version for lease in leases(store).values()) == [1, 2]


def test_a_lease_says_when_it_ends_in_utc() -> None:
    lease = Lease(job="x", version=1, taken_at=NOON, until=NOON + HOUR)
    assert json.loads(lease.model_dump_json())["until"] == "2026-03-01T13:00:00Z"
    assert (lease.live(NOON), lease.live(LATER)) == (True, False)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
