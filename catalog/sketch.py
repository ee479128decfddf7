"""Statistics of a split that merge with those of any other rows: another shard, another day, another version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from headrace.catalog.manifest import Statistics
from headrace.catalog.partials import ColumnPartial, Partial, merge_column, sample_stride
from headrace.catalog.statistics import measure
from headrace.catalog.summary import sampled, summarize_column
from headrace.engines.cpu import CpuEngine, InMemory
from headrace.schemas.dtypes import dtype_name
from headrace.schemas.errors import DataError, UsageError

DEEPEST: Final = 63
"""Level of row 0, whose number every power of two divides."""


@dataclass(frozen=True)
class Sketch:
    """A column of a set of rows: its counts, its values or their hashes, and a sample of its values."""

    column: ColumnPartial
    stride: int
    """The sample holds the rows whose number within their own set is a multiple of it: a power of two."""
    sample: pl.DataFrame
    """value, level, count, by value and level. 2^level is the largest power of two that divides the rows' numbers,
    so `level` says up to which stride they stay. Finite values only; no rows for opaque columns."""

    def values(self) -> pl.DataFrame:
        """value, count, by value: of all rows where they are exact, else of the sample."""
        if self.column.values is not None:
            return self.column.values
        return self.sample.group_by("value").agg(pl.col("count").sum()).sort("value")

    @property
    def exact(self) -> bool:
        """Whether `values` are those of all rows."""
        return self.column.values is not None or self.stride == 1


Sketches = Mapping[str, Sketch]
"""By column, in the order of the columns."""


def sketch(partial: Partial) -> dict[str, Sketch]:
    """What is measured of a run of rows, in the form that is kept: merged with the others', it is that of the whole."""
    return {column.name: _sketch(column, partial) for column in partial.columns}


def sketch_rows(rows: pl.DataFrame) -> dict[str, Sketch]:
    """Measure rows in memory as a run measures those that it publishes.

    >>> sketch_rows(pl.DataFrame({"x": [1, None]}))["x"].column.nulls
    1
    """
    return sketch(measure(InMemory(rows), CpuEngine()))


def merge_sketches(sets: Sequence[Sketches]) -> dict[str, Sketch]:
    """Statistics of all rows of several sets, which may come from anywhere, as if they had been measured together.

    Associative and commutative, and sets of no rows change nothing; but for `mean` and `m2`, whose last bits depend on
    the order.

    Raises
    ------
    UsageError
        There is nothing to merge.
    DataError
        The sets have different columns, or a column has different types.

    Notes
    -----
    Exact: all counts, min and max, the values of columns of at most 1,024 and the smallest hashes of the others. The
    sample is that of rows that are every 2^k-th of their own set; 2^k is the smallest that leaves about 65,536.
    """
    if not sets:
        raise UsageError("there are no statistics to merge")
    first = sets[0]
    for other in sets[1:]:
        if one_sided := sorted(first.keys() ^ other.keys()):
            raise DataError(
                f"{len(one_sided)} columns are in one set of statistics only: {', '.join(one_sided[:5])}",
                hint="merge statistics of versions with the same columns, or leave these out of both",
            )
        for name, found in other.items():
            if found.column.dtype != (expected := first[name].column.dtype):
                raise DataError(
                    f"column {name!r} is {dtype_name(expected)} in one set of statistics and "
                    f"{dtype_name(found.column.dtype)} in another",
                    hint="merge statistics of versions with the same types",
                )
    return {name: _merged([one[name] for one in sets]) for name in first}


def summarize_sketches(sketches: Sketches) -> dict[str, Statistics]:
    """The numbers that the manifest has, by column."""
    return {name: summarize_column(found.column, found.values(), exact=found.exact) for name, found in sketches.items()}


def _sketch(column: ColumnPartial, partial: Partial) -> Sketch:
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = replace(column, dtype=pl.String())  # as which it is measured
    if column.family == "opaque":
        return Sketch(column, partial.stride, _NOTHING)
    first = -(-partial.first_row // partial.stride)
    number = (pl.int_range(pl.len(), dtype=pl.UInt64) + first) * partial.stride
    level = number.bitwise_trailing_zeros().clip(upper_bound=DEEPEST).cast(pl.UInt8)
    found = partial.sample.lazy().select(pl.col(column.name).alias("value"), level.alias("level"))
    return Sketch(column, partial.stride, _counted(sampled(found), pl.len().cast(pl.UInt64)).collect())


def _merged(parts: Sequence[Sketch]) -> Sketch:
    rows = sum(part.column.rows for part in parts)
    stride = max(sample_stride(rows), *(part.stride for part in parts))
    column = merge_column([part.column for part in parts])
    if column.family == "opaque":
        return Sketch(column, stride, _NOTHING)
    stay = pl.col("level") >= stride.bit_length() - 1
    kept = pl.concat([part.sample for part in parts]).lazy().filter(stay)
    return Sketch(column, stride, _counted(kept, pl.col("count").sum()).collect())


def _counted(rows: pl.LazyFrame, count: pl.Expr) -> pl.LazyFrame:
    return rows.group_by("value", "level").agg(count.alias("count")).sort("value", "level")


_NOTHING: Final = pl.DataFrame(schema={"value": pl.Null, "level": pl.UInt8, "count": pl.UInt64})
