"""ReduceDtypes: integers in the smallest type that holds their range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Final, NamedTuple, Self

import polars as pl
from pydantic import AfterValidator

from headrace.engines.engine import Engine
from headrace.schemas.contract import Column
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Accepts, Transform
from headrace.transforms.columns import Columns
from headrace.transforms.literal import integer_range


class Range(NamedTuple):
    """The smallest and the largest value that a column may have."""

    low: int
    high: int


def _in_order(range_: Range) -> Range:
    if range_.low > range_.high:
        raise ValueError(f"low {range_.low} is above high {range_.high}")
    return range_


class ReduceDtypes(Transform):
    """Give integers the smallest type that holds their declared range.

    Parameters
    ----------
    columns
        Integers; floats and booleans stay as they are. Of columns that are named, each must have a range; of those
        that a kind or a pattern matches, others stay as they are.
    ranges
        Column to its smallest and largest value. In a pipeline those of the contract (`minimum`, `maximum`, their
        exclusive forms, `allowed`) are there already, for columns that no step before this one has changed.

    Raises
    ------
    PipelineError
        A named column without a range, or no column that has one.
    InvalidOperationError
        While data is read, a value beyond the range that the type cannot hold: nothing wraps around. The contract
        puts such rows into quarantine before.

    Notes
    -----
    Null stays null. Of two types as small, the signed one; no type becomes larger. The range is a declared one, not
    measured on the training rows, because types are known before data is read and stay the same from run to run;
    `headrace contract infer` notes in each column's description the range that the files' footers show. Floats: `Cast`
    to Float32, which rounds. One pass, no state. In NVTabular ReduceDtypeSize, which measures; none in TFT, Ray Data
    and scikit-learn.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step = ReduceDtypes(columns=["age", "year"], ranges={"age": (0, 130), "year": (1900, 2100)})
    >>> step.apply(pl.LazyFrame({"age": [7, None], "year": [2013, 1999]}), CpuEngine()).collect().dtypes
    [UInt8, Int16]
    """

    accepts: ClassVar[Accepts] = Accepts(lambda dtype: dtype.is_numeric() or dtype == pl.Boolean, "a number")
    elementwise: ClassVar[bool] = True

    columns: Columns
    ranges: Mapping[str, Annotated[Range, AfterValidator(_in_order)]] = {}

    @property
    def writes(self) -> tuple[str, ...]:
        return self.columns.names

    def within(self, ranges: Mapping[str, Range], schema: pl.Schema) -> Self:
        """The same step with the ranges that are known where it stands; its own come first.

        Columns that `schema` does not have, or has of another type, are left for `resolve` to refuse.

        Raises
        ------
        PipelineError
            A named column that has none.
        """
        known = {**ranges, **self.ranges}
        fit = (column for column in self.columns if column in schema and self.accepts.test(schema[column]))
        without = [column for column in fit if column not in known]
        if without:
            raise PipelineError(
                f"ReduceDtypes knows no range of column {without[0]!r}",
                hint="give it a minimum and a maximum in the contract and put this step before those that change it, "
                "or name it in `ranges`",
            )
        return self.model_copy(update={"ranges": known})

    def check(self, schema: pl.Schema) -> None:
        if not any(column in self.ranges and schema[column].is_integer() for column in self.columns):
            raise PipelineError(
                f"ReduceDtypes knows the range of none of {len(self.columns)} columns, or they are no integers",
                hint="give them a minimum and a maximum in the contract, or name them in `ranges`",
            )

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        return frame.with_columns(
            pl.col(column).cast(smallest(self.ranges[column], schema[column]))
            for column in self.columns
            if column in self.ranges and schema[column].is_integer()
        )


def smallest(range_: Range, dtype: pl.DataType) -> pl.DataType:
    """The smallest integer type that holds a range, `dtype` itself where none is smaller."""
    for candidate in _BY_SIZE:
        lowest, highest = integer_range(candidate)
        if _bits(candidate) < _bits(dtype) and lowest <= range_.low and range_.high <= highest:
            return candidate
    return dtype


def declared_ranges(columns: Iterable[Column]) -> dict[str, Range]:
    """The ranges that a contract lets columns have; of those without integers, or with an open end, there is none."""
    found = {column.name: _declared(column) for column in columns if column.dtype.is_integer()}
    return {name: range_ for name, range_ in found.items() if range_ is not None}


def _declared(column: Column) -> Range | None:
    allowed = column.allowed_values()
    lows, highs = ([min(allowed)], [max(allowed)]) if allowed else ([], [])
    lows += [bound + step for field, step in _LOWS if (bound := column.bound(field)) is not None]
    highs += [bound - step for field, step in _HIGHS if (bound := column.bound(field)) is not None]
    return Range(max(lows), min(highs)) if lows and highs and max(lows) <= min(highs) else None


_LOWS: Final = (("minimum", 0), ("exclusive_minimum", 1))
_HIGHS: Final = (("maximum", 0), ("exclusive_maximum", 1))
_BY_SIZE: Final = (pl.Int8(), pl.UInt8(), pl.Int16(), pl.UInt16(), pl.Int32(), pl.UInt32(), pl.Int64())


def _bits(dtype: pl.DataType) -> int:
    lowest, highest = integer_range(dtype)
    return (highest - lowest).bit_length()
