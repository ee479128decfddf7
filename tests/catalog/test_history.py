"""Random histories against a plain model: whatever was done in whatever order, what should be there is, and intact."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from obstore.store import MemoryStore
from tests.catalog.worlds import build_id, commit, damaged, inherited, publish, write_build

from headrace.catalog import leases as leasing
from headrace.catalog import log
from headrace.catalog.collect import collect
from headrace.catalog.leases import MARGIN, Lease, live_leases, release, take
from headrace.catalog.log import CommitRecord
from headrace.catalog.manifest import Manifest
from headrace.catalog.refs import refs, tag, untag
from headrace.catalog.retire import retire
from headrace.catalog.retired import newest, retired_versions
from headrace.catalog.store import get, names
from headrace.schemas.errors import ConflictError, DataError

NAMES = st.sampled_from(["prod", "next"])
JOBS = st.sampled_from(["train", "score"])
MOST = 3
"""Live versions: few, so that names, leases and appends often meet on the same."""


class History(RuleBasedStateMachine):
    """A dataset, and beside it what should be true of it."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.now = datetime.now(UTC)
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(leasing, "_now", lambda: self.now)
        self.records: dict[int, CommitRecord] = {}
        self.manifests: dict[int, Manifest] = {}
        self.retired: set[int] = set()
        self.refs: dict[str, int] = {}
        self.leases: list[Lease] = []
        self.gone: set[int] = set()
        self.orphans: set[str] = set()

    def teardown(self) -> None:
        self.patch.undo()

    @property
    def live(self) -> list[int]:
        return sorted(self.records.keys() - self.retired)

    @property
    def needed(self) -> set[int]:
        held = {lease.version for lease in self.leases if self.now <= lease.until + MARGIN}
        return {*self.live, *self.refs.values(), *held} - self.gone

    def version(self, data: st.DataObject, among: Any = None) -> int:
        return data.draw(st.sampled_from(sorted(self.records if among is None else among)))

    def committed(self, manifest: Manifest) -> None:
        record = commit(self.store, manifest)
        assert record.version == len(self.records) + 1
        self.records[record.version], self.manifests[record.version] = record, manifest

    @initialize()
    def begin(self) -> None:
        self.publish()

    @precondition(lambda self: len(self.live) < MOST)
    @rule()
    def publish(self) -> None:
        self.committed(write_build(self.store))

    @precondition(lambda self: 0 < len(self.live) < MOST)
    @rule()
    def append(self) -> None:
        base = self.manifests[self.live[-1]]
        self.committed(write_build(self.store, older=inherited(base), shards=1))

    @precondition(lambda self: not self.orphans)
    @rule()
    def die_while_writing(self) -> None:
        self.orphans.add(write_build(self.store, build=build_id(at=self.now)).build)

    @precondition(lambda self: self.orphans)
    @rule(data=st.data())
    def commit_late(self, data: st.DataObject) -> None:
        build = data.draw(st.sampled_from(sorted(self.orphans)))
        self.orphans.remove(build)
        self.committed(Manifest.model_validate_json(get(self.store, f"builds/{build}/manifest.json") or b""))

    @rule(data=st.data(), name=NAMES)
    def move(self, data: st.DataObject, name: str) -> None:
        version = self.version(data)
        if version in self.retired:
            with pytest.raises(DataError, match="was retired"):
                tag(self.store, name, version)
            return
        if self.refs.get(name) != version:
            with pytest.raises(ConflictError, match="it was not moved"):
                tag(self.store, name, version, expected=len(self.records) + 1)
        tag(self.store, name, version, expected=self.refs.get(name))
        self.refs[name] = version

    @precondition(lambda self: self.refs)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.refs)))
        untag(self.store, name)
        del self.refs[name]

    @rule(data=st.data(), job=JOBS, hours=st.sampled_from([1, 3000]))
    def begin_to_read(self, data: st.DataObject, job: str, hours: int) -> None:
        version = self.version(data, self.live or None)
        held = {lease.version for lease in self.leases if lease.job == job and lease.live(self.now)}
        if held - {version} or (version in self.retired and not held):
            with pytest.raises((ConflictError, DataError)):
                take(self.store, version, job, last=timedelta(hours=hours))
            return
        self.leases.append(take(self.store, version, job, last=timedelta(hours=hours)))

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def end_reading(self, data: st.DataObject) -> None:
        release(self.store, self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1))))

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        version = self.version(data, self.live)
        held = {lease.version for lease in self.leases if lease.live(self.now)}
        if version in held or version in self.refs.values():
            with pytest.raises(ConflictError, match=f"@{version} is used by"):
                retire(self.store, version, reason="x", at=self.now)
            retire(self.store, version, reason="x", at=self.now, force=True)
        retire(self.store, version, reason="x", at=self.now)
        self.retired.add(version)

    @rule(hours=st.integers(1, 400))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def collect(self) -> None:
        before = names(self.store, "")
        shown = collect(self.store, at=self.now)
        assert names(self.store, "") == before
        found = collect(self.store, remove=True, at=self.now)
        assert found.garbage == shown.garbage
        self.gone = self.records.keys() - self.needed
        wanted = set()
        for version in self.needed:
            manifest = self.manifests[version]
            wanted.add(f"builds/{manifest.build}/manifest.json")
            wanted |= {f"builds/{f.build or manifest.build}/{f.path}" for f in manifest.splits["train"].files}
        there = set(names(self.store, "builds"))
        orphans = {name for name in there if name.split("/")[1] in self.orphans}
        # Whole builds of versions that stay, and of older builds what they list.
        own = {self.manifests[version].build for version in self.needed}
        extra = {name for name in there - wanted - orphans if name.split("/")[1] not in own}
        assert (wanted - there, extra) == (set(), set())
        self.orphans = {name.split("/")[1] for name in orphans}
        assert found.spared == ()
        assert collect(self.store, at=self.now).garbage == ()
        self.leases = [lease for lease in self.leases if lease.until >= self.now - timedelta(days=1)]

    @invariant()
    def versions_are_contiguous(self) -> None:
        assert log.versions(self.store) == sorted(self.records) == list(range(1, len(self.records) + 1))

    @invariant()
    def names_mean_what_they_should(self) -> None:
        assert {name: ref.version for name, ref in refs(self.store).items()} == self.refs
        assert retired_versions(self.store) == sorted(self.retired)
        assert newest(self.store) == (self.live[-1] if self.live else None)
        live = {lease.object_name for lease in self.leases if lease.live(self.now)}
        assert {lease.object_name for lease in live_leases(self.store, self.now)} == live

    @invariant()
    def what_is_needed_is_intact(self) -> None:
        assert [damage for version in self.needed for damage in damaged(self.store, self.records[version])] == []


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=max(settings().max_examples // 3, 5), stateful_step_count=40, deadline=None
)


def test_a_version_that_is_published_twice_is_one() -> None:
    store = MemoryStore()
    manifest = write_build(store)
    assert commit(store, manifest, "a") == commit(store, manifest, "a") == commit(store, manifest)
    assert publish(store).version == 2
