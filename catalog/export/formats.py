"""What a format is to an export: how it writes each column, and how it writes the rows of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pyarrow as pa

from headrace.catalog.export.rows import Part
from headrace.schemas.errors import DataError, UsageError


@dataclass(frozen=True)
class Format:
    """A format that versions can be exported to.

    Parameters
    ----------
    rows_per_file
        Where none are asked for.
    columns
        How the columns of a schema are written, in words, by name. Raises UsageError for those that cannot be, and
        CapabilityError for a missing package: before anything is written.
    write
        Writes the parts of one split into an empty folder, and returns the names of the files that hold rows, in
        the order of the parts. Raises OSError when the disk is full or fails.
    """

    name: str
    rows_per_file: int
    columns: Callable[[pa.Schema], dict[str, str]]
    write: Callable[[Path, Iterator[Part], pa.Schema], list[str]]


def refuse(name: str, reasons: Mapping[str, str]) -> NoReturn:
    """Raise the error for columns that a format cannot hold, each with the reason."""
    shown = ", ".join(f"{column} ({reason})" for column, reason in list(reasons.items())[:5])
    raise UsageError(
        f"{len(reasons)} columns cannot be written as {name}: {shown}{', ...' if len(reasons) > 5 else ''}",
        hint="name the others with --columns, or choose --format arrow, which holds every type",
    )


def refuse_values(name: str, what: str, counts: Mapping[str, int]) -> None:
    """Raise DataError if there are values that a format has no word for; the counts are by column."""
    found = {column: count for column, count in counts.items() if count}
    if found:
        shown = ", ".join(f"{column}: {count:,}" for column, count in list(found.items())[:5])
        raise DataError(
            f"{len(found)} columns have {what}, which {name} cannot hold: {shown}{', ...' if len(found) > 5 else ''}",
            hint="name the others with --columns, or choose --format arrow; --format delta holds them as well",
        )
