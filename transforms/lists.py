"""Columns of lists: ListLength, ListSlice and ListAgg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import polars as pl
from pydantic import Field, field_validator, model_validator

from headrace.engines.engine import Engine
from headrace.engines.kernels.lists import Lists, Reduce, Slice, Statistic, inner
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import NUMERIC, Accepts, Transform
from headrace.transforms.columns import Columns
from headrace.transforms.literal import Value, literal

LIST = Accepts(lambda dtype: isinstance(dtype, pl.List), "a list")
LIST_OF_NUMBERS = Accepts(
    lambda dtype: isinstance(dtype, pl.List) and NUMERIC.test(inner(dtype)) and not inner(dtype).is_decimal(),
    "a list of numbers or booleans",
)

Place = Annotated[int, Field(ge=-(2**31) + 1, le=2**31 - 1)]


class ListLength(Transform):
    """How many elements a list has, null ones and NaN too.

    Parameters
    ----------
    columns
        Lists of anything. Output Int32; 0 for an empty list, null for null.
    output
        Name of the result; `{column}` stands for the input's.

    Notes
    -----
    One pass, no state.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> lists = pl.LazyFrame({"x": [["a", None], [], None]})
    >>> ListLength(columns="x").apply(lists, CpuEngine()).collect()["x_length"].to_list()
    [2, 0, None]
    """

    accepts: ClassVar[Accepts] = LIST

    columns: Columns
    output: str = "{column}_length"

    def check(self, schema: pl.Schema) -> None:
        _read_before_written(self, list(zip(self.columns, self.writes, strict=True)))

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        for column, output in zip(self.columns, self.writes, strict=True):
            frame = engine.kernel(frame, Lists(column, Reduce("length"), output))
        return frame


class ListSlice(Transform):
    """A part of each list, as Python's `x[start:end]`; with `pad` of equal length in every row.

    Parameters
    ----------
    columns
        Lists of anything. The type stays; null elements and NaN stay; null gives null.
    start, end
        Where the part begins, and the first place after it. Negative places count from the end of the list, so that
        `start=-3` takes the last three elements. Places beyond the list give fewer elements, or none.
    pad
        What follows until each list has as many elements as the part is wide; of the elements' type, which is a string,
        an integer, a float or a boolean. Null and empty lists become all padding: keep their ListLength beside them.
        `start` and `end` must count from the same side, or `start` from the end with no `end`.
    output
        Name of the result; `{column}` stands for the input's.

    Raises
    ------
    PipelineError
        A part that is empty or everything, an `end` from the beginning with a `start` from the end, `pad` without a
        fixed width, or one that the elements' type cannot hold.

    Notes
    -----
    One pass, no state.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> lists = pl.LazyFrame({"x": [[1, 2, 3], [4], None]})
    >>> ListSlice(columns="x", end=2, pad=0).apply(lists, CpuEngine()).collect()["x"].to_list()
    [[1, 2], [4, 0], [0, 0]]
    """

    accepts: ClassVar[Accepts] = LIST

    columns: Columns
    start: Place = 0
    end: Place | None = None
    pad: Value | None = None
    output: str = "{column}"

    @model_validator(mode="after")
    def _takes_a_part(self) -> Self:
        if self.start == 0 and self.end is None:
            raise ValueError("expected `start`, `end` or both: this takes every list whole")
        Slice(self.start, self.end, self.pad)
        return self

    def check(self, schema: pl.Schema) -> None:
        _read_before_written(self, list(zip(self.columns, self.writes, strict=True)))
        for column in self.columns if self.pad is not None else ():
            element = inner(schema[column])
            try:
                if not (element == pl.String or element == pl.Boolean or element.is_integer() or element.is_float()):
                    raise ValueError(f"got lists of {element}, expected a string, an integer, a float or a boolean")
                literal(self.pad, element)  # type: ignore[arg-type]
            except ValueError as problem:
                raise PipelineError(
                    f"ListSlice(pad={self.pad!r}) does not fit column {column!r} ({schema[column]}): {problem}"
                ) from None

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        for column, output in zip(self.columns, self.writes, strict=True):
            pad = None if self.pad is None else literal(self.pad, inner(schema[column]))
            frame = engine.kernel(frame, Lists(column, Slice(self.start, self.end, pad), output))
        return frame


class ListAgg(Transform):
    """One number for each list: its sum, mean, smallest or largest element, or how many it has.

    Parameters
    ----------
    columns
        Lists of integers, floats or booleans.
    statistics
        `count` (elements that are not null; Int32), `sum` (Int64 of integers and booleans, UInt64 of UInt64, Float64 of
        floats), `mean` (Float64), `min` and `max` (the elements' dtype), `length` (null elements too; Int32).
    output
        Names of the results; `{column}` and `{statistic}` are filled in.

    Notes
    -----
    Null lists give null. Null elements are left out; where nothing is left, `sum` is 0, and `mean`, `min` and `max` are
    null. NaN makes `sum` and `mean` NaN; `min` and `max` leave it out, and are null where nothing
    else is there. Sums of integers wrap around beyond 64 bits. Sums of floats are added in Float64, in the order of the
    elements. One pass over the elements for each statistic.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> lists = pl.LazyFrame({"x": [[1, 2, None], [], None]})
    >>> ListAgg(columns="x", statistics="sum").apply(lists, CpuEngine()).collect()["x_sum"].to_list()
    [3, 0, None]
    """

    accepts: ClassVar[Accepts] = LIST_OF_NUMBERS

    columns: Columns
    statistics: tuple[Statistic, ...] = Field(("mean",), min_length=1)
    output: str = "{column}_{statistic}"

    @field_validator("statistics", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if len(set(self.statistics)) != len(self.statistics):
            raise ValueError(f"statistics named twice: {', '.join(self.statistics)}")
        if len(self.statistics) > 1 and "{statistic}" not in self.output:
            raise ValueError("several statistics need '{statistic}' in output")
        return self

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(output for _, _, output in self._outputs)

    @property
    def _outputs(self) -> tuple[tuple[str, Statistic, str], ...]:
        return tuple(
            (column, statistic, self.output.replace("{column}", column).replace("{statistic}", statistic))
            for column in self.columns
            for statistic in self.statistics
        )

    def check(self, schema: pl.Schema) -> None:
        _read_before_written(self, [(column, output) for column, _, output in self._outputs])

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        for column, statistic, output in self._outputs:
            frame = engine.kernel(frame, Lists(column, Reduce(statistic), output))
        return frame


def _read_before_written(step: Transform, outputs: Sequence[tuple[str, str]]) -> None:
    """Refuse a result in the place of a column that is read only after it."""
    for number, (_, output) in enumerate(outputs, 1):
        if any(output == column for column, _ in outputs[number:]):
            raise PipelineError(
                f"{type(step).__name__} would write over column {output!r} before it is read",
                hint="give the result another name in `output`",
            )
