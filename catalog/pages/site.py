"""Pages as files: one of a dataset's version, or the index of a catalog with a page for each dataset beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from headrace.catalog.files import disk_error
from headrace.catalog.listing import Summary, history, list_datasets
from headrace.catalog.reader import Dataset, open_dataset
from headrace.schemas.errors import CapabilityError, DataError, UsageError


@dataclass(frozen=True)
class Written:
    """A page that was written."""

    dataset: str
    version: int
    path: Path
    bytes: int


@dataclass(frozen=True)
class Index:
    """An index that was written, with what it names."""

    path: Path
    pages: tuple[Written, ...]
    problems: dict[str, str]
    """Datasets without a page, and why."""


def write_page(uri: str, out: str | Path) -> Written:
    """Write the page of a version to a file; one that is there is replaced.

    Parameters
    ----------
    uri
        ``<catalog>/<dataset>`` or ``<catalog>/<dataset>@7``; the page says that this is where to open it.

    Raises
    ------
    UsageError
        There is no such dataset or version; `out` is a folder.
    CapabilityError, RunError
        jinja2 is not installed; the file cannot be written; the disk is full.
    DataError
        A manifest or record is damaged.

    Notes
    -----
    Cost: every commit record and manifest of the dataset is read; no data.
    """
    return _page(open_dataset(uri), uri, Path(out))


def write_index(catalog: str, out: str | Path) -> Index:
    """Write ``index.html`` and ``datasets/<name>.html``, of each dataset's latest version, into a folder.

    Files of these names that are there are replaced, others stay. A dataset that cannot be read is in the index with
    what is wrong, and has no page. Raises UsageError if there is no such catalog, or if `out` is no folder; else as
    `write_page`.
    """
    with _templates():
        from headrace.catalog.pages.index_page import FOLDER, index_page
    folder = Path(out)
    if folder.is_file() or (folder.suffix.lower() in (".html", ".htm") and not folder.is_dir()):
        raise UsageError(
            "an index is a folder: index.html, and a page for each dataset beside it",
            hint=f"such as --out {folder.with_suffix('') if folder.suffix else f'{folder}-pages'}",
            where=str(folder),
        )
    found, pages = [], []
    for summary in list_datasets(catalog):
        if not summary.problem:
            uri = f"{catalog.rstrip('/')}/{summary.name}"
            target = folder / FOLDER / f"{summary.name}.html"
            try:
                pages.append(_page(open_dataset(uri, summary.version), uri, target, index="../index.html"))
            except DataError as error:
                found.append(replace(summary, problem=str(error)))
                continue
        found.append(summary)
    path = folder / "index.html"
    described = frozenset(page.dataset for page in pages)
    _write(path, index_page(found, catalog, described))
    return Index(path, tuple(pages), _problems(found))


def _page(dataset: Dataset, uri: str, out: Path, index: str = "") -> Written:
    with _templates():
        from headrace.catalog.pages.dataset_page import dataset_page
    head, slash, _ = uri.rstrip("/").rpartition("/")
    address = f"{head}{slash}{dataset.name}"
    text = dataset_page(dataset.version, dataset.manifest, history(address), address, index)
    return Written(dataset.name, dataset.version, out, _write(out, text))


def _problems(found: list[Summary]) -> dict[str, str]:
    return {summary.name: summary.problem for summary in found if summary.problem}


@contextmanager
def _templates() -> Iterator[None]:
    """Around what imports the templates: says how to install what they are written in."""
    try:
        yield
    except ImportError as error:
        raise CapabilityError(f"pages need jinja2: {error}", hint="pip install 'headrace[build]'") from error


def _write(path: Path, text: str) -> int:
    """Write a file as a whole or not at all, over what is there."""
    if path.is_dir():
        raise UsageError(
            "is a folder, expected the name of a file", hint=f"such as {path / 'page.html'}", where=str(path)
        )
    data = text.encode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        problem = disk_error(error, path)
        if isinstance(problem, CapabilityError):
            problem.hint = "name another place with --out"
        raise problem from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return len(data)
