"""What a batch is made of: which columns, of which types, alone or side by side in a matrix. Opens no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa

from headrace.catalog.arrow_schema import ArrowField
from headrace.catalog.arrow_types import arrow_type
from headrace.catalog.device import check_tensors, is_list
from headrace.schemas.errors import UsageError

Dtype = np.dtype[Any]
Pack = Mapping[str, Sequence[str]]

VALID: Final = "_valid"
"""The entry of a padded batch that says which rows are real."""


@dataclass(frozen=True)
class Column:
    """A column of the files.

    Parameters
    ----------
    dtype
        Of its numbers, or of those in its lists.
    width
        Of lists of one fixed size; None for others.
    ragged
        Lists of any length.
    entry, at
        The entry of a batch that it goes into, and where in a row of it.
    """

    field: pa.Field
    dtype: Dtype
    width: int | None
    ragged: bool
    entry: str
    at: int = 0

    @cached_property
    def name(self) -> str:
        return str(self.field.name)

    @property
    def packed(self) -> bool:
        return self.entry != self.name


@dataclass(frozen=True)
class Entry:
    """Of a batch: so many numbers a row, in one dimension if `width` is None. Of lists, their lengths."""

    name: str
    dtype: Dtype
    width: int | None = None


@dataclass(frozen=True)
class Contents:
    """Of a batch: entries in their order, and the columns that fill them."""

    entries: tuple[Entry, ...]
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """Of the columns, as the files must have them."""
        return pa.schema([column.field for column in self.columns])

    @property
    def ragged(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.ragged)


def contents(fields: Sequence[ArrowField], columns: Sequence[str], pack: Pack, where: str) -> Contents:
    """Entries for columns and packed matrices.

    Parameters
    ----------
    fields
        All of the dataset's.
    columns
        Known names. Those that are packed, too, are in their matrix only.
    pack
        Columns of each matrix, known names, side by side in their order. Its type is the smallest that holds all values
        of all of them exactly, by NumPy's promotion: int32 beside float32 is float64.

    Raises
    ------
    UsageError
        A column that no tensor holds; a column or name that comes twice; lists of any length in a matrix; columns that
        have no type in common; nothing to read.
    """
    _once("columns", columns)
    packed = [name for names in pack.values() for name in names]
    _once("pack", packed)
    alone = [name for name in columns if name not in set(packed)]
    _once("columns and the names of matrices", [*alone, *packed, *pack])
    known = {field.name: field for field in fields}
    schema = pa.schema([_arrow(known[name]) for name in [*alone, *packed]])
    if not len(schema):
        raise UsageError("there is no column to read", hint="name some: columns=[...]", where=where)
    check_tensors(schema, where, {field.name: field.type for field in fields})
    if VALID in (*alone, *pack):
        raise UsageError(f"{VALID!r} is what rows that are real are told by", hint="rename that column or matrix")
    made = {field.name: _column(field) for field in schema}
    found = [made[name] for name in alone]
    entries = [Entry(c.name, np.dtype(np.int64) if c.ragged else c.dtype, c.width) for c in found]
    for entry, names in pack.items():
        side_by_side = list(_placed(entry, [made[name] for name in names]))
        found += side_by_side
        width = sum(column.width or 1 for column in side_by_side)
        entries.append(Entry(entry, _common(entry, side_by_side), width))
    return Contents(tuple(entries), tuple(found))


def _column(field: pa.Field) -> Column:
    width = field.type.list_size if pa.types.is_fixed_size_list(field.type) else None
    element = field.type.value_type if is_list(field.type) else field.type
    return Column(field, np.dtype(element.to_pandas_dtype()), width, is_list(field.type) and width is None, field.name)


def _placed(entry: str, columns: Sequence[Column]) -> Iterator[Column]:
    at = 0
    for column in columns:
        if column.ragged:
            raise UsageError(f"column {column.name!r} has lists of any length, and cannot be in matrix {entry!r}")
        yield Column(column.field, column.dtype, column.width, False, entry, at)
        at += column.width or 1


def _common(entry: str, columns: Sequence[Column]) -> Dtype:
    if not columns:
        raise UsageError(f"matrix {entry!r} has no columns", hint=f"pack={{{entry!r}: [...]}}")
    return np.dtype(np.result_type(*(column.dtype for column in columns)))


def _once(what: str, names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{what}: {', '.join(map(repr, twice))} more than once")


def _arrow(field: ArrowField) -> pa.Field:
    """A field from the manifest. A type that cannot be read back is none that a tensor holds."""
    try:
        return pa.field(field.name, arrow_type(field.type), field.nullable)
    except ValueError:
        return pa.field(field.name, pa.null(), field.nullable)
