"""Numbers into buckets: Bucketize at given boundaries, QuantileBucketize at learned ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import polars as pl
from pydantic import Field, field_validator

from headrace.engines.engine import Engine
from headrace.transforms import quantiles
from headrace.transforms.base import NUMERIC, Accepts, Ids, Learner, Transform, concatenated
from headrace.transforms.columns import Columns
from headrace.transforms.literal import integer_range

Nulls = Literal["keep", "own"]
Boundaries = tuple[int | float, ...]


class Bucketize(Transform):
    """The number of the bucket that a value falls in.

    Parameters
    ----------
    columns
        Numbers or booleans. Output Int32, in place or under the name that `output` gives.
    boundaries
        Finite, rising. Bucket i holds `boundaries[i - 1] <= x < boundaries[i]`: bucket 0 is all below the first, the
        last all from the last on, so there is one bucket more than there are boundaries. Integers are compared
        without rounding.
    nulls
        `keep`: null and NaN give null. `own`: they give the bucket after the last.
    output
        Name of the result; `{column}` stands for the input's.

    Notes
    -----
    One pass, no state.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step = Bucketize(columns="age", boundaries=[18, 65])
    >>> step.apply(pl.LazyFrame({"age": [17, 18, 65, None]}), CpuEngine()).collect()["age"].to_list()
    [0, 1, 2, None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = NUMERIC

    columns: Columns
    boundaries: Annotated[Boundaries, Field(min_length=1)]
    nulls: Nulls = "keep"
    output: str = "{column}"

    @field_validator("boundaries")
    @classmethod
    def _finite_and_rising(cls, boundaries: Boundaries) -> Boundaries:
        return _checked(boundaries)

    @property
    def ids(self) -> Mapping[str, Ids]:
        return {output: _ids(len(self.boundaries), self.nulls) for output in self.writes}

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        return frame.with_columns(
            _bucket(column, schema[column], self.boundaries, self.nulls).alias(output)
            for column, output in zip(self.columns, self.writes, strict=True)
        )


class QuantileBucketize(Learner):
    """The number of the bucket that a value falls in, with as many training rows in each bucket as ties allow.

    Parameters
    ----------
    columns
        Numbers or booleans. Output Int32 from 0 to n - 1, in place or under the name that `output` gives.
    n
        How many buckets. Equal quantiles make one boundary, so that a column of few values has fewer buckets.
    nulls
        `keep`: null and NaN give null. `own`: they give bucket n.
    output
        Name of the result; `{column}` stands for the input's.

    Notes
    -----
    Boundaries are the quantiles k/n of the finite training values as Float64, exact up to 2048 values a unit and
    within a rank of 1/4096 of the rows beyond (see `quantiles`). A boundary belongs to the bucket above it. One pass;
    at most 2176 pairs per column and unit.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step, rows = QuantileBucketize(columns="x", n=2), pl.LazyFrame({"x": [1, 2, 3, 1000, None]})
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).with_columns(__unit=0).collect())
    >>> fitted.apply(rows, CpuEngine()).collect()["x"].to_list()
    [0, 0, 1, 1, None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = NUMERIC
    by_unit: ClassVar[bool] = True

    columns: Columns
    n: Annotated[int, Field(ge=1, le=65536)]
    nulls: Nulls = "keep"
    output: str = "{column}"

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return quantiles.summary(frame, self.columns)

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return concatenated(tables)

    def learn(self, total: pl.DataFrame) -> Transform:
        return QuantileBucketized(
            columns=self.columns,
            n=self.n,
            nulls=self.nulls,
            output=self.output,
            boundaries=tuple(
                tuple(dict.fromkeys(quantiles.cuts(total, position, self.n))) for position in range(len(self.columns))
            ),
        )


class QuantileBucketized(Transform):
    """The number of the bucket as Int32, with boundaries of each column's own; nulls as `nulls` says."""

    accepts: ClassVar[Accepts] = NUMERIC

    columns: Columns
    n: int
    nulls: Nulls = "keep"
    output: str = "{column}"
    boundaries: tuple[tuple[float, ...], ...]

    @property
    def ids(self) -> Mapping[str, Ids]:
        return {output: _ids(self.n - 1, self.nulls) for output in self.writes}

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        return frame.with_columns(
            _bucket(column, schema[column], boundaries, self.nulls, null_id=self.n).alias(output)
            for column, output, boundaries in zip(self.columns, self.writes, self.boundaries, strict=True)
        )


def _checked(boundaries: Boundaries) -> Boundaries:
    for value in boundaries:
        if not math.isfinite(value):
            raise ValueError(f"expected finite boundaries, got {value}")
    for low, high in pairwise(boundaries):
        if low >= high:
            raise ValueError(f"expected rising boundaries, got {low} before {high}")
    return boundaries


def _ids(last: int, nulls: Nulls) -> Ids:
    return Ids(last + 2, null_id=last + 1) if nulls == "own" else Ids(last + 1)


def _bucket(
    column: str, dtype: pl.DataType, boundaries: Boundaries, nulls: Nulls, null_id: int | None = None
) -> pl.Expr:
    """How many boundaries are at or below the value, in the value's own type where that is an integer."""
    below = 0
    if dtype.is_integer():
        # For whole x, x >= b is x >= ceil(b); boundaries that the type cannot hold are passed by all values or none.
        lowest, highest = integer_range(dtype)
        whole = [math.ceil(b) for b in boundaries]
        below = sum(b <= lowest for b in whole)
        cuts = pl.Series([b for b in whole if lowest < b <= highest], dtype=dtype)
        value, present = pl.col(column), pl.col(column).is_not_null()
    else:
        cuts = pl.Series(boundaries, dtype=pl.Float64)
        value = pl.col(column).cast(pl.Float64)
        present = value.is_not_nan()  # null for null; engines order NaN differently, so it is never compared
    bucket = pl.lit(below)
    if len(cuts):
        bucket = pl.lit(cuts).search_sorted(value, side="right").cast(pl.Int32, wrap_numerical=True) + below
    missing = pl.lit(len(boundaries) + 1 if null_id is None else null_id) if nulls == "own" else pl.lit(None)
    return pl.when(present).then(bucket.cast(pl.Int32)).otherwise(missing.cast(pl.Int32))
