from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import obstore
import polars as pl
import pytest

from headrace.catalog import log
from headrace.catalog.build import Build
from headrace.catalog.commit import publish
from headrace.catalog.manifest import Manifest
from headrace.catalog.reader import open_dataset
from headrace.catalog.store import open_store
from headrace.catalog.verify import verify
from headrace.schemas.errors import ConflictError, HeadraceError, UsageError

Filled = Callable[..., tuple[Build, Manifest]]
OTHER = pl.DataFrame({"delay": [1.0, 2.0]}, schema={"delay": pl.Float64})


def test_publishing_makes_versions(make: Any, catalog: Path) -> None:
    first, second = make(), make()
    assert (first.version, second.version) == (1, 2)
    assert first.created
    assert second.path == catalog / "demo" / "builds" / second.build
    assert open_dataset(catalog / "demo").version == 2


def test_the_card_is_written_and_listed(make: Any, catalog: Path) -> None:
    make()
    dataset = open_dataset(catalog / "demo")
    assert "README.md" in {ref.path for ref in dataset.manifest.files}
    assert (dataset.path / "README.md").read_text().startswith("---\n")


def test_a_card_of_ones_own_is_kept(filled: Filled, catalog: Path) -> None:
    build, manifest = filled()
    card = build.write("README.md", b"mine")
    manifest = manifest.model_copy(update={"files": (*manifest.files, card)})
    publish(catalog, "demo", build, manifest)
    assert (build.path / "README.md").read_bytes() == b"mine"


def test_a_retry_with_the_same_key_gets_the_same_version(filled: Filled, catalog: Path) -> None:
    build, manifest = filled()
    first = publish(catalog, "demo", build, manifest, idempotency_key="run-1")
    again = publish(catalog, "demo", build, manifest, idempotency_key="run-1")
    other, described = filled()
    third = publish(catalog, "demo", other, described, idempotency_key="run-1")
    assert first == again
    assert (third.version, third.path, third.created) == (1, build.path, False)
    assert not other.path.exists()
    assert log.versions(open_store(catalog / "demo")) == [1]


def test_a_build_belongs_to_its_dataset(filled: Filled, catalog: Path) -> None:
    build, manifest = filled()
    with pytest.raises(UsageError, match="does not belong to"):
        publish(catalog, "other", build, manifest)


@pytest.mark.slow
def test_concurrent_publishers_get_contiguous_versions(filled: Filled, catalog: Path) -> None:
    ready = [filled() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda one: publish(catalog, "demo", *one), ready))
    assert sorted(published.version for published in done) == list(range(1, 9))
    for version in range(1, 9):
        assert verify(open_dataset(catalog / "demo", version)) == []


def race(monkeypatch: pytest.MonkeyPatch, first: Callable[[], Any]) -> None:
    """Let `first` happen after publish looked at the head and before it commits."""
    finish = Build.finish

    def late(self: Build, manifest: Manifest, *more: Any) -> str:
        monkeypatch.setattr(Build, "finish", finish)
        first()
        return finish(self, manifest, *more)

    monkeypatch.setattr(Build, "finish", late)


@pytest.mark.slow
def test_a_lost_race_takes_the_next_number(
    make: Any, filled: Filled, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make()
    build, manifest = filled()
    race(monkeypatch, make)
    assert publish(catalog, "demo", build, manifest).version == 3


@pytest.mark.slow
def test_a_lost_race_against_another_schema_is_a_conflict(
    make: Any, filled: Filled, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make()
    build, manifest = filled()
    race(monkeypatch, lambda: make(frame=OTHER))
    with pytest.raises(
        ConflictError, match=r"version 2 was published meanwhile with another schema: .*delay is float"
    ) as e:
        publish(catalog, "demo", build, manifest)
    assert e.value.exit_code == 4
    assert log.versions(open_store(catalog / "demo")) == [1, 2]


def test_a_new_schema_may_follow_an_old_one(make: Any, catalog: Path) -> None:
    make()
    make(frame=OTHER)
    assert open_dataset(catalog / "demo").columns == ("delay",)


class Killed(BaseException):
    """SIGKILL: from here on the process does nothing, not even clean up."""


class Reaper:
    """Kills at the n-th operation that changes the disk, before or after it took effect."""

    def __init__(self, at: int, after: bool) -> None:
        self.left = at
        self.after = after
        self.dead = False

    def wrap(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            if self.dead:
                raise Killed
            self.left -= 1
            last = self.left == 0
            if last and not self.after:
                self.dead = True
                raise Killed
            try:
                return operation(*args, **options)
            finally:
                if last:
                    self.dead = True
                    raise Killed

        return run


OPERATIONS: list[tuple[Any, str]] = [
    (obstore, "put"),
    (obstore, "delete"),
    (os, "fsync"),
    (os, "fchmod"),
    (Path, "mkdir"),
    (Path, "replace"),
    (Path, "unlink"),
    (Path, "chmod"),
    (shutil, "rmtree"),
]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.slow
def test_a_kill_at_any_write_leaves_old_or_new(
    make: Any, catalog: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    make()
    version, boundary, seen = 1, 0, set()
    while True:
        boundary += 1
        reaper = Reaper(boundary, after)
        with monkeypatch.context() as patch:
            for owner, name in OPERATIONS:
                patch.setattr(owner, name, reaper.wrap(getattr(owner, name)))
            try:
                make()
                finished = True
            except Killed:
                finished = False
        dataset = open_dataset(catalog / "demo")
        assert dataset.version in (version, version + 1)
        assert verify(dataset, "pages") == []
        seen.add(dataset.version - version)
        version = dataset.version
        if finished:
            break
    assert boundary > 30
    assert seen == {0, 1}
    assert make().version == version + 1


@pytest.mark.slow
def test_a_killed_first_publish_leaves_no_dataset(make: Any, catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for boundary in range(1, 30):
        reaper = Reaper(boundary, after=True)
        with monkeypatch.context() as patch:
            for owner, name in OPERATIONS:
                patch.setattr(owner, name, reaper.wrap(getattr(owner, name)))
            with pytest.raises(Killed):
                make()
        with pytest.raises(HeadraceError, match=r"no dataset 'demo'|no catalog at"):
            open_dataset(catalog / "demo")
    assert make().version == 1


PUBLISHER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.catalog.conftest import fill
from headrace.catalog.build import new_build
from headrace.catalog.commit import publish
for _ in range(int(sys.argv[3])):
    build = new_build(sys.argv[1], "demo")
    print(publish(sys.argv[1], "demo", build, fill(build)).version, flush=True)
"""


def publisher(catalog: Path, times: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", PUBLISHER, str(catalog), str(Path(__file__).parent), str(times)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_publishers_in_other_processes_get_contiguous_versions(catalog: Path) -> None:
    processes = [publisher(catalog, 5) for _ in range(3)]
    printed = [int(line) for process in processes for line in process.communicate()[0].split()]
    assert sorted(printed) == list(range(1, 16))


@pytest.mark.slow
def test_sigkill_leaves_whole_versions_only(catalog: Path) -> None:
    killed = publisher(catalog, 10_000)
    assert killed.stdout is not None
    seen = [int(killed.stdout.readline()) for _ in range(3)][-1]
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    dataset = open_dataset(catalog / "demo")
    assert dataset.version >= seen
    for version in range(1, dataset.version + 1):
        assert verify(open_dataset(catalog / "demo", version), "pages") == []
    assert publisher(catalog, 1).communicate()[0] == f"{dataset.version + 1}\n"
