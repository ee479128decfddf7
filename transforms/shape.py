"""The shape of a row: Cast, Rename, Drop and Derive."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import polars as pl
from pydantic import field_validator, model_validator

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Transform
from headrace.transforms.columns import Columns
from headrace.transforms.dtype import DTYPES, castable, dtype_name
from headrace.transforms.expression import Expression


class Cast(Transform):
    """Turn columns into another type.

    Parameters
    ----------
    columns
        Numbers and booleans among each other and from strings; integers, booleans to strings; dates and times among
        each other and to and from integers.
    dtype
        `Boolean`, `Int8` to `Int64`, `UInt8` to `UInt64`, `Float32`, `Float64`, `String`, `Date`, `Datetime`
        (microseconds), `Datetime[ns]`, `Datetime[us]`, `Datetime[ms]`; in Python also `pl.Float32`.
    invalid
        What becomes of a value that the type cannot hold: `raise` stops the run, `null` makes it null. A fraction is
        no such value: integers are cut off towards 0. To Boolean, 0 is false and all else, NaN too, is true. Times with
        a zone are taken in UTC.

    Raises
    ------
    PipelineError
        An unknown type, or a cast that does not give the same on every engine (text of floats, dates from text).

    Notes
    -----
    Null stays null. One pass, no state.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"size": [1.9, -1.9, None, 300.0]})
    >>> Cast(columns="size", dtype="Int8", invalid="null").apply(rows, CpuEngine()).collect()["size"].to_list()
    [1, -1, None, None]
    """

    elementwise: ClassVar[bool] = True

    columns: Columns
    dtype: str
    invalid: Literal["raise", "null"] = "raise"

    @field_validator("dtype", mode="before")
    @classmethod
    def _known_type(cls, value: Any) -> str:
        return dtype_name(value)

    @property
    def writes(self) -> tuple[str, ...]:
        return self.columns.names

    def check(self, schema: pl.Schema) -> None:
        target = DTYPES[self.dtype]
        for column in self.columns:
            if not castable(schema[column], target):
                raise PipelineError(
                    f"Cast cannot turn {schema[column]} into {self.dtype} in column {column!r}",
                    hint="write it as an expression with Derive, which can say the format",
                )

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        strict = self.invalid == "raise"
        return frame.with_columns(pl.col(c).cast(DTYPES[self.dtype], strict=strict) for c in self.columns)


class Rename(Transform):
    """Give columns other names; values, types and places stay.

    Parameters
    ----------
    names
        From the old name to the new one. Two columns may change names with each other.

    Notes
    -----
    Null stays null. Free: no pass, and nothing is copied.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"a": [1], "b": [2]})
    >>> Rename(names={"a": "b", "b": "a"}).apply(rows, CpuEngine()).collect().to_dicts()
    [{'b': 1, 'a': 2}]
    """

    names: dict[str, str]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        new = list(self.names.values())
        twice = sorted({n for n in new if new.count(n) > 1})
        if twice:
            raise ValueError(f"several columns would be called {', '.join(twice)}")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(self.names)

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(self.names.values())

    @property
    def drops(self) -> tuple[str, ...]:
        return tuple(old for old in self.names if old not in self.names.values())

    def check(self, schema: pl.Schema) -> None:
        taken = [new for new in self.names.values() if new in schema and new not in self.names]
        if taken:
            raise PipelineError(
                f"Rename would make a second column {taken[0]!r}", hint="drop or rename the one that is there first"
            )

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.rename(self.names)


class Drop(Transform):
    """Leave columns out. Their values are never read for it.

    Parameters
    ----------
    columns
        Columns of any type.

    Notes
    -----
    Null does not matter. Free: no pass.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> Drop(columns="a").apply(pl.LazyFrame({"a": [1], "b": [2]}), CpuEngine()).collect().to_dicts()
    [{'b': 2}]
    """

    columns: Columns

    @property
    def reads(self) -> tuple[str, ...]:
        return ()

    @property
    def drops(self) -> tuple[str, ...]:
        return self.columns.names

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        # Not strict: what has yet to be learned is not there in the passes before.
        return frame.drop(self.columns.names, strict=False)


class Derive(Transform):
    """Add or replace columns by expressions over one row.

    Parameters
    ----------
    columns
        From the new column's name to its expression: SQL or Polars. In Python and in YAML the names may stand on
        their own: `Derive(late="arr_delay > 15")`. All expressions of one step see the columns before it. The types
        are those of the expressions, and null is as they have it.

    Raises
    ------
    PipelineError
        An expression that does not fit its columns' types, or one that looks at other rows.

    Notes
    -----
    One pass, no state. In NVTabular LambdaOp.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step = Derive(late="delay > 15", hours=pl.col("delay") / 60)
    >>> step.apply(pl.LazyFrame({"delay": [30, None]}), CpuEngine()).collect().rows()
    [(30, True, 0.5), (None, None, None)]
    """

    columns: dict[str, Expression]

    def __init__(self, /, **columns: Any) -> None:
        super().__init__(**columns)

    @model_validator(mode="before")
    @classmethod
    def _from_names(cls, value: Any) -> Any:
        if isinstance(value, dict):
            own = value.get("columns")
            if not (len(value) == 1 and isinstance(own, dict) and "polars" not in own):
                return {"columns": value}
        return value

    @field_validator("columns")
    @classmethod
    def _not_empty(cls, columns: dict[str, Expression]) -> dict[str, Expression]:
        if not columns:
            raise ValueError("expected at least one column")
        return columns

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(root for e in self.columns.values() for root in e.roots))

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def check(self, schema: pl.Schema) -> None:
        for name, expression in self.columns.items():
            try:
                expression.dtype(schema)
            except PipelineError as problem:
                raise PipelineError(f"Derive of column {name!r}: {problem.message}", hint=problem.hint) from None

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(e.expr.alias(name) for name, e in self.columns.items())
