"""What a step is: a Transform computes columns from rows, a Learner learns one from statistics, a Join awaits a table.

Every operator is a frozen value whose fields are the whole of it. It never changes; learning gives a new value of
another type, so that "not fitted" cannot be written.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, NamedTuple, Self

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.engines.engine import Engine
from headrace.engines.kernels.lists import inner
from headrace.schemas.errors import PipelineError
from headrace.transforms.columns import Columns
from headrace.transforms.table import Table


class Accepts(NamedTuple):
    """Which dtypes an operator's `columns` may have, and how to say so."""

    test: Callable[[pl.DataType], bool]
    words: str


ANY = Accepts(lambda _: True, "any type")
NUMERIC = Accepts(lambda dtype: dtype.is_numeric() or dtype == pl.Boolean, "a number or a boolean")
TEMPORAL = Accepts(lambda dtype: dtype in (pl.Date, pl.Datetime), "a date or a datetime")
CATEGORY = Accepts(
    lambda dtype: dtype == pl.String or dtype.is_integer() or dtype in (pl.Boolean, pl.Date),
    "a string, an integer, a boolean or a date",
)


class Operator(BaseModel):
    """The part that all operators share: fields, the columns read and written, and the check against a schema.

    Fields of type `Columns` are expanded to names by `resolve`; `reads` and `writes` are meaningful from then on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accepts: ClassVar[Accepts] = ANY
    """The dtypes that a field called `columns` may name."""

    elementwise: ClassVar[bool] = False
    """Whether `columns` may also name lists, of which it takes each element as a value (see `elements`). `accepts` and
    `check` then see the elements' dtype."""

    instead_of_lists: ClassVar[str] = "ListAgg and ListLength make one value of each list"
    """What to do where it does not take lists."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns whose values matter to what this step does: by default those of all its fields."""
        chosen = (getattr(self, name) for name in type(self).model_fields)
        return tuple(dict.fromkeys(c for columns in chosen if isinstance(columns, Columns) for c in columns))

    @property
    def writes(self) -> tuple[str, ...]:
        """The columns it adds or replaces: by default what its field `output` makes of each of `columns`."""
        columns, output = getattr(self, "columns", None), getattr(self, "output", None)
        return named(output, columns) if isinstance(columns, Columns) and isinstance(output, str) else ()

    @property
    def drops(self) -> tuple[str, ...]:
        """The columns that are gone after it."""
        return ()

    @property
    def called(self) -> str:
        """What messages and the manifest call it."""
        return type(self).__name__

    @property
    def learns_jointly(self) -> bool:
        """Whether it learns one thing for all of `columns`; else one for each of them."""
        return False

    def resolve(self, schema: pl.Schema, reserved: frozenset[str] = frozenset()) -> Self:
        """The same step with its selectors expanded, checked against the columns it will meet.

        Raises
        ------
        PipelineError
            A column that is not there, of a dtype this operator does not take, or a selector that matches nothing.
        """
        expanded = {
            name: value.expand(schema, reserved)
            for name in type(self).model_fields
            if isinstance(value := getattr(self, name), Columns)
        }
        step = self.model_copy(update=expanded)
        needed = dict.fromkeys([*step.reads, *(c for columns in expanded.values() for c in columns)])
        missing = [c for c in needed if c not in schema]
        if missing:
            here = [n for n in schema.names() if not n.startswith("__")]
            near = list(dict.fromkeys(n for c in missing for n in get_close_matches(c, here, n=2)))
            raise PipelineError(
                f"{type(self).__name__} reads {', '.join(map(repr, missing))}, which the rows do not have here",
                hint=f"did you mean {' or '.join(near)}?" if near else f"the columns here are {', '.join(here)}",
            )
        own = [c for c in step.writes if c.startswith("__")]
        if own:
            raise PipelineError(
                f"{type(self).__name__} writes {own[0]!r}; names that begin with '__' are headrace's own"
            )
        twice = sorted({c for c in step.writes if step.writes.count(c) > 1})
        if twice:
            raise PipelineError(
                f"{type(self).__name__} would write column {twice[0]!r} more than once",
                hint="put {column} into the name of the output",
            )
        seen = _elements(schema, expanded.get("columns", ())) if self.elementwise else schema
        for column in expanded.get("columns", ()):
            nested = self.elementwise and isinstance(seen[column], pl.List | pl.Array)
            if nested or not self.accepts.test(seen[column]):
                lists = ", or lists of such" if self.elementwise and schema[column].is_nested() else ""
                raise PipelineError(
                    f"{type(self).__name__} takes {self.accepts.words}{lists}, got {schema[column]} in column "
                    f"{column!r}",
                    hint=self._instead_of(column, schema[column]),
                )
        step.check(seen)
        return step

    def _instead_of(self, column: str, dtype: pl.DataType) -> str:
        if isinstance(dtype, pl.Array):
            return f"pl.col({column!r}).arr.to_list() in a Derive makes a list of it"
        if not isinstance(dtype, pl.List):
            return ""
        return "lists are taken one level deep, of values" if self.elementwise else self.instead_of_lists

    def separate(self) -> tuple[Operator, ...]:
        """The independent steps that this resolved step falls into; each is planned, fitted and applied alone."""
        return (self,)

    def each_column(self) -> tuple[Self, ...]:
        """One step for each of `columns`, with the output that it has in this one."""
        return tuple(
            self.model_copy(update={"columns": Columns(names=(column,)), "output": output})
            for column, output in zip(getattr(self, "columns", ()), self.writes, strict=True)
        )

    def check(self, schema: pl.Schema) -> None:
        """Further checks of a resolved step; raises PipelineError. Most operators have none."""


