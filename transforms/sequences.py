"""Sequence: what happened to an entity, as lists in the order of time."""

from __future__ import annotations

from typing import ClassVar, Final, Self

import polars as pl
from pydantic import Field, model_validator

from headrace.engines.engine import Engine
from headrace.engines.kernels.lists import Lists, Slice
from headrace.schemas.errors import PipelineError
from headrace.transforms import history
from headrace.transforms.base import Accepts, Selection
from headrace.transforms.columns import Columns
from headrace.transforms.literal import Value, literal


class Sequence(Selection):
    """Make one row of all rows of an entity: its last one, with lists of its last values in the order of time.

    Parameters
    ----------
    columns
        Strings, integers, floats, booleans, dates or datetimes without a zone (libcudf has no lists of others). The
        output is a list of that dtype; null and NaN stay in it.
    by
        The columns that make an entity: strings, integers, booleans or dates.
    order
        What the rows of an entity are ordered by: a number, a date or a datetime. Equal ones stand in source order.
    max_length
        How many values a list has at most; the last ones stay.
    pad
        What follows until each list has `max_length` values; of the elements' type, which is a string, an integer, a
        float or a boolean. None: lists are as long as there are values.
    output
        Name of the list; `{column}` stands for the input's.

    Raises
    ------
    PipelineError
        An entity, an order or a column of another type, or a `pad` that the elements' type cannot hold.

    Notes
    -----
    The last row of an entity stays, in its place and with its values in all other columns, so that a list ends with the
    row's own value: a list of the target is refused as a feature. Lists are published without nulls in them only: put
    `FillNull` before it. All other rows are dropped and counted as filtered.
    A row without an entity or without a time belongs to no list and is dropped. An entity is whole whatever partitions
    its rows are in. All splits count, and the split of a row is that of the entity's last one.
    When the fitted pipeline serves, each row that is asked for gets the list that ends with it, over the history and
    the rows asked before it; a row without an entity or a time gets null, or nothing but `pad`.
    Cost: the columns it reads move once; one sort by time, one grouping by entity, memory for the values once more.
    The twin of NVTabular's `Groupby` with `list` (which looks no further than its partition) and `ListSlice`.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> frame = pl.LazyFrame({"who": ["a", "b", "a", "a"], "at": [3, 1, 1, 2], "item": [30, 5, 10, 20]})
    >>> step = Sequence(columns="item", by="who", order="at", max_length=2, pad=0)
    >>> step.apply(frame, CpuEngine()).collect().rows()
    [('a', 3, 30, [20, 30]), ('b', 1, 5, [5, 0])]
    """

    sees_itself: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = Accepts(
        lambda dtype: (
            (dtype.is_integer() or dtype.is_float() or dtype in (pl.Boolean, pl.String, pl.Date))
            or (isinstance(dtype, pl.Datetime) and dtype.time_zone is None)
        ),
        "a string, an integer, a float, a boolean, a date or a datetime without a zone",
    )

    columns: Columns
    by: Columns
    order: str
    max_length: int = Field(ge=1, le=2**31 - 1)
    pad: Value | None = None
    output: str = "{column}_list"

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if "{column}" not in self.output and (self.columns.selector or len(self.columns) > 1):
            raise ValueError(f"several columns cannot all be called {self.output!r}; write '{{column}}' in output")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.columns, *self.by, self.order]))

    @property
    def entity(self) -> tuple[str, ...]:
        return self.by.names

    def check(self, schema: pl.Schema) -> None:
        history.check_entity(self, self.by, schema)
        history.check_order(self, self.order, schema)
        for column in self.columns if self.pad is not None else ():
            dtype = schema[column]
            try:
                if dtype.is_temporal():
                    raise ValueError("expected a string, an integer, a float or a boolean")
                literal(self.pad, dtype)  # type: ignore[arg-type]
            except ValueError as problem:
                raise PipelineError(
                    f"Sequence(pad={self.pad!r}) does not fit column {column!r} ({dtype}): {problem}"
                ) from None

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        rows = history.numbered(frame, self.by, self.order)
        needed = [*self.reads, history.INDEX]
        ordered = rows.filter(history.PLACED).select(needed).sort(self.order, maintain_order=True)
        lists = ordered.group_by(self.by.names).agg(
            pl.col(history.INDEX).last(), *(pl.col(c).alias(_list(c)) for c in self.columns)
        )
        last = rows.join(lists.drop(self.by.names), on=history.INDEX, how="inner", maintain_order="left")
        return history.forgotten(self._cut(last, frame.collect_schema(), engine))

    def answer(self, frame: pl.LazyFrame, asked: str, engine: Engine) -> pl.LazyFrame:
        by = self.by.names
        rows = history.numbered(frame, self.by, self.order)
        ordered = rows.filter(history.PLACED).sort(self.order, maintain_order=True).with_row_index(_PLACE)
        ordered = ordered.with_columns(pl.int_range(pl.len()).over(by).alias(_NUMBER))
        back = ordered.select(pl.int_range(pl.len()).alias(_BACK)).head(self.max_length)
        ends = ordered.filter(asked).select(*by, pl.col(_NUMBER).alias(_END), pl.col(_PLACE).alias(_LAST))
        wanted = ends.join(back, how="cross").with_columns((pl.col(_END) - pl.col(_BACK)).alias(_NUMBER))
        values = ordered.select(_NUMBER, _PLACE, *by, *(pl.col(c).alias(_value(c)) for c in self.columns))
        found = wanted.join(values, on=[*by, _NUMBER], how="inner").sort(_PLACE)
        listed = found.group_by(_LAST).agg(pl.col(_value(c)).alias(_list(c)) for c in self.columns)
        places = ordered.filter(asked).select(history.INDEX, pl.col(_PLACE).alias(_LAST))
        answers = places.join(listed, on=_LAST, how="inner").drop(_LAST)
        joined = rows.filter(asked).join(answers, on=history.INDEX, how="left", maintain_order="left")
        return history.forgotten(self._cut(joined, frame.collect_schema(), engine))

    def _cut(self, frame: pl.LazyFrame, schema: pl.Schema, engine: Engine) -> pl.LazyFrame:
        """The lists with no more than the last values, under their names."""
        for column, output in zip(self.columns, self.writes, strict=True):
            pad = None if self.pad is None else literal(self.pad, schema[column])
            frame = engine.kernel(frame, Lists(_list(column), Slice(start=-self.max_length, pad=pad), output))
        return frame.drop(_list(c) for c in self.columns)


_PLACE: Final = "__sequence_place"
_NUMBER: Final = "__sequence_number"
_BACK: Final = "__sequence_back"
_END: Final = "__sequence_end"
_LAST: Final = "__sequence_last"


def _list(column: str) -> str:
    return f"__sequence:{column}"


def _value(column: str) -> str:
    return f"__sequence_value:{column}"
