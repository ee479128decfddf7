"""Steps that continue a vocabulary: each gets the older one that its `previous` names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import polars as pl

from headrace.catalog.manifest import Extends
from headrace.transforms.base import Learner, Transform
from headrace.transforms.categorify import Categorify
from headrace.transforms.elements import inside
from headrace.transforms.table import Table

FILE = "extends.json"


class Older(NamedTuple):
    """A vocabulary to continue, and whether it is known that no value in it is null or there twice."""

    table: Table
    trusted: bool


class Vocabularies(Protocol):
    """Where a step's previous vocabulary comes from."""

    def of(self, step: Categorify) -> Older | None:
        """The vocabulary that `previous` names, None where there is none to continue."""
        ...


class NoVocabularies:
    """A check without a catalog: no step continues anything."""

    def of(self, step: Categorify) -> Older | None:
        return None


NO_VOCABULARIES: Final = NoVocabularies()


class FromWork:
    """What was found in the catalog when the run was prepared, out of its work folder."""

    def __init__(self, tables: Mapping[str, Table], path: Path) -> None:
        self._tables = tables
        self.extends = {
            output: Extends.model_validate(entry) for output, entry in json.loads((path / FILE).read_bytes()).items()
        }

    def of(self, step: Categorify) -> Older | None:
        table = self._tables.get(name_of(step.writes[0]))
        return None if table is None else Older(table, trusted=True)


def continuing(step: Transform | Learner, schema: pl.Schema, vocabularies: Vocabularies) -> Transform | Learner:
    """A step whose columns are known, with the vocabulary that it continues.

    Raises
    ------
    HeadraceError
        A previous vocabulary that is not there, or does not fit.
    """
    own = inside(step)
    if not isinstance(own, Categorify) or own.previous is None:
        return step
    older = vocabularies.of(own)
    if older is None:
        return step
    known = own.continuing(older.table, schema, trusted=older.trusted)
    return known if own is step else step.model_copy(update={"step": known})


def name_of(output: str) -> str:
    """The name among a run's tables of the vocabulary that a column continues; no table of a source is called so."""
    return f"previous:{output}"
