"""What a Parquet file says about itself, read from its footer alone."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.schemas.errors import DataError
from headrace.schemas.fingerprint import fingerprint_of
from headrace.schemas.names import RESERVED_PREFIX

MAGIC: Final = b"PAR1"
ENCRYPTED: Final = b"PARE"
TAIL: Final = 8  # the footer's length, four bytes, and the magic
SUFFIXES: Final = (".parquet", ".pq")

_REWRITE: Final = "copy the file again from where it came from, or write it again with a Parquet writer"


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group: where its rows stand in the file and what they take in memory.

    ``bytes`` and ``column_bytes`` are uncompressed, still encoded; a nested column counts with all its leaves.
    """

    first_row: int
    rows: int
    bytes: int
    column_bytes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Footer:
    """One Parquet file as its footer describes it.

    ``bytes`` is the size on disk. ``schema`` holds the dtypes that Polars reads the columns as. ``fingerprint`` is that
    of `headrace.schemas.fingerprint`: it changes when the file is written anew with other data.
    """

    path: Path
    bytes: int
    rows: int
    schema: dict[str, pl.DataType]
    row_groups: tuple[RowGroup, ...]
    fingerprint: str


def read_footer(path: str | Path) -> Footer:
    """Read a Parquet file's footer, and of its pages what a fingerprint takes.

    Parameters
    ----------
    path
        A file.

    Raises
    ------
    DataError
        The file is missing, empty, unreadable, truncated, encrypted or not Parquet; two columns have one name; a
        column's name is reserved.

    Notes
    -----
    Cost: two reads at the file's end, those of the fingerprint, and a few microseconds a column chunk.
    """
    path = Path(path)
    where = str(path)
    size, tail, fingerprint = _footer_bytes(path)
    metadata = open_metadata(path)
    try:
        arrow = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"its schema cannot be read: {_first_line(error)}", where=where, hint=_REWRITE) from error
    _check_names(arrow.names, where)
    row_groups = tuple(_row_groups(metadata, arrow))
    if row_groups and _last_byte(metadata) > size - TAIL - len(tail):
        raise DataError(
            f"damaged: its footer describes data up to byte {_last_byte(metadata):,}, the file has {size:,}",
            where=where,
            hint=_REWRITE,
        )
    return Footer(
        path=path,
        bytes=size,
        rows=metadata.num_rows,
        schema=_polars_schema(path),
        row_groups=row_groups,
        fingerprint=fingerprint,
    )


def open_metadata(path: str | Path) -> pq.FileMetaData:
    """Give pyarrow's view of the footer, with the column chunks' statistics.

    Raises
    ------
    DataError
        The footer cannot be decoded.
    """
    try:
        with pa.OSFile(str(path)) as file:
            return pq.read_metadata(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"its Parquet footer cannot be read: {_first_line(error)}", where=str(path), hint=_REWRITE
        ) from error


def reading_problem(error: BaseException) -> str:
    """Why Polars could not read a file, in one line. Damaged pages make it panic, which says nothing to a user."""
    return "a page is damaged" if isinstance(error, pl.exceptions.PanicException) else _first_line(error)


def find_files(source: str | Path) -> tuple[Path, ...]:
    """Give the Parquet files that a path names, sorted by name.

    Parameters
    ----------
    source
        A file; a folder, searched to the bottom for ``.parquet`` and ``.pq``, passing over names that begin with
        ``.`` or ``_``; or a glob pattern (``**`` crosses folders), which takes files of any name. A path that exists
        is never read as a pattern.

    Raises
    ------
    DataError
        Nothing is there, or nothing that ends in ``.parquet`` or ``.pq``.
    """
    path = Path(source).expanduser()
    where = str(path)
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return (path,)
    if glob.has_magic(where):
        matches = tuple(Path(match) for match in sorted(glob.glob(where, recursive=True)) if os.path.isfile(match))
        if not matches:
            raise DataError("no file matches this pattern", where=where, hint="quote it, and look with `ls`")
        return matches
    if os.path.lexists(path) and not path.is_symlink():
        raise DataError("neither a file nor a folder", where=where, hint="name a file, a folder or a pattern")
    kind = "a link to nothing" if path.is_symlink() else "no such file or folder"
    raise DataError(kind, where=where, hint=_near(path))


def _in_folder(folder: Path) -> tuple[Path, ...]:
    try:
        inside = [path for path in folder.rglob("*") if path.is_file()]
    except OSError as error:
        raise DataError(
            f"cannot be listed: {error.strerror}", where=str(folder), hint="check its permissions"
        ) from error
    files = [
        path
        for path in inside
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    ]
    if not files:
        found = "the folder is empty" if not inside else f"no Parquet file among the {len(inside)} files of the folder"
        hint = (
            f"files are found by their ending ({', '.join(SUFFIXES)}); for others give a pattern, such as '{folder}/*'"
        )
        raise DataError(found, where=str(folder), hint=hint)
    return tuple(sorted(files, key=lambda path: path.relative_to(folder).as_posix()))


