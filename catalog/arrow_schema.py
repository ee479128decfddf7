"""An Arrow schema as the manifest keeps it: its fields, its fingerprint, and how it differs from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable

import pyarrow as pa
from pydantic import Field

from headrace.catalog.arrow_types import arrow_type
from headrace.catalog.records import Record


class ArrowField(Record):
    name: str
    type: str = Field(description="as Arrow spells it")
    nullable: bool


def arrow_fields(schema: pa.Schema) -> tuple[ArrowField, ...]:
    """An Arrow schema without its metadata, in the manifest's form."""
    return tuple(ArrowField(name=field.name, type=str(field.type), nullable=field.nullable) for field in schema)


def fingerprint(fields: tuple[ArrowField, ...]) -> str:
    """Sha256 of names, types and nullability in order; equal for datasets that can be read as one."""
    listed = [[field.name, field.type, field.nullable] for field in fields]
    return hashlib.sha256(json.dumps(listed, separators=(",", ":")).encode()).hexdigest()


def differing(fields: Iterable[ArrowField], columns: Collection[str], found: pa.Schema) -> list[str]:
    """Quoted, those of some columns that a file has not, or of another type than in `fields`."""
    types = {field.name: field.type for field in found}
    return [f"{f.name!r}" for f in fields if f.name in columns and not _is(types.get(f.name), f.type)]


def arrow_summary(ours: tuple[ArrowField, ...], theirs: tuple[ArrowField, ...]) -> str:
    """How two schemas differ, in words: ``a is float here, double there; b is not there``."""
    mine = {field.name: field for field in ours}
    yours = {field.name: field for field in theirs}
    words = [f"{name} is not there" for name in mine if name not in yours]
    words += [f"{name} is not here" for name in yours if name not in mine]
    words += [
        f"{name} is {_spelled(field)} here, {_spelled(yours[name])} there"
        for name, field in mine.items()
        if name in yours and field != yours[name]
    ]
    return "; ".join(words) or "the columns are in another order"


def _is(found: pa.DataType | None, spelled: str) -> bool:
    """Whether a type is one that was spelled; what a file calls the elements of its lists does not count."""
    try:
        return bool(found == arrow_type(spelled))
    except ValueError:
        return str(found) == spelled


def _spelled(field: ArrowField) -> str:
    return field.type if field.nullable else f"{field.type} not null"
