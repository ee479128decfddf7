"""Statistics of every column in one pass: `measure` each run of rows, `merge` them in order, `summarize` the total."""

from __future__ import annotations

from typing import Final

import polars as pl

from headrace.catalog.counts import count_values
from headrace.catalog.manifest import Scalar
from headrace.catalog.partials import SAMPLE_ROWS, ColumnPartial, Family, Partial, merge, sample_stride, thin
from headrace.catalog.scalars import Row, measure_scalars
from headrace.catalog.summary import summarize
from headrace.engines.engine import Engine, Held, TaskEngine

__all__ = ["measure", "measured_dtype", "merge", "summarize"]

TEXT: Final = 256
"""Characters of a text that min, max and top keep."""

PROBE_ROWS: Final = SAMPLE_ROWS // 4
"""Rows of a run, at most, from which the number of its distinct values is guessed where its share of the sample is
smaller."""


def measure(rows: Held, engine: TaskEngine, *, first_row: int = 0, total_rows: int | None = None) -> Partial:
    """Statistics of a run of rows, to be merged with those of the rest of its split.

    The engine reads the rows where it holds them. To this process's memory come a sample, counts of values and
    scalars. (Columns of type Array come whole: see `measure_scalars`.)

    Parameters
    ----------
    rows
        As they are published.
    first_row
        Number of the first row within the split: it decides which rows are sampled, so that the sample does not
        depend on how the split is cut into shards.
    total_rows
        Rows of the whole split if they are known: the sample of each run is only its share then.

    Notes
    -----
    Exact: rows, nulls, NaN, infinities, min, max, mean, standard deviation; and everything for columns of at most 1,024
    distinct values. Otherwise the number of distinct values is estimated from the 1,024 smallest hashes (relative
    standard error 3.1 %; Bar-Yossef et al. 2002), and quantiles, histogram and top values come from a sample of at most
    65,536 rows, every 2^k-th by number (standard error in rank at most 0.2 % where rows are in random order).

    Engines agree in all but the last bits of the mean and the standard deviation, whose terms they add in another
    order. Decimals of more than 15 digits, measured as Float64, may differ in the last bit too, and then in the
    estimated number of distinct values.
    """
    published = dict(rows.schema)
    if not published:
        return Partial(first_row, rows.height, 1, pl.DataFrame(), ())
    held = engine.hold(rows.lazy().select(_stored(name, dtype) for name, dtype in published.items()))
    stride = sample_stride(total_rows if total_rows is not None else first_row + rows.height)
    dense = min(stride, sample_stride(rows.height, PROBE_ROWS))
    probe = _every(held, dense, -first_row % dense, engine)
    scalars = measure_scalars(held, engine)
    columns = [_column(name, dtype, rows.height, scalars[name]) for name, dtype in published.items()]
    long = {name for name, row in scalars.items() if (row.get("bytes") or 0) > TEXT}
    counted = count_values(held, probe, columns, long, engine)
    return Partial(first_row, rows.height, stride, thin(probe, first_row, dense, stride), tuple(counted))


def _stored(name: str, dtype: pl.DataType) -> pl.Expr:
    """A published column as the numbers or texts that it is measured by."""
    column = pl.col(name)
    if dtype == pl.Boolean:
        return column.cast(pl.UInt8)
    if isinstance(dtype, pl.Decimal):
        return column.cast(pl.Float64)
    if dtype.is_temporal():
        return column.to_physical()
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    return column


def measured_dtype(dtype: pl.DataType) -> pl.DataType:
    """The type of a column's values as they are measured: dates and times as integers, booleans as 0 and 1."""
    return pl.DataFrame(schema={"value": dtype}).select(_stored("value", dtype)).schema["value"]


def _family(dtype: pl.DataType) -> Family:
    if dtype.is_numeric() or dtype == pl.Boolean:
        return "number"
    if dtype.is_temporal():
        return "temporal"
    if dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum):
        return "text"
    return "opaque"


def _every(held: Held, stride: int, first: int, engine: Engine) -> pl.DataFrame:
    """Every stride-th row from `first` on, without opaque columns; texts are cut."""
    shown = [
        pl.col(name).str.slice(0, TEXT) if dtype == pl.String else pl.col(name)
        for name, dtype in held.schema.items()
        if _family(dtype) != "opaque"
    ]
    if not shown:
        return pl.DataFrame()
    [sample] = engine.collect([held.lazy().select(expr.gather_every(stride, first) for expr in shown)])
    return sample


def _column(name: str, dtype: pl.DataType, rows: int, row: Row) -> ColumnPartial:
    nulls, nans, infinities = row["nulls"], row.get("nans", 0), row.get("infinities", 0)
    n = rows - nulls - nans - infinities
    return ColumnPartial(
        name=name,
        dtype=dtype,
        family=_family(dtype),
        rows=rows,
        nulls=nulls,
        nans=nans,
        infinities=infinities,
        min=_short(row.get("min")),
        max=_short(row.get("max")),
        mean=row.get("mean") or 0.0,
        m2=(row.get("var") or 0.0) * n,
    )


def _short(value: Scalar | None) -> Scalar | None:
    if isinstance(value, float):
        return value + 0.0  # 0.0 and -0.0 are equal: which of them comes first depends on the order of the rows
    return value[:TEXT] if isinstance(value, str) else value
