"""Exporting: a published version, or a part of it, as a folder in another format."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headrace.catalog.export.arrow import ARROW
from headrace.catalog.export.delta import DELTA
from headrace.catalog.export.folder import new_folder
from headrace.catalog.export.formats import Format
from headrace.catalog.export.mds import MDS
from headrace.catalog.export.rows import parts, row_groups, schema_of
from headrace.catalog.export.webdataset import WEBDATASET
from headrace.catalog.reader import Dataset, near
from headrace.schemas.errors import UsageError

FORMATS: Final[dict[str, Format]] = {form.name: form for form in (WEBDATASET, MDS, DELTA, ARROW)}

ABOUT: Final = "export.json"
"""What was exported and how: dataset, version, build, and the columns' types, rows and files of each split."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportedSplit:
    rows: int
    files: tuple[str, ...]
    """Relative to the folder, in the order of the rows."""


@dataclass(frozen=True)
class Exported:
    """What an export has written."""

    dataset: str
    version: int
    format: str
    path: Path
    columns: dict[str, str]
    """How each column is written."""
    splits: dict[str, ExportedSplit]
    bytes: int


def export(
    dataset: Dataset,
    out: str | Path,
    format: str,
    *,
    splits: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    rows_per_file: int | None = None,
) -> Exported:
    """Write a version in another format: a folder for each split in `out`, and `export.json`.

    Parameters
    ----------
    out
        A folder that does not exist, in one that does. It appears when all is written.
    format
        ``webdataset``, ``mds``, ``delta`` or ``arrow``; each has a module that says how it writes what.
    splits, columns
        All of them if not given; columns in this order, but for MDS, which has them by name.
    rows_per_file
        131,072 for webdataset and mds and 1,048,576 for delta and arrow if not given.

    Raises
    ------
    UsageError
        An unknown format, split or column; columns that the format cannot hold; `out` is there already.
    DataError
        A shard is missing or damaged; values that the format cannot hold.
    CapabilityError
        A package that the format needs is not installed; writing is not allowed.
    RunError
        The disk is full or fails.

    Notes
    -----
    Rows keep the published order. Cost: one pass over the columns, and the memory of one row group. After any error,
    and Ctrl-C, nothing is left.
    """
    form = _format(format)
    folder = _folder(out)
    chosen = _known("split", splits, dataset.splits, dataset)
    names = _known("column", columns, dataset.columns, dataset)
    most = form.rows_per_file if rows_per_file is None else rows_per_file
    if most < 1:
        raise UsageError(f"{most} rows per file; at least one is needed")
    schema = schema_of(dataset, names)
    written_as = form.columns(schema)
    done: dict[str, ExportedSplit] = {}
    with new_folder(folder) as root:
        for split in chosen:
            (root / split).mkdir()
            rows = dataset.rows[split]
            files = form.write(root / split, parts(row_groups(dataset, split, names), rows, most), schema)
            done[split] = ExportedSplit(rows, tuple(f"{split}/{name}" for name in files))
            _log.info("%s: %s rows in %s files", split, f"{rows:,}", len(files))
        about = _about(dataset, form, schema, written_as, done)
        (root / ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    return Exported(dataset.name, dataset.version, form.name, folder, written_as, done, size)


def _about(
    dataset: Dataset, form: Format, schema: Any, written_as: dict[str, str], splits: dict[str, ExportedSplit]
) -> dict[str, Any]:
    return {
        "format": form.name,
        "dataset": dataset.name,
        "version": dataset.version,
        "build": dataset.record.build,
        "manifest_sha256": dataset.record.manifest_sha256,
        "columns": [
            {
                "name": field.name,
                "type": str(field.type),
                "nullable": field.nullable,
                "written_as": written_as[field.name],
            }
            for field in schema
        ],
        "splits": {name: {"rows": split.rows, "files": list(split.files)} for name, split in splits.items()},
    }


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise UsageError(f"{name!r} is not a format{near(name, list(FORMATS))}")
    return FORMATS[name]


def _folder(out: str | Path) -> Path:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", str(out)):
        raise UsageError(f"{out} is not a folder", hint="export to a folder, and copy it with the tools of your store")
    return Path(out).expanduser().absolute()


def _known(what: str, asked: Sequence[str] | None, there: Sequence[str], dataset: Dataset) -> list[str]:
    if asked is None:
        return list(there)
    for name in asked:
        if name not in there:
            raise UsageError(f"{dataset.name}@{dataset.version} has no {what} {name!r}{near(name, there)}")
    if not asked or len(set(asked)) < len(asked):
        raise UsageError(f"name each {what} once, and at least one; got {', '.join(asked) or 'none'}")
    return list(asked)
