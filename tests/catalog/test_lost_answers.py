"""A commit whose answer is lost keeps its build: the record may be there, or come later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import polars as pl
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError
from tests.catalog.conftest import FRAME, fill
from tests.catalog.late import lost_answer

from headrace.catalog import log
from headrace.catalog.append import append
from headrace.catalog.build import Build, building, new_build
from headrace.catalog.collect import collect
from headrace.catalog.commit import Published, publish
from headrace.catalog.leases import leases
from headrace.catalog.manifest import Manifest
from headrace.catalog.reader import open_dataset
from headrace.catalog.retire import retire
from headrace.catalog.sketch import sketch_rows
from headrace.catalog.sketch_files import FOLDER, save_sketches
from headrace.catalog.store import open_store
from headrace.catalog.verify import verify
from headrace.schemas.errors import CapabilityError, RunError

Filled = Callable[..., tuple[Build, Manifest]]


def published(catalog: Path, *, key: str | None = None) -> tuple[Published, Build]:
    with building(catalog, "demo") as build:
        return publish(catalog, "demo", build, fill(build), idempotency_key=key), build


def notes(catalog: Path) -> list[str]:
    return sorted(path.name for path in (catalog / "demo" / "builds").glob("*.committing"))


def test_a_record_that_arrived_is_an_answer(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lost_answer(monkeypatch, arrives=True):
        done, build = published(catalog)
    assert (done.version, done.build, done.created) == (1, build.id, True)
    assert verify(catalog / "demo") == []
    assert notes(catalog) == []


@pytest.mark.parametrize("deaf", [False, True])
def test_a_record_that_arrives_later_finds_its_build(
    catalog: Path, monkeypatch: pytest.MonkeyPatch, deaf: bool
) -> None:
    with lost_answer(monkeypatch, deaf=deaf) as late, pytest.raises(CapabilityError) as caught:
        published(catalog)
    assert "operation timed out" in caught.value.message
    assert "version 1 may have been published all the same, so its build is left there" in caught.value.message
    assert "datasets show" in caught.value.hint
    (build,) = [path for path in (catalog / "demo" / "builds").iterdir() if path.is_dir()]
    assert notes(catalog) == [f"{build.name}.committing"]
    assert Build("demo", build.name, build).discard() is False, "neither at once nor by the next run"
    late.arrive()
    assert open_dataset(catalog / "demo").record.build == build.name
    assert verify(catalog / "demo") == []


def test_a_publisher_that_is_stopped_while_it_commits_keeps_its_build(
    catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lost_answer(monkeypatch, error=KeyboardInterrupt) as late, pytest.raises(KeyboardInterrupt):
        published(catalog)
    late.arrive()
    assert verify(catalog / "demo") == []


def test_a_record_that_never_arrives_leaves_a_build_for_garbage_collection(
    catalog: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    with lost_answer(monkeypatch), pytest.raises(CapabilityError):
        published(catalog)
    (left,) = [path for path in (catalog / "demo" / "builds").iterdir() if path.is_dir()]
    assert make().version == 1
    store = open_store(catalog / "demo")
    assert collect(store, remove=True).garbage == ()
    (found,) = collect(store, remove=True, at=datetime.now(UTC) + timedelta(days=8)).garbage
    assert found.path == f"builds/{left.name}"


def test_a_number_that_someone_else_took_was_a_lost_race(
    catalog: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    put = obstore.put

    def overtaken(store: Any, name: str, *rest: Any, **options: Any) -> Any:
        if name != log.record_name(1):
            return put(store, name, *rest, **options)
        monkeypatch.setattr(obstore, "put", put)
        make()
        raise GenericError("operation timed out")

    monkeypatch.setattr(obstore, "put", overtaken)
    done, build = published(catalog)
    assert (done.version, done.build) == (2, build.id)
    assert notes(catalog) == []


@pytest.mark.parametrize("key", [None, "monday"])
def test_the_same_build_or_key_makes_one_version(
    filled: Filled, catalog: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    build, manifest = filled()
    with lost_answer(monkeypatch) as late, pytest.raises(CapabilityError):
        publish(catalog, "demo", build, manifest, idempotency_key=key)
    late.arrive()
    again, described = (build, manifest) if key is None else filled()
    done = publish(catalog, "demo", again, described, idempotency_key=key)
    assert (done.version, done.build, done.created) == (1, build.id, key is None)
    assert [record.build for record in log.history(open_store(catalog / "demo"))] == [build.id]
    assert again.path.exists() is (key is None)
    assert verify(catalog / "demo") == []


@pytest.mark.parametrize("text", ["No space left on device (os error 28)", "Permission denied"])
def test_a_clear_refusal_leaves_nothing(catalog: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    full = "space" in text
    put = obstore.put

    def refusing(store: Any, name: str, *rest: Any, **options: Any) -> Any:
        if name != log.record_name(1):
            return put(store, name, *rest, **options)
        raise GenericError(text) if full else PermissionDeniedError(text)

    monkeypatch.setattr(obstore, "put", refusing)
    with pytest.raises(RunError if full else CapabilityError, match=text[:10]) as caught:
        published(catalog)
    assert "may have been published" not in caught.value.message
    assert list((catalog / "demo" / "builds").iterdir()) == []


def test_a_hint_that_cannot_be_written_is_no_failure(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put = obstore.put

    def deaf(store: Any, name: str, *rest: Any, **options: Any) -> Any:
        if name.endswith("_latest_hint.json"):
            raise GenericError("503 Service Unavailable")
        return put(store, name, *rest, **options)

    monkeypatch.setattr(obstore, "put", deaf)
    assert [published(catalog)[0].version for _ in range(2)] == [1, 2]
    assert open_dataset(catalog / "demo").version == 2


def test_notes_of_long_ago_are_forgotten(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lost_answer(monkeypatch), pytest.raises(CapabilityError):
        published(catalog)
    new_build(catalog, "demo")
    assert len(notes(catalog)) == 1
    monkeypatch.setattr("headrace.catalog.build._FORGET", timedelta(seconds=-60))
    new_build(catalog, "demo")
    assert notes(catalog) == []


def with_statistics(catalog: Path, frame: pl.DataFrame = FRAME) -> tuple[Build, Manifest]:
    build = new_build(catalog, "demo")
    save_sketches(build.path / FOLDER, {"train": sketch_rows(frame), "test": sketch_rows(frame.head(2))})
    return build, fill(build, frame)


@pytest.mark.slow
def test_an_append_whose_answer_is_lost_keeps_what_it_goes_on_from(
    catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(catalog, "demo", *with_statistics(catalog))
    build, manifest = with_statistics(catalog)
    with lost_answer(monkeypatch, 2) as late, pytest.raises(CapabilityError, match="version 2 may have been published"):
        append(catalog, "demo", build, manifest)
    assert build.discard() is False
    store = open_store(catalog / "demo")
    (lease,) = leases(store)
    assert lease.version == 1
    assert lease.until > datetime.now(UTC) + timedelta(minutes=50)
    retire(store, 1, reason="wrong labels", force=True)
    collect(store, remove=True)
    late.arrive()
    assert open_dataset(catalog / "demo").rows["train"] == 2 * FRAME.height
    assert verify(catalog / "demo") == []
    assert append(catalog, "demo", build, manifest).version == 2
    assert notes(catalog) == []


@pytest.mark.slow
def test_a_lease_that_cannot_be_ended_does_not_hide_that_an_append_was_published(
    catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(catalog, "demo", *with_statistics(catalog))

    def deaf(*_: Any) -> None:
        raise CapabilityError("503 Service Unavailable")

    monkeypatch.setattr("headrace.catalog.leases.delete", deaf)
    assert append(catalog, "demo", *with_statistics(catalog)).version == 2
