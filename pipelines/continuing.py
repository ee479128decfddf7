"""The vocabularies that steps continue: of a published version, or a table of the user's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import polars as pl

from headrace.catalog.manifest import Extends
from headrace.catalog.reader import LATEST, Dataset, near, open_dataset
from headrace.catalog.store import dataset_folder
from headrace.catalog.stored import safe_path
from headrace.schemas.errors import DataError, PipelineError
from headrace.transforms.base import Operator
from headrace.transforms.categorify import Categorify
from headrace.transforms.elements import inside
from headrace.transforms.table import Table

FILE = "extends.json"


class Vocabularies(Protocol):
    """Where a step's previous vocabulary comes from."""

    def of(self, step: Categorify) -> Table | None:
        """The vocabulary that `previous` names, None where there is none to continue."""
        ...


class NoVocabularies:
    """A check without a catalog: no step continues anything."""

    def of(self, step: Categorify) -> Table | None:
        return None


NO_VOCABULARIES: Final = NoVocabularies()


class FromCatalog:
    """The versions of a catalog and the files beside a pipeline; what was found is kept.

    Parameters
    ----------
    catalog
        The folder that holds the datasets.
    dataset
        The one that the pipeline publishes.
    root
        The folder that paths are relative to.
    """

    def __init__(self, catalog: str | Path, dataset: str, root: str | Path) -> None:
        self.tables: dict[str, Table] = {}
        self.extends: dict[str, Extends] = {}
        self._catalog = Path(catalog)
        self._dataset = dataset
        self._root = Path(root)
        self._opened: dict[str, Dataset | None] = {}

    def of(self, step: Categorify) -> Table | None:
        assert step.previous is not None
        output = step.writes[0]
        key = name_of(output)
        if key not in self.tables:
            found = self._file(step.previous) if _is_path(step.previous) else self._published(step, output)
            if found is None:
                return None
            self.tables[key], self.extends[output] = found
        return self.tables[key]

    def _file(self, path: str) -> tuple[Table, Extends]:
        where = self._root / path
        try:
            with where.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return Table(pl.read_parquet(where)), Extends(sha256=sha256)
        except (OSError, pl.exceptions.PolarsError) as problem:
            reason = str(problem).splitlines()[0]
            raise DataError(f"the previous vocabulary cannot be read: {reason}", where=str(where)) from None

    def _published(self, step: Categorify, output: str) -> tuple[Table, Extends] | None:
        reference = str(step.previous)
        dataset = self._open(reference)
        if dataset is None:
            return None
        where = f"previous {dataset.name}@{dataset.version}"
        columns = {c.name: c for c in dataset.manifest.columns}
        column = columns.get(output)
        if column is None or column.vocabulary is None:
            if reference == LATEST and column is None:
                return None  # a column that is new begins a vocabulary
            known = [name for name, c in columns.items() if c.vocabulary is not None]
            what = "is not in it" if column is None else "has no vocabulary there"
            raise PipelineError(f"column {output!r} {what}{near(output, known)}", where=where)
        buckets = len(column.oov_ids)
        if buckets != step.oov_buckets:
            raise PipelineError(
                f"column {output!r} has {buckets} ids out of vocabulary there, and oov_buckets is {step.oov_buckets}: "
                "every id would move",
                hint=f"oov_buckets: {buckets}",
                where=where,
            )
        table = Table(path=safe_path(dataset.path, column.vocabulary.path), sha256=column.vocabulary.sha256)
        build = dataset.record.build
        return table, Extends(
            dataset=dataset.name, version=dataset.version, build=build, sha256=column.vocabulary.sha256
        )

    def _open(self, reference: str) -> Dataset | None:
        if reference not in self._opened:
            self._opened[reference] = self._opening(reference)
        return self._opened[reference]

    def _opening(self, reference: str) -> Dataset | None:
        own = reference == LATEST or reference.isdecimal()
        folder = dataset_folder(self._catalog, self._dataset) if own else self._catalog / reference
        if reference == LATEST and not (folder / "_log").is_dir():
            return None
        return open_dataset(folder, reference) if own else open_dataset(folder)


class FromWork:
    """What `FromCatalog` found when the run was prepared, out of its work folder."""

    def __init__(self, tables: Mapping[str, Table], path: Path) -> None:
        self._tables = tables
        self.extends = {
            output: Extends.model_validate(entry) for output, entry in json.loads((path / FILE).read_bytes()).items()
        }

    def of(self, step: Categorify) -> Table | None:
        return self._tables.get(name_of(step.writes[0]))


def continuing(step: Operator, schema: pl.Schema, vocabularies: Vocabularies) -> Operator:
    """A step whose columns are known, with the vocabulary that it continues.

    Raises
    ------
    HeadraceError
        A previous vocabulary that is not there, or does not fit.
    """
    own = inside(step)
    if not isinstance(own, Categorify) or own.previous is None:
        return step
    table = vocabularies.of(own)
    if table is None:
        return step
    known = own.continuing(table, schema)
    return known if own is step else step.model_copy(update={"step": known})


def name_of(output: str) -> str:
    """The name among a run's tables of the vocabulary that a column continues; no table of a source is called so."""
    return f"previous:{output}"


def _is_path(reference: str) -> bool:
    return reference.endswith(".parquet")
