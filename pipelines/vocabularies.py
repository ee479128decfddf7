"""The vocabularies that a run can continue: those of published versions, and tables of the user's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from headrace.catalog import log
from headrace.catalog.files import sha256_of
from headrace.catalog.manifest import Extends
from headrace.catalog.place import Place
from headrace.catalog.reader import LATEST, Dataset, near, open_dataset
from headrace.catalog.store import dataset_place, exists, open_store
from headrace.catalog.vocabulary import OOV_BUCKETS
from headrace.pipelines.continuing import Older, name_of
from headrace.pipelines.work import Work
from headrace.schemas.errors import ConflictError, DataError, PipelineError
from headrace.transforms.categorified import Categorified
from headrace.transforms.categorify import Categorify
from headrace.transforms.elements import inside
from headrace.transforms.registry import named_operators, operator_from_plain
from headrace.transforms.table import Table, TableFolder


class FromCatalog:
    """The versions of a catalog and the files beside a pipeline; what was found is kept.

    Parameters
    ----------
    catalog
        The folder or URI that holds the datasets.
    dataset
        The one that the pipeline publishes.
    root
        The folder that paths are relative to.
    required
        Whether the catalog must be there. Where it need not be, as in a check, what names a version of it begins anew,
        and a note says that it is missing.
    """

    def __init__(self, catalog: str | Path, dataset: str, root: str | Path, *, required: bool = True) -> None:
        self.tables: dict[str, Table] = {}
        self.extends: dict[str, Extends] = {}
        self.notes: dict[str, str] = {}
        """By column, what its vocabulary continues, or why it begins anew."""
        self._catalog = Place.of(catalog)
        self._dataset = dataset
        self._root = Path(root)
        self._required = required
        self._opened: dict[str, Dataset | None] = {}
        self._saved: dict[str, Mapping[str, Categorified]] = {}

    def of(self, step: Categorify) -> Older | None:
        assert step.previous is not None
        if step.previous.endswith(".parquet"):
            return self._file(step, self._root / step.previous)
        if step.previous != LATEST and not self._required and not exists(self._catalog):
            self._begins(step, f"{step.previous} is missing: there is no catalog {self._catalog}")
            return None
        dataset = self._open(step.previous)
        if dataset is None:
            self._begins(step, f"{self._dataset} has no version yet")
            return None
        return self._published(step, dataset)

    def _file(self, step: Categorify, path: Path) -> Older:
        try:
            _, sha256 = sha256_of(path)
            table = Table(pl.read_parquet(path, glob=False), path=path, sha256=sha256)
            buckets = int(pl.read_parquet_metadata(path).get(OOV_BUCKETS, step.oov_buckets))
        except (OSError, ValueError, pl.exceptions.PolarsError) as problem:
            reason = str(problem).splitlines()[0]
            raise DataError(f"the previous vocabulary cannot be read: {reason}", where=str(path)) from None
        _refuse_buckets(step, buckets, f"previous {step.previous}")
        self._continues(step, table, Extends(sha256=sha256), step.previous or "")
        return Older(table, trusted=False)

    def _published(self, step: Categorify, dataset: Dataset) -> Older | None:
        version = f"{dataset.name}@{dataset.version}"
        where = f"previous {version}"
        saved = self._steps(dataset)
        there = [name for name in step.writes if name in saved]
        if not there:
            output = step.writes[0]
            published = output in dataset.columns
            if step.previous == LATEST and not published:
                self._begins(step, f"{version} has no such column")
                return None
            what = "has no vocabulary there" if published else "is not in it"
            raise PipelineError(f"column {output!r} {what}{near(output, list(saved))}", where=where)
        older = saved[there[0]]
        _refuse_buckets(step, older.oov_buckets, where)
        _refuse_columns(step, older, where)
        for name in there[1:]:
            if saved[name].vocabulary.sha256 != older.vocabulary.sha256:
                raise PipelineError(
                    f"columns {there[0]!r} and {name!r} have vocabularies of their own there, and are joint now: "
                    f"the ids of {name!r} would move",
                    hint="leave `joint` out, or begin a vocabulary under another `output`",
                    where=where,
                )
        build, sha256 = dataset.record.build, older.vocabulary.sha256
        extends = Extends(dataset=dataset.name, version=dataset.version, build=build, sha256=sha256)
        self._continues(step, older.vocabulary, extends, version)
        return Older(older.vocabulary, trusted=True)

    def _continues(self, step: Categorify, table: Table, extends: Extends, source: str) -> None:
        output = step.writes[0]
        self.tables[name_of(output)], self.extends[output] = table, extends
        self.notes[", ".join(step.writes)] = f"continues {source}, {table.height:,} values"

    def _begins(self, step: Categorify, reason: str) -> None:
        self.notes[", ".join(step.writes)] = f"begins anew: {reason}"

    def _open(self, reference: str) -> Dataset | None:
        if reference not in self._opened:
            self._opened[reference] = self._opening(reference)
        return self._opened[reference]

    def _opening(self, reference: str) -> Dataset | None:
        if reference != LATEST and not reference.isdecimal():
            return open_dataset(self._catalog / reference)
        place = dataset_place(self._catalog, self._dataset)
        if reference == LATEST and not (exists(place) and log.latest_version(open_store(place))):
            return None
        return open_dataset(place, reference)

    def _steps(self, dataset: Dataset) -> Mapping[str, Categorified]:
        """The steps of a version that have a vocabulary, by the columns they write, published or not."""
        if dataset.uri not in self._saved:
            self._saved[dataset.uri] = _saved_steps(dataset)
        return self._saved[dataset.uri]


def vocabularies_follow(work: Work) -> Callable[[Dataset], None] | None:
    """What refuses a version to follow if it continues a vocabulary otherwise: one id would stand for two values.

    None where no step goes on from the latest version. The columns are those of the steps, published or not.
    """
    continued: dict[str, tuple[Extends | None, str]] = {}
    for placed in work.resolved.steps:
        step = inside(placed.step)
        if isinstance(step, Categorify) and step.previous == LATEST:
            form = inside(work.form(placed.index))
            assert isinstance(form, Categorified)
            older = work.vocabularies.extends.get(step.writes[0])
            continued |= dict.fromkeys(step.writes, (older, form.vocabulary.sha256))

    def may_follow(head: Dataset) -> None:
        theirs = _saved_steps(head)
        for name in sorted(continued.keys() & theirs.keys()):
            older, own = continued[name]
            if older is not None and older.version == head.version:
                continue
            if theirs[name].vocabulary.sha256 not in (older and older.sha256, own):
                raise ConflictError(
                    f"version {head.version} was published meanwhile, and its ids of new values in column {name!r} are "
                    "others",
                    hint="run again, to continue that version",
                    where=str(head.place),
                )

    return may_follow if continued else None


def _saved_steps(dataset: Dataset) -> dict[str, Categorified]:
    path, pipeline = dataset.state_path, dataset.manifest.pipeline
    if path is None or pipeline is None:
        return {}
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != pipeline.sha256:
            raise DataError("SHA-256 differs from the one in the manifest", where=str(path))
        plain = [step for step in json.loads(data)["steps"] if Categorified.__name__ in named_operators(step)]
    except (OSError, ValueError, KeyError) as problem:
        raise DataError(f"the fitted pipeline cannot be read: {problem}", where=str(path)) from None
    steps = [inside(operator_from_plain(step, TableFolder(path.parent))) for step in plain]
    return {name: step for step in steps if isinstance(step, Categorified) for name in step.writes}


def _refuse_buckets(step: Categorify, buckets: int, where: str) -> None:
    if buckets != step.oov_buckets:
        raise PipelineError(
            f"column {step.writes[0]!r} has {buckets} ids out of vocabulary there, and oov_buckets is "
            f"{step.oov_buckets}: every id would move",
            hint=f"oov_buckets: {buckets}",
            where=where,
        )


def _refuse_columns(step: Categorify, older: Categorified, where: str) -> None:
    if step.combo and older.combo and tuple(step.columns) != tuple(older.columns):
        before, now = ", ".join(older.columns), ", ".join(step.columns)
        raise PipelineError(
            f"column {step.output!r} is of the combinations of {before} there, of {now} now",
            hint=f"columns: [{before}]",
            where=where,
        )
