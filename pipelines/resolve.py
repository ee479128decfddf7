"""A pipeline against its schemas, before any row is read: every step's columns and types, and when it can run.

Passes. A step that learns from data, or needs the other rows of an entity, needs a pass over the rows before it can be
applied. A column's stage is the number of passes that must be over before it can be computed; raw columns have stage 0.
All that can be measured at a stage is measured in one pass, however many learners and windows there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

import polars as pl

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Engine
from headrace.pipelines import leaks
from headrace.pipelines.continuing import NO_VOCABULARIES, Vocabularies, continuing
from headrace.pipelines.model import Pipeline
from headrace.schemas.errors import HeadraceError, PipelineError
from headrace.schemas.names import ROW, SPLIT
from headrace.transforms.base import UNIT, Ids, Join, Learner, Operator, Transform, Window, describe
from headrace.transforms.elements import inside, parts
from headrace.transforms.lists import ListSlice
from headrace.transforms.narrow import ReduceDtypes, declared_ranges
from headrace.transforms.sequences import Sequence
from headrace.transforms.shape import Cast, Rename
from headrace.transforms.table import Table

Known = TypeVar("Known")


@dataclass(frozen=True)
class Placed:
    """A step with its columns known and its place in the passes.

    `step` is as the pipeline has it, with tables bound; `form` is what is applied, for a Learner the one learned from
    nothing: it has the columns and types of the real one. `pass_number` is the pass that measures a learner or collects
    the rows of a window, None for the rest; the step can be applied in passes >= `stage`.
    """

    index: int
    number: int
    step: Transform | Learner
    form: Transform
    stage: int
    pass_number: int | None

    @property
    def label(self) -> str:
        """The step in messages: its number in the pipeline, its name, its first columns."""
        return f"step {self.number} {describe(self.step)}"

    @property
    def learns(self) -> bool:
        return isinstance(self.step, Learner)

    @property
    def learner(self) -> Learner:
        """The step of a place that learns."""
        assert isinstance(self.step, Learner)
        return self.step

    @property
    def collects(self) -> bool:
        return isinstance(self.step, Window)

    @property
    def gathered(self) -> tuple[str, ...]:
        """The columns its pass must bring along."""
        if isinstance(self.step, Learner):
            return self.step.measured
        return tuple(dict.fromkeys((*self.step.entity, *self.step.reads))) if isinstance(self.step, Window) else ()


@dataclass(frozen=True)
class Resolved:
    """A pipeline whose columns are all known. `passes` counts the passes before the one that applies everything."""

    pipeline: Pipeline
    source: pl.Schema
    steps: tuple[Placed, ...]
    split_index: int
    passes: int
    output: pl.Schema
    features: tuple[str, ...]

    @property
    def published(self) -> tuple[str, ...]:
        """The published columns in their order: label, features, kept columns."""
        return (self.pipeline.target, *self.features, *self.pipeline.output.keep)

    def in_pass(self, number: int) -> tuple[Placed, ...]:
        """The learners and windows that a pass serves."""
        return tuple(s for s in self.steps if s.pass_number == number)


class _Stages:
    """Which stage each column and the set of rows have, while the steps are walked through in order."""

    def __init__(self, columns: tuple[str, ...], first: int) -> None:
        self.columns = dict.fromkeys(columns, 0)
        self.rows = first
        self.last_pass = first - 1
        self.passed = False

    def of(self, names: tuple[str, ...]) -> int:
        return max((self.columns.get(name, 0) for name in names), default=0)

    def place(self, step: Transform | Learner, form: Transform) -> tuple[int, int | None]:
        """The stage at which the step can be applied, and the pass it needs."""
        pass_number: int | None = None
        stage = self.of(form.reads)
        if isinstance(step, Learner) and step.measured:
            pass_number = max(self.rows, self.of(step.measured))
            stage = max(stage, pass_number + 1)
        elif isinstance(step, Window):
            pass_number = max(self.rows, stage)
            stage = pass_number + 1
        if pass_number is not None:
            self.passed, self.last_pass = True, max(self.last_pass, pass_number)
        if form.filters:
            # Learners before this filter have to see the rows it drops, so it waits until they have.
            stage = max(stage, self.rows, self.last_pass + 1 if self.passed else 0)
            self.rows = stage
        for name in form.drops:
            self.columns.pop(name, None)
        self.columns.update(dict.fromkeys(form.writes, stage))
        return stage, pass_number


def resolve(pipeline: Pipeline, tables: Mapping[str, Table], vocabularies: Vocabularies = NO_VOCABULARIES) -> Resolved:
    """Resolve every step against the columns it will meet.

    Parameters
    ----------
    pipeline
        Its contract gives the columns of the source.
    tables
        The tables of the source by name; empty ones of the right schema do to check a pipeline.
    vocabularies
        Those that steps continue; without them each begins anew.

    Raises
    ------
    PipelineError
        A step that does not fit; the message names its number, the column, what it got and what it expected.
    """
    engine: Engine = CpuEngine()
    source = pl.Schema(pipeline.contract.dtypes)
    frame = pl.DataFrame(schema={**source, ROW: pl.Int64()})
    reserved = frozenset({pipeline.target, SPLIT, ROW, *pipeline.split.reads, *pipeline.contract.primary_key})
    stages = _Stages(tuple(frame.columns), first=1 if pipeline.contract.unique_keys() else 0)
    placed: list[Placed] = []
    split_index: int | None = None
    tainted: leaks.Tainted = {pipeline.target: ""}
    ranges = declared_ranges(pipeline.contract.columns)
    for number, declared in enumerate(pipeline.steps, 1):
        with _Naming(number, declared):
            bound = declared.bind(tables) if isinstance(declared, Join) else declared
            if isinstance(bound, ReduceDtypes):
                bound = bound.within(ranges, frame.schema)
            found = parts(bound, frame.schema, reserved)
        for step in found:
            assert isinstance(step, Transform | Learner)
            if split_index is None and (step.measured if isinstance(step, Learner) else isinstance(step, Window)):
                split_index, frame = len(placed), _assign_split(pipeline, frame, engine)
            with _Naming(number, declared):
                form = learned_from_nothing(step, frame.lazy(), engine) if isinstance(step, Learner) else step
                step = continuing(step, frame.schema, vocabularies)  # after it: what goes on is not read for a form
                stage, pass_number = stages.place(step, form)
                ranges = _carried(ranges, form)
                tainted = leaks.after(tainted, step, form, number, frame.schema, engine)
                frame = engine.collect([form.apply(frame.lazy(), engine)])[0]
                placed.append(Placed(len(placed), number, step, form, stage, pass_number))
    if split_index is None:
        split_index, frame = len(placed), _assign_split(pipeline, frame, engine)
    output, features = _output(pipeline, frame.schema)
    _refuse_leaks(tainted, features, pipeline.target)
    passes = 1 + max(stages.last_pass, 0)
    return Resolved(pipeline, source, tuple(placed), split_index, passes, output, features)


def learned_from_nothing(step: Learner, frame: pl.LazyFrame, engine: Engine) -> Transform:
    """The fitted form of a learner that has seen no row: right in its columns and types, not in its values."""
    partial = step.measure(frame, engine)
    if step.by_unit:
        partial = partial.with_columns(pl.lit(0, pl.Int64).alias(UNIT))
    total = engine.collect([step.merge([partial])])[0]
    return step.learn(total)


def all_ids(forms: tuple[Transform, ...], published: tuple[str, ...]) -> dict[str, Ids]:
    """What the ids in the published columns stand for, by column; the last step that wrote a column counts."""
    found: dict[str, Ids] = {}
    for form in forms:
        found = {**_carried(found, form), **form.ids}
    return {column: ids for column, ids in found.items() if column in published}


def _carried(found: Mapping[str, Known], form: Transform) -> dict[str, Known]:
    """What is known of columns, after a step: of those that it leaves alone, or gives the values of another one."""
    changed = {*form.writes, *form.drops}
    same = _same_values(inside(form))
    kept = {column: known for column, known in found.items() if column not in changed}
    return {**kept, **{new: found[old] for new, old in same.items() if old in found}}


def _same_values(form: Operator) -> dict[str, str]:
    """The columns that hold the values of another one, or of themselves before the step."""
    if isinstance(form, Rename):
        return {new: old for old, new in form.names.items()}
    if isinstance(form, ListSlice | Sequence):  # lists of ids; what pads them has to be one
        return dict(zip(form.writes, form.columns, strict=True)) if form.pad in (None, 0) else {}
    whole = isinstance(form, ReduceDtypes) or (isinstance(form, Cast) and "Int" in form.dtype)
    return {c: c for c in form.writes} if whole else {}


def _assign_split(pipeline: Pipeline, frame: pl.DataFrame, engine: Engine) -> pl.DataFrame:
    missing = [c for c in pipeline.split.reads if c not in frame.schema]
    if missing:
        raise PipelineError(
            f"the split reads {', '.join(map(repr, missing))}, which is not there before the first step that learns",
            hint=f"the columns there are {', '.join(c for c in frame.columns if c != ROW)}",
            where="split",
        )
    return engine.collect([pipeline.split.assign(frame.lazy(), frame.schema, engine)])[0]


def _output(pipeline: Pipeline, schema: pl.Schema) -> tuple[pl.Schema, tuple[str, ...]]:
    output = pipeline.output
    taken = {pipeline.target, *output.keep}
    reserved = taken | {*pipeline.split.reads, *pipeline.contract.primary_key}
    for name, what in ((pipeline.target, "target"), *((k, "output.keep") for k in output.keep)):
        if name not in schema:
            raise PipelineError(
                f"{what} {name!r} is not among the columns after the last step",
                hint=_near(name, schema),
                where=what,
            )
    if output.features is None:
        names = tuple(
            c
            for c, dtype in schema.items()
            if c not in reserved and not c.startswith("__") and (dtype.is_numeric() or dtype == pl.Boolean)
        )
    else:
        names = output.features.expand(schema, reserved).names
        unknown = [c for c in names if c not in schema]
        if unknown:
            raise PipelineError(
                f"feature(s) {', '.join(map(repr, unknown))} not among the columns after the last step",
                hint=_near(unknown[0], schema),
                where="output.features",
            )
        both = sorted(set(names) & taken)
        if both:
            raise PipelineError(f"{', '.join(both)} cannot be a feature and the target or kept", where="output")
    if not names:
        raise PipelineError("there is no feature to publish", where="output.features")
    label = schema[pipeline.target]
    if not (label.is_numeric() or label == pl.Boolean):
        raise PipelineError(f"the target must be a number or a boolean, got {label}", where=f"target {pipeline.target}")
    published = (pipeline.target, *names, *output.keep)
    return pl.Schema({c: schema[c] for c in published}), names


def _refuse_leaks(tainted: leaks.Tainted, features: tuple[str, ...], target: str) -> None:
    for feature in features:
        if feature in tainted:
            raise PipelineError(
                f"feature {feature!r} is made of the target {target!r}",
                hint="TargetEncode gives a row the statistics of others; or leave the column out of output.features",
                where=tainted[feature],
            )


def _near(name: str, schema: pl.Schema) -> str:
    """The columns that may have been meant, else all there are."""
    columns = [c for c in schema.names() if not c.startswith("__")]
    near = get_close_matches(name, columns, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"the columns there are {', '.join(columns)}"


class _Naming:
    """Say in every error which step it came from."""

    def __init__(self, number: int, step: Operator) -> None:
        self.where = f"step {number} {describe(step)}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, HeadraceError):
            if not error.where:
                error.where = self.where
            elif self.where not in error.where:
                error.where = f"{self.where}: {error.where}"
        elif isinstance(error, pl.exceptions.PolarsError):
            first = str(error).strip().splitlines()[0]
            raise PipelineError(f"cannot be computed from these columns: {first}", where=self.where) from error
