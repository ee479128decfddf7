"""Partial statistics of a run of rows, and how they merge: the result does not depend on how the rows were cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import polars as pl

from headrace.catalog.hashing import hash_values
from headrace.catalog.manifest import Scalar

SAMPLE_ROWS: Final = 65_536
"""Rows that quantiles, histograms and top values are taken from where a column has more than VALUES values."""

VALUES: Final = 1_024
"""Up to so many distinct values a column is counted exactly: all its statistics are exact then."""

HASHES: Final = 1_024
"""Smallest hashes kept to estimate the number of distinct values: relative standard error 1/sqrt(HASHES - 2)."""

Family = Literal["number", "temporal", "text", "opaque"]


@dataclass(frozen=True)
class ColumnPartial:
    """A column in a run of rows."""

    name: str
    dtype: pl.DataType
    family: Family
    rows: int
    nulls: int
    nans: int = 0
    infinities: int = 0
    min: Scalar | None = None
    """Over finite values; temporal values as their integers."""
    max: Scalar | None = None
    mean: float = 0.0
    m2: float = 0.0
    """Sum of squared distances from the mean."""
    values: pl.DataFrame | None = None
    """value, count, by value; None if there are more than VALUES. Finite values only."""
    hashes: pl.Series | None = None
    """The HASHES smallest hashes of values, ascending, without repeats; None while `values` is there."""

    @property
    def finite(self) -> int:
        """Rows with a value that enters min to top."""
        return self.rows - self.nulls - self.nans - self.infinities


@dataclass(frozen=True)
class Partial:
    """Rows [first_row, first_row + rows) of a split. A plain value; with many columns a few megabytes."""

    first_row: int
    rows: int
    stride: int
    """`sample` holds the rows whose number is a multiple of it."""
    sample: pl.DataFrame
    columns: tuple[ColumnPartial, ...]


def sample_stride(rows: int, most: int = SAMPLE_ROWS) -> int:
    """The smallest power of two that leaves at most `most` of `rows` rows."""
    stride = 1
    while -(-rows // stride) > most:
        stride *= 2
    return stride


def merge(partials: Sequence[Partial]) -> Partial:
    """Statistics of consecutive runs of rows as those of one run.

    Everything but `mean` and `m2` is the same for every cut of the rows; those are summed in the order given by Chan's
    rule and may differ in the last bits.

    Raises
    ------
    ValueError
        There is nothing to merge, a run does not begin where the one before it ends, or columns differ.
    """
    if not partials:
        raise ValueError("nothing to merge")
    at = partials[0].first_row
    for partial in partials:
        if partial.first_row != at:
            raise ValueError(f"rows from {partial.first_row} on follow row {at - 1}: pass all runs in row order")
        at += partial.rows
        if [column.name for column in partial.columns] != [column.name for column in partials[0].columns]:
            raise ValueError("the runs have different columns")
    rows = at - partials[0].first_row
    stride = max(sample_stride(at), *(partial.stride for partial in partials))
    samples = [thin(partial.sample, partial.first_row, partial.stride, stride) for partial in partials]
    columns = [merge_column(parts) for parts in zip(*(partial.columns for partial in partials), strict=True)]
    return Partial(partials[0].first_row, rows, stride, pl.concat(samples), tuple(columns))


def smallest(hashes: pl.Series) -> pl.Series:
    """The HASHES smallest, ascending, each once."""
    return hashes.unique().sort().head(HASHES)


def thin(sample: pl.DataFrame, first_row: int, stride: int, wider: int) -> pl.DataFrame:
    """Of the rows from `first_row` on whose number is a multiple of `stride`, those where it is one of `wider`."""
    first = -(-first_row // stride)  # in units of the stride
    step = wider // stride
    return sample if step == 1 else sample.gather_every(step, -first % step)


def merge_column(parts: Sequence[ColumnPartial]) -> ColumnPartial:
    """A column's counts, moments, values and hashes in all of some runs of rows."""
    total = parts[0]
    for part in parts[1:]:
        total = _moments(total, part)
    if total.family == "opaque":
        return total
    values = _merge_values([part.values for part in parts])
    if values is not None:
        return replace(total, values=values, hashes=None)
    hashes = [part.hashes if part.values is None else _hashed(part.values["value"]) for part in parts]
    return replace(total, values=None, hashes=smallest(pl.concat([h for h in hashes if h is not None])))


def _hashed(values: pl.Series) -> pl.Series:
    return values.to_frame("value").select(hash_values(pl.col("value"), values.dtype)).to_series()


def _merge_values(parts: list[pl.DataFrame | None]) -> pl.DataFrame | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    merged = pl.concat(known).group_by("value").agg(pl.col("count").sum()).sort("value")
    return merged if merged.height <= VALUES else None


def _moments(a: ColumnPartial, b: ColumnPartial) -> ColumnPartial:
    """Chan, Golub, LeVeque 1979: moments of two runs from the moments of each."""
    n = a.finite + b.finite
    mean, m2 = a.mean, a.m2
    if b.finite:
        delta = b.mean - a.mean
        mean = a.mean + delta * (b.finite / n) if a.finite else b.mean
        m2 = a.m2 + b.m2 + (delta * delta * (a.finite * (b.finite / n)) if a.finite else 0.0)
    return replace(
        a,
        rows=a.rows + b.rows,
        nulls=a.nulls + b.nulls,
        nans=a.nans + b.nans,
        infinities=a.infinities + b.infinities,
        min=_either(min, a.min, b.min),
        max=_either(max, a.max, b.max),
        mean=mean,
        m2=m2 if not math.isnan(m2) else math.inf,
    )


def _either(choose: Callable[[Any, Any], Any], a: Scalar | None, b: Scalar | None) -> Scalar | None:
    if a is None or b is None:
        return b if a is None else a
    chosen: Scalar = choose(a, b)
    return chosen