def _near(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"the folder {path.parent} cannot be opened either"
    near = difflib.get_close_matches(path.name, names, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"look in {path.parent.resolve()}"


def _footer_bytes(path: Path) -> tuple[int, bytes, str]:
    where = str(path)
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                raise DataError("the file is empty (0 bytes)", where=where, hint=_REWRITE)
            file.seek(0)
            head = file.read(len(MAGIC))
            file.seek(max(0, size - TAIL))
            tail = file.read(TAIL)
            _check_magic(head, tail, size, where)
            length = int.from_bytes(tail[:4], "little")
            if length > size - TAIL - len(MAGIC):
                raise DataError(
                    f"damaged: its footer should take {length:,} bytes, the file has {size:,}",
                    where=where,
                    hint=_REWRITE,
                )
            file.seek(size - TAIL - length)
            footer = file.read(length)
            return size, footer, fingerprint_of(file, size, footer)
    except FileNotFoundError as error:
        raise DataError("no such file", where=where, hint=_near(path)) from error
    except PermissionError as error:
        raise DataError(
            "may not be read: permission denied", where=where, hint="check the file's owner and mode"
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror or error}", where=where, hint="name a readable file"
        ) from error


def _check_magic(head: bytes, tail: bytes, size: int, where: str) -> None:
    if ENCRYPTED in (head, tail[-4:]):
        raise DataError("encrypted Parquet is not supported", where=where, hint="decrypt it first")
    if head != MAGIC:
        raise DataError(
            f"not a Parquet file: it begins with {head!r}, expected {MAGIC!r}",
            where=where,
            hint="convert it first, for example pl.read_csv(...).write_parquet(...)",
        )
    if tail[-4:] != MAGIC or size < TAIL + len(MAGIC):
        raise DataError(
            f"truncated: a Parquet file ends with {MAGIC!r}, this one of {size:,} bytes ends with {tail[-4:]!r}",
            where=where,
            hint=_REWRITE,
        )


def _check_names(names: list[str], where: str) -> None:
    double = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if double:
        listed = ", ".join(f"'{name}' {names.count(name)} times" for name in double)
        raise DataError(f"duplicate column names: {listed}", where=where, hint="rename the columns in the file")
    reserved = [name for name in names if name.startswith(RESERVED_PREFIX)]
    if reserved:
        raise DataError(
            f"column names that begin with '{RESERVED_PREFIX}' are reserved: {', '.join(reserved)}",
            where=where,
            hint="rename the columns in the file",
        )


def _polars_schema(path: Path) -> dict[str, pl.DataType]:
    try:
        with path.open("rb") as file:  # a name would be read as a pattern
            return dict(pl.read_parquet_schema(file))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = reading_problem(error)
        raise DataError(f"its schema cannot be read: {reason}", where=str(path), hint=_REWRITE) from error


def _row_groups(metadata: pq.FileMetaData, arrow: pa.Schema) -> Iterator[RowGroup]:
    # A leaf's path joins names with dots, which names may contain: so leaves are counted off, not split.
    owners = [field.name for field in arrow for _ in range(_leaves(field.type))]
    first = 0
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        sizes = dict.fromkeys(arrow.names, 0)
        for leaf, owner in enumerate(owners):
            sizes[owner] += group.column(leaf).total_uncompressed_size
        yield RowGroup(first_row=first, rows=group.num_rows, bytes=group.total_byte_size, column_bytes=sizes)
        first += group.num_rows


def _leaves(kind: pa.DataType) -> int:
    if isinstance(kind, pa.BaseExtensionType):
        return _leaves(kind.storage_type)
    if pa.types.is_struct(kind):
        return sum(_leaves(kind.field(index).type) for index in range(kind.num_fields))
    if pa.types.is_map(kind):
        return _leaves(kind.key_type) + _leaves(kind.item_type)
    if pa.types.is_nested(kind) and hasattr(kind, "value_type"):
        return _leaves(kind.value_type)
    return 1


def _last_byte(metadata: pq.FileMetaData) -> int:
    ends = [0]
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        for leaf in range(group.num_columns):
            chunk = group.column(leaf)
            begin = chunk.dictionary_page_offset if chunk.has_dictionary_page else None
            ends.append((chunk.data_page_offset if begin is None else begin) + chunk.total_compressed_size)
    return max(ends)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
