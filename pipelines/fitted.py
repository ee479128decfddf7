"""A fitted pipeline: the steps with what they learned, for new rows, without Dask or Prefect."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.engines.cpu import CpuEngine
from headrace.schemas.checks import loses_nothing
from headrace.schemas.dtypes import dtype_name, instance, parse_dtype
from headrace.schemas.errors import DataError, HeadraceError, PipelineError
from headrace.schemas.names import ROW
from headrace.transforms.base import Selection, Transform, to_plain
from headrace.transforms.registry import named_operators, operator_from_plain
from headrace.transforms.table import TableFolder

FORMAT = 1
FILE = "pipeline.json"
_ASKED = "__asked"


class FittedPipeline(BaseModel):
    """The steps of a pipeline after fitting, as one frozen value.

    Parameters
    ----------
    source
        The columns of the raw rows and their types.
    required
        Raw columns that may not be null.
    steps
        Transforms only; every learner has become one.
    features, target
        What `transform` gives, and what it never needs.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    source: Mapping[str, pl.DataType]
    required: tuple[str, ...] = ()
    steps: tuple[Transform, ...]
    features: tuple[str, ...]
    target: str

    def transform(
        self, rows: pl.DataFrame | pl.LazyFrame | Sequence[Mapping[str, Any]], *, history: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        """The features of raw rows: one row for each, in their order.

        Parameters
        ----------
        rows
            A Polars frame, or a list of dicts as a service gets them. Columns that a row need not have may be missing
            and count as null; the target is not needed.
        history
            Earlier raw rows, for features that look at other rows of the same entity. Without it an entity has no past.

        Returns
        -------
        polars.DataFrame
            The features, in the order and types of the published dataset. Steps that drop rows drop those of
            `history` only; a row that is asked for counts among the others of its entity, with those asked before it.

        Raises
        ------
        DataError
            A column that is not known, has another type, or is missing and required.
        """
        frame = self._rows(rows, self.raw_columns())
        past = 0
        if history is not None:
            earlier = self._rows(history, self.raw_columns(history=True))
            frame, past = pl.concat([earlier, frame]), earlier.height
        number = pl.col(ROW).cast(pl.Int64)
        lazy = frame.lazy().with_row_index(ROW).with_columns(number, (number >= past).alias(_ASKED))
        engine = CpuEngine()
        _, needed = self._needs(history=bool(past))
        for place, step in enumerate(self.steps):
            if place not in needed:
                # What it would write or drop, no later step reads; it must not be in the way of a join either.
                lazy = lazy.drop([*step.drops, *step.writes], strict=False)
            elif isinstance(step, Selection):
                kept = step.apply(lazy, engine).filter(~pl.col(_ASKED))
                lazy = pl.concat([kept, step.answer(lazy, _ASKED, engine)])
            elif step.filters:
                kept = step.apply(lazy.filter(~pl.col(_ASKED)), engine)
                lazy = pl.concat([kept, lazy.filter(_ASKED)])
            else:
                lazy = step.apply(lazy, engine)
        return engine.collect([lazy.filter(_ASKED).select(self.features)])[0]

    def raw_columns(self, *, history: bool = False) -> tuple[str, ...]:
        """The raw columns that the features are made of; with history also those that steps choose its rows by."""
        wanted, _ = self._needs(history=history)
        return tuple(c for c in self.source if c in wanted)

    def _needs(self, *, history: bool) -> tuple[set[str], set[int]]:
        """The raw columns and the places of the steps that the features depend on."""
        wanted, needed = set(self.features), set[int]()
        for place, step in reversed(list(enumerate(self.steps))):
            if (step.filters and history) or wanted & set(step.writes):
                wanted = (wanted - set(step.writes)) | set(step.serves_from)
                needed.add(place)
        return wanted, needed

    def save(self, folder: Path) -> list[Path]:
        """Write `pipeline.json`, and the tables of each step in a folder of its own. Returns the files written."""
        steps, files = [], []
        for index, step in enumerate(self.steps):
            context = TableFolder(folder, f"{index:02d}-{type(step).__name__.lower()}")
            steps.append(to_plain(step, context))
            files += context.written
        plain = {
            "format": FORMAT,
            "name": self.name,
            "source": {name: dtype_name(dtype) for name, dtype in self.source.items()},
            "required": self.required,
            "steps": steps,
            "features": self.features,
            "target": self.target,
        }
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE
        path.write_text(json.dumps(plain, indent=1) + "\n")
        return [path, *files]

    @classmethod
    def load(cls, folder: str | Path, *, allow: Collection[str] = ()) -> FittedPipeline:
        """Read what `save` wrote. Tables are read, and their sums checked, when they are first used.

        Parameters
        ----------
        folder
            That it was saved to, or the file in it that `Dataset.state_path` names.
        allow
            Modules whose operators the pipeline may name beside those of headrace; they are imported.

        Raises
        ------
        DataError
            The folder holds no fitted pipeline, a damaged one, or one of a later format.
        PipelineError
            A step of a module that is not allowed.
        """
        path = Path(folder) if Path(folder).name == FILE else Path(folder) / FILE
        try:
            plain = json.loads(path.read_bytes())
        except (OSError, ValueError) as problem:
            raise DataError(f"holds no fitted pipeline: {problem}", where=str(path)) from None
        if plain.get("format") != FORMAT:
            raise DataError(
                f"is of format {plain.get('format')!r}, this version of headrace reads {FORMAT}",
                where=str(path),
                hint="upgrade headrace",
            )
        context = TableFolder(path.parent)
        try:
            _refuse_others(plain["steps"], allow)
            steps = tuple(operator_from_plain(step, context=context, allowed=allow) for step in plain["steps"])
            return cls(
                name=plain["name"],
                source={name: parse_dtype(dtype) for name, dtype in plain["source"].items()},
                required=tuple(plain["required"]),
                steps=steps,
                features=tuple(plain["features"]),
                target=plain["target"],
            )
        except _NotAllowed as problem:
            raise PipelineError(problem.message, hint=problem.hint, where=str(path)) from None
        except (KeyError, TypeError, ValueError, HeadraceError) as problem:
            raise DataError(f"is damaged: {problem}", where=str(path)) from problem

    def _rows(
        self, rows: pl.DataFrame | pl.LazyFrame | Sequence[Mapping[str, Any]], needed: tuple[str, ...]
    ) -> pl.DataFrame:
        if isinstance(rows, pl.LazyFrame):
            frame = rows.collect()
        elif isinstance(rows, pl.DataFrame):
            frame = rows
        else:
            frame = self._from_dicts(rows)
        unknown = [c for c in frame.columns if c not in self.source]
        if unknown:
            near = difflib.get_close_matches(unknown[0], self.source, n=1)
            raise DataError(
                f"column(s) {', '.join(map(repr, unknown))} not known to pipeline {self.name!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"it knows {', '.join(self.source)}",
            )
        absent = [c for c in self.required if c in needed and (c not in frame.columns or frame[c].null_count())]
        if absent and frame.height:
            raise DataError(f"column(s) {', '.join(map(repr, absent))} must be there and not null in every row")
        for name, got in frame.schema.items():
            if not _fits(got, self.source[name]):
                expected = self.source[name]
                words = f"column {name!r} is {dtype_name(got)}, expected {dtype_name(expected)}"
                raise DataError(words, hint=_mending(name, got, expected))
        try:
            return frame.select(
                pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name)
                for name, dtype in self.source.items()
            )
        except pl.exceptions.PolarsError as problem:
            raise DataError(f"a column has a type that does not fit: {str(problem).splitlines()[0]}") from problem

    def _from_dicts(self, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        names = dict.fromkeys(name for row in rows for name in row)
        expected = {name: self.source.get(name) for name in names}
        # Of lists Polars would take elements of any type, and make null of those that it cannot turn.
        schema = {name: None if isinstance(dtype, pl.List) else dtype for name, dtype in expected.items()}
        floats = [name for name, dtype in expected.items() if _is_list_of_floats(dtype)]
        try:
            made = [{**row, **{name: _as_floats(row[name]) for name in floats if name in row}} for row in rows]
            frame = pl.DataFrame(made, schema=schema, strict=True, infer_schema_length=None)
            return frame.cast({name: self.source[name] for name in floats if _is_list_of_floats(frame.schema[name])})
        except (pl.exceptions.PolarsError, TypeError, ValueError) as problem:
            raise DataError(
                f"a value does not fit its column: {str(problem).splitlines()[0]}",
                hint="give dates and times as datetime values, numbers as numbers",
            ) from problem


def _is_list_of_floats(dtype: pl.DataType | None) -> bool:
    return isinstance(dtype, pl.List) and dtype.inner.is_float()


def _as_floats(values: Any) -> Any:
    """A list of floats without whole numbers as such, which JSON writes and Polars takes for another type."""
    whole = isinstance(values, list | tuple) and any(type(v) is int for v in values)
    return [float(v) if type(v) is int else v for v in values] if whole else values


class _NotAllowed(PipelineError):
    """A saved step of a module that was not allowed."""


def _refuse_others(steps: Sequence[Any], allow: Collection[str]) -> None:
    names = [name for step in steps for name in named_operators(step)]
    modules = sorted({name.partition(":")[0] for name in names if ":" in name} - set(allow))
    if modules:
        raise _NotAllowed(
            f"has steps of {', '.join(modules)}, which may not be imported",
            hint=f"if you trust them: {' '.join(f'--allow {m}' for m in modules)}, or "
            f"FittedPipeline.load(folder, allow={modules})",
        )


def _mending(name: str, got: pl.DataType, expected: pl.DataType) -> str:
    if isinstance(got, pl.Datetime) and isinstance(expected, pl.Datetime) and expected.time_zone is not None:
        how = "replace" if got.time_zone is None else "convert"
        return f"pl.col({name!r}).dt.{how}_time_zone({expected.time_zone!r})"
    return "cast it first"


def _fits(got: pl.DataType, expected: pl.DataType) -> bool:
    """Whether a cast keeps each value or fails: integers among each other, moments of one zone."""
    if isinstance(got, pl.List) and isinstance(expected, pl.List):
        return _fits(instance(got.inner), instance(expected.inner))
    if isinstance(got, pl.Datetime) and isinstance(expected, pl.Datetime):
        return got.time_zone == expected.time_zone
    return loses_nothing(got, expected) or (got.is_integer() and (expected.is_integer() or expected.is_float()))
