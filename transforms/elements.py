"""Columns of lists, element by element: any step that takes values one by one, and any learner of such a step.

`parts` is what a step falls into once its columns are known: its flat columns stay with it, each column of lists
becomes an `OnElements`, or a `FromElements` where there is something to learn.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Final, TypeVar

import polars as pl
from pydantic import InstanceOf, PlainSerializer, SerializationInfo, field_validator

from headrace.engines.engine import Engine
from headrace.engines.kernels.elements import Elements
from headrace.engines.kernels.lists import Lists, Reduce
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Ids, Learner, Operator, Order, Transform, Window, named, to_plain
from headrace.transforms.columns import Columns

AnyStep = TypeVar("AnyStep", bound=Operator)


def _saved(step: Operator, info: SerializationInfo) -> dict[str, Any]:
    return to_plain(step, info.context)


class _OfStep(Operator):
    """Whatever is said of the step inside."""

    step: Annotated[InstanceOf[Operator], PlainSerializer(_saved)]

    @property
    def called(self) -> str:
        return self.step.called

    @property
    def reads(self) -> tuple[str, ...]:
        return self.step.reads

    @property
    def writes(self) -> tuple[str, ...]:
        return self.step.writes

    @property
    def drops(self) -> tuple[str, ...]:
        return self.step.drops


class OnElements(_OfStep, Transform):
    """Apply a step to each element of lists.

    Parameters
    ----------
    step
        What a step makes of values. Those of its `columns` that are lists are taken element by element and become lists
        of the same lengths; the others are taken as they are.

    Raises
    ------
    PipelineError
        Elements of a type that the step does not take, lists among them.

    Notes
    -----
    Pipelines name the step alone: of a column of lists it becomes this. A null list stays null, an empty one empty; a
    null element is to the step what null is in a column. Cost: that of the step on as many rows as there are elements;
    they are not copied for it.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> from headrace.transforms.numeric import Clip
    >>> lists = pl.LazyFrame({"x": [[1, None, 30], [], None]})
    >>> OnElements(step=Clip(columns=["x"], upper=9)).apply(lists, CpuEngine()).collect()["x"].to_list()
    [[1, None, 9], [], None]
    """

    step: Annotated[InstanceOf[Transform], PlainSerializer(_saved)]

    @field_validator("step")
    @classmethod
    def _keeps_the_rows(cls, step: Transform) -> Transform:
        if step.filters or isinstance(step, Window | OnElements):
            raise ValueError(f"{step.called} does not take values one by one")
        return step

    @property
    def serves_from(self) -> tuple[str, ...]:
        return self.step.serves_from

    @property
    def ids(self) -> Mapping[str, Ids]:
        return self.step.ids

    def check(self, schema: pl.Schema) -> None:
        self.step.resolve(schema)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        for column, part in _each(self.step):
            if isinstance(schema[column], pl.List):
                frame = engine.kernel(frame, Elements(column, part.writes, part.apply))
            else:
                frame = part.apply(frame, engine)
        return frame


class FromElements(_OfStep, Learner):
    """Learn a step from the elements of lists, each of which counts as a row of its own; see OnElements."""

    step: Annotated[InstanceOf[Learner], PlainSerializer(_saved)]

    @property
    def by_unit(self) -> bool:  # type: ignore[override]  # of the class in all others, whose step is always the same
        return self.step.by_unit

    @property
    def measured(self) -> tuple[str, ...]:
        return self.step.measured

    @property
    def groups(self) -> tuple[str, ...]:
        return self.step.groups

    @property
    def order(self) -> Order:
        return self.step.order

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        tables = [
            part.measure(
                elements_of(frame, column, engine)
                if isinstance(schema[column], pl.List)
                else frame.select(pl.col(column)),
                engine,
            )
            for column, part in _each(self.step)
        ]
        return tables[0] if len(tables) == 1 else self.step.merge(tables)

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return self.step.merge(tables)

    def settle(self, table: pl.DataFrame) -> pl.DataFrame:
        return self.step.settle(table)

    def learn(self, total: pl.DataFrame) -> Transform:
        return OnElements(step=self.step.learn(total))


def parts(declared: Operator, schema: pl.Schema, reserved: Collection[str] = frozenset()) -> tuple[Operator, ...]:
    """The independent steps that a declared one falls into on these columns, resolved.

    Raises
    ------
    PipelineError
        A step that does not fit the columns, or does not take those of lists.
    """
    step = declared.resolve(schema, frozenset(reserved))
    columns: Columns | None = getattr(step, "columns", None)
    lists = [c for c in columns if isinstance(schema[c], pl.List)] if step.elementwise and columns else []
    if not lists or columns is None:
        return step.separate()
    if len(step.writes) < len(columns):
        raise PipelineError(
            f"{step.called} makes one value of {len(columns)} columns; {lists[0]!r} has lists, of any length each"
        )
    if step.learns_jointly:
        return (_wrapped(step),)
    flat = tuple(c for c in columns if c not in lists)
    found = [
        *(_of(step, flat).separate() if flat else ()),
        *(_wrapped(part) for c in lists for part in _of(step, (c,)).separate()),
    ]
    for number, part in enumerate(found, 1):
        if over := {*part.writes} & {c for later in found[number:] for c in later.reads}:
            raise PipelineError(
                f"{step.called} would write over column {min(over)!r} before it is read",
                hint="give the results other names in `output`",
            )
    return tuple(found)


def inside(step: Operator) -> Operator:
    """The step itself, without what takes it element by element."""
    return step.step if isinstance(step, OnElements | FromElements) else step


def elements_of(frame: pl.LazyFrame, column: str, engine: Engine) -> pl.LazyFrame:
    """The elements of all lists of a column, under its name; of null and empty lists there is none."""
    sized = engine.kernel(frame.select(pl.col(column)), Lists(column, Reduce("length"), _LENGTH))
    # Exploded, a list without elements would be a null.
    return sized.filter(pl.col(_LENGTH) > 0).select(pl.col(column)).explode(column, empty_as_null=True)


def _wrapped(step: Operator) -> Operator:
    if isinstance(step, Learner):
        return FromElements(step=step)
    assert isinstance(step, Transform)
    return OnElements(step=step)


def _each(step: AnyStep) -> list[tuple[str, AnyStep]]:
    """Each of a step's columns, and the step on that column alone."""
    columns: Sequence[str] = getattr(step, "columns", Columns(names=step.reads)).names
    return [(columns[0], step)] if len(columns) == 1 else [(c, _of(step, (c,))) for c in columns]


def _of(step: AnyStep, columns: tuple[str, ...]) -> AnyStep:
    """A step on some of its columns; what each of them becomes keeps its name."""
    chosen = Columns(names=columns)
    update: dict[str, object] = {"columns": chosen}
    if len(columns) == 1 and isinstance(output := getattr(step, "output", None), str):
        update["output"] = named(output, chosen)[0]
    return step.model_copy(update=update)


_LENGTH: Final = "__elements_length"
