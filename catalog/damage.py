"""What is wrong with the files of a version: those that are missing, too many, or of another size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headrace.catalog.manifest import MANIFEST, Manifest
from headrace.catalog.objects import listed
from headrace.catalog.reader import Dataset
from headrace.catalog.store import open_store
from headrace.catalog.stored import object_name
from headrace.schemas.errors import DataError


@dataclass(frozen=True)
class Damage:
    """A file that is not what the manifest says it is."""

    path: str
    """Relative to the build; ``../<build>/...`` for a shard of an older one, ``../../_log/...`` for a small record."""
    problem: str
    """missing, unlisted, size, sha256, outside, unreadable, rows, row groups, schema, nulls or manifest."""
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}: expected {self.expected}, got {self.got}"


def presence(opened: Dataset, manifest: Manifest) -> Iterator[Damage]:
    """Compare what is there with what the manifest lists, by name and size. In an object store a listing a build."""
    return _in_store(opened, manifest) if opened.place.remote else _on_disk(opened, manifest)


def _on_disk(opened: Dataset, manifest: Manifest) -> Iterator[Damage]:
    for ref in manifest.all_files():
        path = manifest.place(ref)
        try:
            full = opened.local(ref)
        except DataError as error:
            yield Damage(path, "outside", "a file of the build", error.message)
            continue
        if not full.is_file():
            yield Damage(path, "missing", f"{ref.bytes} bytes", "nothing")
        elif (size := full.stat().st_size) != ref.bytes:
            yield Damage(path, "size", f"{ref.bytes} bytes", f"{size} bytes")
    own = {ref.path for ref in manifest.own_files()}
    for full in opened.path.rglob("*"):
        path = full.relative_to(opened.path).as_posix()
        if not full.is_dir() and path not in own and path != MANIFEST:
            yield Damage(path, "unlisted", "nothing", f"{full.lstat().st_size} bytes")


def _in_store(opened: Dataset, manifest: Manifest) -> Iterator[Damage]:
    builds = {opened.record.build} | {opened.build_of(ref) for ref in manifest.all_files()}
    store = open_store(opened.place)
    sizes = {found.name: found.bytes for build in sorted(builds) for found in listed(store, f"builds/{build}")}
    for ref in manifest.all_files():
        size = sizes.get(object_name(opened.build_of(ref), ref.path))
        if size is None:
            yield Damage(manifest.place(ref), "missing", f"{ref.bytes} bytes", "nothing")
        elif size != ref.bytes:
            yield Damage(manifest.place(ref), "size", f"{ref.bytes} bytes", f"{size} bytes")
    own = {object_name(opened.record.build, ref.path) for ref in manifest.own_files()}
    root = f"builds/{opened.record.build}/"
    for name in sorted(sizes.keys() - own - {root + MANIFEST}):
        if name.startswith(root):
            yield Damage(name.removeprefix(root), "unlisted", "nothing", f"{sizes[name]} bytes")
