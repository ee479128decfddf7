"""Which files of a source a version was made of: by their content, wherever they lie."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Final

from headrace.catalog.manifest import Input, Manifest
from headrace.catalog.reader import Dataset
from headrace.pipelines.content import sha256_of
from headrace.pipelines.sources import CheckedFile, SourceFiles
from headrace.schemas.errors import DataError

Content = tuple[str, str]
"""Fingerprint and SHA-256; the latter is empty of files that were read before it was kept."""

_NAMED: Final = 5


def new_files(base: Dataset, files: SourceFiles) -> SourceFiles:
    """The files that were not read for a version; none is no error.

    Footers are compared, and bytes where that does not tell: of files that were moved, copied or written to since.

    Raises
    ------
    DataError
        A file has the name of one that was read, other content, and the one that was read is not there any more under
        another name: it has changed. Or none of the new files can be read.
    """
    manifest, known = base.manifest, _known(base.manifest, files)
    listed_bad = {file.path for file in manifest.quality.bad_files} if manifest.quality else set()
    fresh = tuple(
        file
        for file in files.checked
        if file.path not in known and not (file.problem and files.name(file) in listed_bad)
    )
    here = set(known.values())
    last = {source.path: source for source in manifest.inputs}
    names = [files.name(file) for file in fresh]
    if changed := [name for name in names if name in last and _content(last[name]) not in here]:
        raise DataError(
            f"{len(changed)} of the files that {named(base)} was made of have changed: {_some(changed)}",
            hint="give new files names of their own; or run without --append: all rows are made anew",
            where=str(files.folder),
        )
    footers = tuple(footer for footer in files.footers if str(footer.path) not in known)
    bad = [file for file in fresh if file.problem]
    if bad and not any(footer.rows for footer in footers):
        them = "it" if len(bad) == 1 else "them"
        lines = [f"  {files.name(file)}: {file.problem}" for file in bad]
        many = "the new file cannot be read" if len(bad) == 1 else f"none of the {len(bad)} new files can be read"
        raise DataError(
            "\n".join([f"no row to append to {named(base)}: {many}", *lines[:_NAMED], *["  ..."][: len(bad) > _NAMED]]),
            hint=f"mend {them}, or take {them} out of the source's folder",
            where=str(files.folder),
        )
    return SourceFiles(fresh, footers, files.folder)


def left_out(base: Dataset, files: SourceFiles) -> str:
    """What a run over all files says of appended rows whose files it does not read; empty if there are none."""
    appended = any(file.build is not None for split in base.manifest.splits.values() for file in split.files)
    if not appended:
        return ""
    here = set(_known(base.manifest, files).values())
    names = {files.name(file) for file in files.checked}
    last = {source.path: source for source in base.manifest.inputs}
    gone = [
        source
        for source in base.manifest.inputs
        if _content(source) not in here and not (source.path in names and last[source.path] is source)
    ]
    if not gone:
        return ""
    return (
        f"{named(base)} was appended to, and {sum(source.rows for source in gone):,} of the rows that it was made of "
        f"lie in {len(gone)} {'file' if len(gone) == 1 else 'files'} that this run does not read: "
        f"{_some([source.path for source in gone])}. The new version is without them; --append keeps them"
    )


def named(base: Dataset) -> str:
    """A version as messages name it."""
    return f"{base.name}@{base.version}"


def _known(manifest: Manifest, files: SourceFiles) -> dict[str, Content]:
    """The files that were read for a version, by their paths, and what of it they are."""
    read: dict[str, list[Input]] = {}
    for one in manifest.inputs:
        read.setdefault(one.fingerprint, []).append(one)
    began = _began(manifest)
    found = {}
    for file in files.checked:
        alike = read.get(file.fingerprint, []) if not file.problem else []
        if (source := _same(file, files.name(file), alike, began)) is not None:
            found[file.path] = _content(source)
    return found


def _same(file: CheckedFile, name: str, alike: list[Input], began: int | None) -> Input | None:
    """Which of the files with its footer a file is. Its bytes are read only if it can be another one."""
    here = [source for source in alike if source.path == name]
    if here and began is not None and _touched(file) < began:
        return here[-1]
    if not any(source.sha256 for source in alike):
        return next(iter(alike), None)
    sha256 = sha256_of(file.path)
    footers_alone = [source for source in alike if not source.sha256]
    return next(iter([*(source for source in alike if source.sha256 == sha256), *footers_alone]), None)


def _touched(file: CheckedFile) -> int:
    """When a file was last written to, renamed or put there, in nanoseconds; a copy brings an older time of writing."""
    found = Path(file.path).stat()
    return max(found.st_mtime_ns, found.st_ctime_ns)


def _began(manifest: Manifest) -> int | None:
    """When the run of a version began, in nanoseconds, by its name; None if it was made without one."""
    try:
        run = uuid.UUID(manifest.producer.run or "")
    except ValueError:
        return None
    return (run.int >> 80) * 1_000_000 if run.version == 7 else None


def _content(source: Input) -> Content:
    return source.fingerprint, source.sha256


def _some(paths: list[str]) -> str:
    return f"{', '.join(paths[:_NAMED])}{', ...' if len(paths) > _NAMED else ''}"
