"""Numbers taken one at a time: Clip, Log1p and Sqrt."""

from __future__ import annotations

import math
from typing import ClassVar, Self

import polars as pl
from pydantic import model_validator

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import NUMERIC, Accepts, Transform
from headrace.transforms.columns import Columns
from headrace.transforms.literal import integer_range, lit, literal


class Clip(Transform):
    """Move values outside a range to its nearer end.

    Parameters
    ----------
    columns
        Integers or floats. The type stays; null and NaN stay; infinities go to the ends.
    lower, upper
        The ends, of which one may be left out. A whole number where the column holds integers.

    Raises
    ------
    PipelineError
        `lower` above `upper`, or an end that the column's type cannot hold.

    Notes
    -----
    One pass, no state.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"age": [-3, 40, 200, None]})
    >>> Clip(columns="age", lower=0, upper=120).apply(rows, CpuEngine()).collect()["age"].to_list()
    [0, 40, 120, None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = Accepts(lambda dtype: dtype.is_integer() or dtype.is_float(), "an integer or a float")

    columns: Columns
    lower: int | float | None = None
    upper: int | float | None = None

    @model_validator(mode="after")
    def _ends_in_order(self) -> Self:
        if self.lower is None and self.upper is None:
            raise ValueError("expected `lower`, `upper` or both")
        for end in (self.lower, self.upper):
            if end is not None and not math.isfinite(end):
                raise ValueError(f"expected a finite end, got {end}")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError(f"lower {self.lower} is above upper {self.upper}")
        return self

    @property
    def writes(self) -> tuple[str, ...]:
        return self.columns.names

    def check(self, schema: pl.Schema) -> None:
        for column in self.columns:
            for name, end in (("lower", self.lower), ("upper", self.upper)):
                try:
                    if end is not None and not _never_reached(name, end, schema[column]):
                        literal(end, schema[column])
                except ValueError as problem:
                    raise PipelineError(
                        f"Clip({name}={end}) does not fit column {column!r} ({schema[column]}): {problem}",
                        hint="cast the column to Float64 first",
                    ) from None

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        outputs = []
        for column in self.columns:
            dtype = schema[column]
            lower, upper = (
                None if end is None or _never_reached(name, end, dtype) else lit(end, dtype)
                for name, end in (("lower", self.lower), ("upper", self.upper))
            )
            if lower is not None or upper is not None:
                outputs.append(pl.col(column).clip(lower, upper))
        return frame.with_columns(outputs)


class Log1p(Transform):
    """`log(1 + x)`, computed in Float64 and written as Float32.

    Parameters
    ----------
    columns
        Numbers or booleans. Null stays null; -1 gives -inf and smaller values NaN (clip them first).
    output
        Name of the result; `{column}` stands for the input's.

    Notes
    -----
    One pass, no state.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> Log1p(columns="clicks").apply(pl.LazyFrame({"clicks": [0, None]}), CpuEngine()).collect()["clicks"].to_list()
    [0.0, None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = NUMERIC

    columns: Columns
    output: str = "{column}"

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(
            pl.col(column).cast(pl.Float64).log1p().cast(pl.Float32).alias(output)
            for column, output in zip(self.columns, self.writes, strict=True)
        )


class Sqrt(Transform):
    """The square root, computed in Float64 and written as Float32.

    Parameters
    ----------
    columns
        Numbers or booleans. Null stays null; values below 0 give NaN (clip them first).
    output
        Name of the result; `{column}` stands for the input's.

    Notes
    -----
    In scikit-learn a FunctionTransformer of `numpy.sqrt`, in NVTabular a LambdaOp. One pass, no state.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> Sqrt(columns="area").apply(pl.LazyFrame({"area": [9, None]}), CpuEngine()).collect()["area"].to_list()
    [3.0, None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = NUMERIC

    columns: Columns
    output: str = "{column}"

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(
            pl.col(column).cast(pl.Float64).sqrt().cast(pl.Float32).alias(output)
            for column, output in zip(self.columns, self.writes, strict=True)
        )


def _never_reached(name: str, end: int | float, dtype: pl.DataType) -> bool:
    """Whether no value of an integer type lies beyond this end."""
    if not dtype.is_integer():
        return False
    lowest, highest = integer_range(dtype)
    return end <= lowest if name == "lower" else end >= highest
