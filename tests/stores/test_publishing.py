from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.catalog.conftest import FRAME, fill
from tests.stores.servers import Moto

from headrace import open_dataset
from headrace.catalog import log
from headrace.catalog.build import Build, building, new_build
from headrace.catalog.commit import publish
from headrace.catalog.place import Place
from headrace.catalog.store import get, names, open_store, probe, put_new
from headrace.catalog.upload import PART, Upload, upload
from headrace.schemas.errors import CapabilityError, DataError, RunError


def test_a_name_is_created_once(catalog: str) -> None:
    store = open_store(catalog)
    assert put_new(store, "_log/1.json", b"first") is True
    assert put_new(store, "_log/1.json", b"second") is False
    assert (get(store, "_log/1.json"), get(store, "_log/2.json")) == (b"first", None)


def test_the_probe_leaves_nothing(catalog: str) -> None:
    probe(open_store(catalog))
    assert names(open_store(catalog), "") == []


def test_a_store_that_ignores_conditions_is_refused(catalog: str, moto: Moto) -> None:
    moto.ignores_conditions = True
    with pytest.raises(CapabilityError, match="lets an existing object be created again") as caught:
        new_build(catalog, "demo")
    assert (caught.value.where, caught.value.exit_code) == (f"{catalog}/demo", 3)
    assert names(open_store(catalog), "") == []


def test_the_manifest_is_written_last_and_then_the_commit(make: Callable[..., Any], moto: Moto) -> None:
    moto.requests.clear()
    published = make()
    written = [path for method, path in moto.requests if method == "PUT" and "_probe" not in path]
    assert [path.rpartition(published.build)[2] for path in written[-3:-2]] == ["/manifest.json"]
    assert [path.rpartition("/demo/")[2] for path in written[-2:]] == [log.record_name(1), "_log/_latest_hint.json"]


def test_nothing_is_left_on_this_machine(catalog: str) -> None:
    build = new_build(catalog, "demo")
    published = publish(catalog, "demo", build, fill(build))
    assert published.created
    assert not build.path.exists()


def test_the_same_key_twice_is_the_version_that_is_there(catalog: str, make: Callable[..., Any]) -> None:
    first = make(key="monday")
    before = names(open_store(catalog), "")
    again = make(key="monday")
    assert (again.version, again.uri, again.created) == (1, first.uri, False)
    assert names(open_store(catalog), "") == before


def test_publishers_at_once_get_contiguous_versions(catalog: str) -> None:
    def one(_: int) -> int:
        build = new_build(catalog, "demo")
        return publish(catalog, "demo", build, fill(build)).version

    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(one, range(6)))
    assert sorted(versions) == [1, 2, 3, 4, 5, 6]
    assert len({record.build for record in log.history(open_store(f"{catalog}/demo"))}) == 6


def test_what_was_written_is_removed_when_the_block_fails(catalog: str) -> None:
    made: list[Build] = []

    def begin() -> None:
        with building(catalog, "demo") as build:
            made.append(build)
            build.finish(fill(build))
            assert names(open_store(f"{catalog}/demo"), "builds") != []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin()
    assert names(open_store(catalog), "") == []
    assert not made[0].path.exists()


def test_a_published_build_is_not_discarded(catalog: str, make: Callable[..., Any]) -> None:
    published = make()
    place = Place.of(catalog) / "demo"
    assert Build("demo", published.build, new_build(catalog, "demo").path, place).discard() is False
    assert open_dataset(f"{catalog}/demo").to_polars("train").equals(FRAME)


@pytest.mark.parametrize("size", [0, 5, PART, PART + 1, 2 * PART + 3])
def test_files_of_any_size_arrive_whole(catalog: str, size: int) -> None:
    build = new_build(catalog, "demo")
    data = bytes(range(256)) * (size // 256 + 1)
    (build.path / "x").write_bytes(data[:size])
    task = Upload(build.place, "x", build.path / "x", build.add_file("x"))
    assert upload(task) == size
    assert get(open_store(build.place), "x") == data[:size]


@pytest.mark.parametrize("size", [5, PART + 1])
def test_a_file_that_changed_meanwhile_is_not_published(catalog: str, size: int) -> None:
    build = new_build(catalog, "demo")
    (build.path / "x").write_bytes(b"a" * size)
    task = Upload(build.place, "x", build.path / "x", build.add_file("x"))
    (build.path / "x").chmod(0o644)
    (build.path / "x").write_bytes(b"b" * size)
    with pytest.raises(DataError, match="was changed before it was published"):
        upload(task)
    assert get(open_store(build.place), "x") is None
    (build.path / "x").unlink()
    with pytest.raises(RunError, match="is gone before it was published"):
        upload(task)