class Ids(NamedTuple):
    """What the integers in an output column stand for; ids are below `cardinality` on every row."""

    cardinality: int
    pad_id: int | None = None
    null_id: int | None = None
    oov_ids: tuple[int, ...] = ()
    vocabulary: Table | None = None


class Transform(Operator):
    """A step that computes from rows alone."""

    filters: ClassVar[bool] = False
    """Whether it drops rows."""

    @property
    def ids(self) -> Mapping[str, Ids]:
        """The output columns that hold ids of categories or buckets, for embeddings and for the manifest."""
        return {}

    @property
    def serves_from(self) -> tuple[str, ...]:
        """The columns whose values matter on rows of no split: new ones, when the fitted pipeline serves."""
        return self.reads

    @abstractmethod
    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """The rows after this step. Rows keep their order; only a step that `filters` loses any."""


class Window(Transform):
    """A Transform over the other rows of the same entity.

    `apply` is right only on a frame that holds every row of each entity, in any order; the planner brings the rows of
    an entity together first. Rows of equal time count in the order of the frame, which is that of the source.
    """

    sees_itself: ClassVar[bool] = False
    """Whether a row's own values are in what it gets: where they are those of the target, it gives the label away."""

    @property
    @abstractmethod
    def entity(self) -> tuple[str, ...]:
        """The columns whose values make one entity."""


class Selection(Window):
    """A Window that keeps some of the rows of each entity; those that stay keep their order."""

    filters: ClassVar[bool] = True

    @abstractmethod
    def answer(self, frame: pl.LazyFrame, asked: str, engine: Engine) -> pl.LazyFrame:
        """The rows of which the column `asked` is true, each with what it gets where it stays, in their order.

        It is for serving: a row that is asked for is answered, also where `apply` would drop it. The other rows of
        the frame are its past, and no row that is later than it counts.
        """


Order = tuple[tuple[str, bool], ...]
"""Columns to sort by, the first counts most; True for those whose greatest value comes first."""


class Learner(Operator):
    """A step that has statistics: measure every part of the data, merge what was measured, learn a Transform.

    Laws, tested for each: `merge` is associative and commutative, and what is learned does not depend on how the rows
    were cut into parts.
    """

    by_unit: ClassVar[bool] = False
    """Whether floats are summed. Such statistics are measured per unit (a fixed run of row groups), never per
    partition, and carry the unit's number in a column `__unit`; `learn` adds them up in that order."""

    @property
    def measured(self) -> tuple[str, ...]:
        """The columns `measure` reads; empty where there is nothing to learn from data."""
        return self.reads

    @abstractmethod
    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """One small table of statistics of these rows; they are rows of the training split."""

    @abstractmethod
    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        """Several tables of statistics as one with the same columns."""

    @abstractmethod
    def learn(self, total: pl.DataFrame) -> Transform:
        """The fitted step. `total` has no rows where there was nothing to measure."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The columns of its statistics that say which group a row is of, where they have rows for each group.

        Such statistics grow with the data, so they are merged bucket by bucket of the groups' hashes. None: however
        much data there is, the statistics stay small.
        """
        return ()

    @property
    def order(self) -> Order:
        """The order that `learn` puts its rows in, none of them null there: it need not if they have come so.

        The rows of all buckets are brought into it on disk where they are many.
        """
        return ()

    def settle(self, table: pl.DataFrame) -> pl.DataFrame:
        """What `learn` still needs of statistics that are complete for the groups in them.

        A law, tested for each: `learn` makes the same of all statistics as of those that were settled, whatever
        groups were settled together, and also when they are settled again.
        """
        return table


class Join(Operator):
    """A step that needs a named table of the source beside the rows."""

    table: str

    @abstractmethod
    def bind(self, tables: Mapping[str, Table]) -> Transform:
        """The step with its table in it; raises PipelineError where the table does not fit."""


UNIT = "__unit"
"""Int64 in the statistics of `by_unit` learners: which unit of the source they were measured on."""


def in_unit_order(total: pl.DataFrame) -> pl.DataFrame:
    """The statistics of a `by_unit` learner in the order in which they are added up."""
    return total.sort(UNIT, maintain_order=True)


def concatenated(tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
    """The merge of learners that keep each unit's statistics apart."""
    return pl.concat(tables, how="vertical")


def named(template: str, columns: Columns) -> tuple[str, ...]:
    """The output names a template gives: `{column}` stands for the input's name."""
    return tuple(template.replace("{column}", c) for c in columns)


def describe(step: Operator) -> str:
    """A step in one line for messages and the plan: its name and its first columns."""
    columns = list(step.writes or step.reads)
    shown = ", ".join(columns[:3]) + (f", ... {len(columns)} columns" if len(columns) > 3 else "")
    return f"{step.called}({shown})"


def _elements(schema: pl.Schema, columns: Iterable[str]) -> pl.Schema:
    """The schema with the dtype of their elements for these columns, where they are lists."""
    elements = {c: inner(dtype) for c in columns if isinstance(dtype := schema[c], pl.List)}
    return pl.Schema({**schema, **elements})


def to_plain(step: Operator, context: Any = None) -> dict[str, Any]:
    """A step as `{"Name": {fields}}`, the form of YAML and of saved pipelines; `registry` reads it.

    An operator that headrace does not ship goes by its import path, `package.module:Class`.
    """
    kind = type(step)
    shipped = kind.__module__.startswith("headrace.")
    name = kind.__name__ if shipped else f"{kind.__module__}:{kind.__qualname__}"
    return {name: step.model_dump(mode="json", exclude_defaults=True, context=context)}
