"""A build: the folder that one run writes. Nobody sees it before it is committed, and builds never collide."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from headrace.catalog import log
from headrace.catalog import store as stores
from headrace.catalog.files import disk_error, durable_file, sha256_of, sync_file, sync_folder
from headrace.catalog.identity import uuid7
from headrace.catalog.manifest import MANIFEST, Manifest, dump
from headrace.catalog.objects import delete, listed
from headrace.catalog.place import Place
from headrace.catalog.records import FileRef, relative_path
from headrace.catalog.staging import staged_builds
from headrace.catalog.store import dataset_place, open_store, probe
from headrace.catalog.upload import Upload, upload_here
from headrace.schemas.errors import DataError, HeadraceError, RunError

__all__ = ["MANIFEST", "Build", "UploadAll", "building", "new_build"]

_NOTE: Final = ".committing"
_FORGET: Final = timedelta(days=1)
"""Age of notes of commits that nothing more will come of."""

UploadAll = Callable[[Sequence[Upload]], None]


@dataclass(frozen=True)
class Build:
    """`<catalog>/<dataset>/builds/<id>`. Only a name: it can be sent to workers and made again from its path.

    For an object store it is written in a folder on this machine first, and uploaded when it is finished.
    """

    dataset: str
    id: str
    path: Path
    """The folder to write to."""
    target: Place | None = None
    """`<catalog>/<dataset>` in an object store; None on disk, where `path` is in it."""

    @property
    def place(self) -> Place:
        """`<catalog>/<dataset>`."""
        return self.target or Place.of(self.path.parent.parent)

    def write(self, path: str, data: bytes) -> FileRef:
        """Write a small file in one atomic step. The same bytes again are no error; other bytes raise DataError."""
        target = self.path / relative_path(path)
        if target.is_file() and target.read_bytes() == data:
            return FileRef(path=path, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        with durable_file(target) as out:
            out.write(data)
        return FileRef(path=path, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    def add_file(self, path: str | Path) -> FileRef:
        """Describe a file that someone else wrote into the build, make it durable and read-only. Reads it once.

        `path` is relative to the build, or absolute and inside it.
        """
        name = Path(path)
        if name.is_absolute():
            if not name.is_relative_to(self.path):
                raise DataError("is not inside the build", where=str(name))
            name = name.relative_to(self.path)
        relative = relative_path(name.as_posix())
        full = self.path / relative
        if not full.is_file() or full.is_symlink():
            raise DataError("is no file of the build", where=str(full))
        try:
            sync_file(full)
            full.chmod(0o444)
            size, digest = sha256_of(full)
        except OSError as error:
            raise disk_error(error, full) from error
        return FileRef(path=relative, bytes=size, sha256=digest)

    def add_rest(self, known: Iterable[FileRef]) -> tuple[FileRef, ...]:
        """`known`, and every other file that is in the build, by path: what `Manifest.files` wants. Shards apart.

        Pass the shards and what `write` and `add_file` returned; only the files not among them are read.
        """
        known_by_path = {ref.path: ref for ref in known}
        rest = [known_by_path.get(path) or self.add_file(path) for path in sorted(self.files())]
        return tuple(ref for ref in rest if type(ref) is FileRef)

    def files(self) -> set[str]:
        """Relative paths of everything in the build but manifest.json."""
        found = {path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if not path.is_dir()}
        return found - {MANIFEST}

    def finish(self, manifest: Manifest, upload: UploadAll = upload_here) -> str:
        """Write manifest.json, the last file, and return its sha256. The build is complete but not yet visible.

        For an object store all other files are uploaded first: `upload` is who does that.

        Raises
        ------
        DataError
            What the manifest lists and what is there differ.
        CapabilityError, RunError
            The disk or the store refuses.
        """
        self._compare(manifest)
        if self.target is None:
            self._sync()
        else:
            files = [*manifest.own_files()]
            upload([Upload(self.target, self._name(file.path), self.path / file.path, file) for file in files])
            self._compare_store(files)
            stores.put(open_store(self.target), self._name(MANIFEST), dump(manifest))
        return self.write(MANIFEST, dump(manifest)).sha256

    def _sync(self) -> None:
        try:
            for folder, _, _ in os.walk(self.path):
                sync_folder(Path(folder))
            sync_folder(self.path.parent)
        except OSError as error:
            raise disk_error(error, self.path) from error

    def _name(self, path: str) -> str:
        return f"builds/{self.id}/{path}"

    def _compare_store(self, files: Iterable[FileRef]) -> None:
        there = {found.name: found.bytes for found in listed(open_store(self.place), f"builds/{self.id}")}
        wrong = [file.path for file in files if there.get(self._name(file.path)) != file.bytes]
        if wrong:
            raise RunError(
                f"{len(wrong)} files are not in the store as they were written: {', '.join(wrong[:5])}",
                hint="run again; nothing was published",
                where=f"{self.place}/builds/{self.id}",
            )

    def _compare(self, manifest: Manifest) -> None:
        if (manifest.dataset, manifest.build) != (self.dataset, self.id):
            raise DataError(f"the manifest is of {manifest.dataset}/{manifest.build}", where=str(self.path))
        wanted = {ref.path: ref.bytes for ref in manifest.own_files()}
        present = {path: (self.path / path).lstat().st_size for path in self.files()}
        problems = [f"{path}: listed, not there" for path in sorted(wanted.keys() - present.keys())]
        problems += [f"{path}: there, not listed" for path in sorted(present.keys() - wanted.keys())]
        problems += [
            f"{path}: {present[path]} bytes, listed with {wanted[path]}"
            for path in sorted(wanted.keys() & present.keys())
            if wanted[path] != present[path]
        ]
        if problems:
            raise DataError(
                f"{len(problems)} files of the build do not fit its manifest\n" + "\n".join(problems),
                where=str(self.path),
            )

    @contextlib.contextmanager
    def committing(self) -> Iterator[None]:
        """While its commit record is on its way: from then on until that is known to have come or not.

        A record whose answer was lost may come later, also from a process that was killed meanwhile. So this is noted
        in a file beside the build, on the machine that wrote it, and `discard` leaves such a build alone. The note goes
        when the block ends, and stays when it raises.
        """
        try:
            self._note.touch()
        except OSError as error:
            raise disk_error(error, self._note) from error
        yield
        self.settle()

    def settle(self) -> None:
        """Forget that a commit was on its way: it has come, or never will."""
        with contextlib.suppress(OSError):  # left there, it keeps a build for `gc` that `discard` could have removed
            self._note.unlink(missing_ok=True)

    @property
    def unsettled(self) -> bool:
        """Whether it may become a version though nobody waits for that any more."""
        return self._note.exists()

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.id}{_NOTE}")

    def discard(self) -> bool:
        """Remove it, unless a version is or may be made of it, or the log cannot tell. Returns whether it is gone.

        Safe to call at any time; raises nothing, so that the error that led here is the one that is seen.
        """
        if self.target is None and not self.path.exists():
            return True
        self.unstage()
        if self.unsettled:
            return False
        try:
            store = open_store(self.place)
            if any(record.build == self.id for record in log.history(store)):
                return False
            if self.target is not None:
                for name in stores.names(store, f"builds/{self.id}"):
                    delete(store, name)
                return True
        except HeadraceError:
            return False  # a log that cannot be read may name this build
        shutil.rmtree(self.path, ignore_errors=True)
        return not self.path.exists()

    def unstage(self) -> None:
        """Remove what was written on this machine of a build for an object store."""
        if self.target is not None:
            shutil.rmtree(self.path, ignore_errors=True)


def new_build(catalog: str | Path | Place, dataset: str) -> Build:
    """Make an empty build of a dataset. The dataset appears with its first commit, not before.

    Raises UsageError for an impossible name, CapabilityError if the catalog cannot be written or its store cannot
    refuse a second create.
    """
    place = dataset_place(catalog, dataset)
    probe(open_store(place, create=True))
    identity = uuid7()
    path = staged_builds(catalog, dataset) / identity
    try:
        path.mkdir(parents=True)
        _forget(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error
    return Build(dataset, identity, path, place if place.remote else None)


def _forget(folder: Path) -> None:
    """Remove notes of commits that were begun long ago."""
    before = time.time() - _FORGET.total_seconds()
    for note in folder.glob(f"*{_NOTE}"):
        with contextlib.suppress(FileNotFoundError):
            if note.stat().st_mtime < before:
                note.unlink()


@contextlib.contextmanager
def building(catalog: str | Path | Place, dataset: str) -> Iterator[Build]:
    """`new_build` that is discarded when the block raises, Ctrl-C included, unless it was committed by then."""
    build = new_build(catalog, dataset)
    try:
        yield build
    except BaseException:
        build.discard()
        raise
