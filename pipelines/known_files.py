"""Which files of a source a version was made of: by their content, wherever they lie."""

from __future__ import annotations

from typing import Final

from headrace.catalog.reader import Dataset
from headrace.pipelines.sources import SourceFiles
from headrace.schemas.errors import DataError

_NAMED: Final = 5


def new_files(base: Dataset, files: SourceFiles) -> SourceFiles:
    """The files that were not read for a version; none is no error.

    Raises
    ------
    DataError
        A file has the name of one that was read, other content, and the one that was read is not there any more under
        another name: it has changed. Or none of the new files can be read.
    """
    manifest = base.manifest
    known = {source.fingerprint for source in manifest.inputs}
    listed_bad = {file.path for file in manifest.quality.bad_files} if manifest.quality else set()
    fresh = tuple(
        file
        for file in files.checked
        if not (files.name(file) in listed_bad if file.problem else file.fingerprint in known)
    )
    here = {file.fingerprint for file in files.checked}
    last = {source.path: source for source in manifest.inputs}
    names = [files.name(file) for file in fresh]
    if changed := [name for name in names if name in last and last[name].fingerprint not in here]:
        raise DataError(
            f"{len(changed)} of the files that {named(base)} was made of have changed: {some(changed)}",
            hint="give new files names of their own; or run without --append: all rows are made anew",
            where=str(files.folder),
        )
    footers = tuple(footer for footer in files.footers if footer.fingerprint not in known)
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
    here = {file.fingerprint for file in files.checked}
    names = {files.name(file) for file in files.checked}
    last = {source.path: source for source in base.manifest.inputs}
    gone = [
        source
        for source in base.manifest.inputs
        if source.rows and source.fingerprint not in here and not (source.path in names and last[source.path] is source)
    ]
    if not gone:
        return ""
    return (
        f"{named(base)} was appended to, and {sum(source.rows for source in gone):,} of the rows that it was made of "
        f"lie in {len(gone)} {'file' if len(gone) == 1 else 'files'} that this run does not read: "
        f"{some([source.path for source in gone])}. The new version is without them; --append keeps them"
    )


def named(base: Dataset) -> str:
    """A version as messages name it."""
    return f"{base.name}@{base.version}"


def some(paths: list[str]) -> str:
    """Files as messages name them: the first few."""
    return f"{', '.join(paths[:_NAMED])}{', ...' if len(paths) > _NAMED else ''}"
