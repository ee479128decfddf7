from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.catalog.build import Build, building, new_build
from headrace.catalog.manifest import Manifest
from headrace.catalog.records import FileRef
from headrace.schemas.errors import CapabilityError, DataError, UsageError

Filled = Callable[..., tuple[Build, Manifest]]
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_builds_never_collide_and_show_nothing(catalog: Path) -> None:
    first, second = new_build(catalog, "demo"), new_build(catalog, "demo")
    assert first.path != second.path
    assert first.path == catalog / "demo" / "builds" / first.id
    assert not (catalog / "demo" / "_log").exists()


def test_files_are_described_by_size_and_hash(catalog: Path) -> None:
    build = new_build(catalog, "demo")
    (build.path / "state").mkdir()
    (build.path / "state" / "a.bin").write_bytes(b"abc")
    expected = FileRef(path="state/a.bin", bytes=3, sha256=ABC)
    assert build.add_file("state/a.bin") == expected
    assert build.add_file(build.path / "state" / "a.bin") == expected
    assert build.write("b.bin", b"abc") == FileRef(path="b.bin", bytes=3, sha256=ABC)
    assert build.files() == {"b.bin", "state/a.bin"}


def test_only_files_of_the_build_are_described(catalog: Path, tmp_path: Path) -> None:
    build = new_build(catalog, "demo")
    outside = tmp_path / "outside"
    outside.write_bytes(b"abc")
    (build.path / "link").symlink_to(outside)
    for path in ("nothing", outside, "link"):
        with pytest.raises(DataError):
            build.add_file(path)


def test_the_same_bytes_again_are_no_error(catalog: Path) -> None:
    build = new_build(catalog, "demo")
    assert build.write("a", b"abc") == build.write("a", b"abc")
    with pytest.raises(DataError, match="is there already"):
        build.write("a", b"abd")


def test_the_rest_is_what_no_one_described(filled: Filled) -> None:
    _, manifest = filled()
    assert [ref.path for ref in manifest.files] == [
        "quarantine/part-00000.parquet",
        "state/carrier.parquet",
        "state/pipeline.json",
    ]


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: (path / "state" / "pipeline.json").unlink(), "state/pipeline.json: listed, not there"),
        (lambda path: (path / "other").write_bytes(b"x"), "other: there, not listed"),
        (lambda path: (path / "state" / "pipeline.json").write_bytes(b"{}"), "2 bytes, listed with 13"),
    ],
)
def test_a_build_that_is_not_as_listed_cannot_be_finished(filled: Filled, spoil: Any, problem: str) -> None:
    build, manifest = filled()
    spoil(build.path)
    with pytest.raises(DataError, match=f"1 files of the build do not fit its manifest\n.*{problem}"):
        build.finish(manifest)
    assert not (build.path / "manifest.json").exists()


def test_a_manifest_of_another_build_is_refused(filled: Filled) -> None:
    build, _ = filled()
    _, other = filled()
    with pytest.raises(DataError, match="the manifest is of demo/"):
        build.finish(other)


def test_a_build_can_be_discarded_until_it_is_published(catalog: Path, make: Any) -> None:
    build = new_build(catalog, "demo")
    assert build.discard() is True
    assert build.discard() is True
    published = make()
    kept = Build("demo", published.build, published.path)
    assert kept.discard() is False
    assert (published.path / "manifest.json").exists()


def test_a_log_that_cannot_be_read_keeps_builds_and_hides_no_error(catalog: Path, make: Any) -> None:
    make()
    record = catalog / "demo" / "_log" / f"{1:020d}.json"
    record.chmod(0o644)
    record.write_bytes(b"{")

    def fail() -> Build:
        with building(catalog, "demo") as build:
            raise ValueError(build.id)

    with pytest.raises(ValueError) as caught:
        fail()
    assert (catalog / "demo" / "builds" / str(caught.value)).is_dir()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failed_build_is_removed(catalog: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with building(catalog, "demo") as build:
            build.write("train/a", b"abc")
            raise error

    with pytest.raises(error):
        fail()
    assert list((catalog / "demo" / "builds").iterdir()) == []


def test_a_build_without_an_error_stays(catalog: Path) -> None:
    with building(catalog, "demo") as build:
        build.write("a", b"abc")
    assert build.path.exists()


def test_an_impossible_name_or_place_is_refused_at_once(catalog: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'a/b' cannot be the name"):
        new_build(catalog, "a/b")
    (tmp_path / "file").write_text("")
    with pytest.raises(CapabilityError, match="could not open the catalog"):
        new_build(tmp_path / "file", "demo")
