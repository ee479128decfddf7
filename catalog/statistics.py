"""Statistics of every column in one pass: `measure` each run of rows, `merge` them in order, `summarize` the total."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import polars as pl

from headrace.catalog.manifest import Scalar
from headrace.catalog.partials import (
    HASH_SPACE,
    HASHES,
    VALUES,
    ColumnPartial,
    Family,
    Partial,
    hash_values,
    merge,
    sample_stride,
    smallest,
)
from headrace.catalog.summary import summarize

__all__ = ["measure", "merge", "summarize"]

TEXT: Final = 256
"""Characters of a text that min, max and top keep."""


def measure(frame: pl.DataFrame, *, first_row: int = 0, total_rows: int | None = None) -> Partial:
    """Statistics of a run of rows, to be merged with those of the rest of its split.

    Parameters
    ----------
    frame
        Rows as they are published.
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
    """
    stored = frame.rechunk().select(_stored(name, dtype) for name, dtype in frame.schema.items())
    stride = sample_stride(total_rows if total_rows is not None else first_row + frame.height)
    sample = stored.gather_every(stride, -first_row % stride).select(
        pl.col(name).str.slice(0, TEXT) if dtype == pl.String else pl.col(name) for name, dtype in stored.schema.items()
    )
    # A frame's schema is made anew at every look: looking for each column would be quadratic in the columns.
    dtypes = frame.schema
    columns = [
        _moments(column, dtypes[column.name], row)
        for column, row in zip(stored.get_columns(), _scalars(stored), strict=True)
    ]
    return Partial(first_row, frame.height, stride, sample, tuple(_counts(stored, sample, columns)))


def _family(dtype: pl.DataType) -> Family:
    if dtype.is_numeric() or dtype == pl.Boolean:
        return "number"
    if dtype.is_temporal():
        return "temporal"
    if dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum):
        return "text"
    return "opaque"


def _stored(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    family = _family(dtype)
    if dtype == pl.Boolean:
        return column.cast(pl.UInt8)
    if isinstance(dtype, pl.Decimal):
        return column.cast(pl.Float64)
    if family == "temporal":
        return column.to_physical()
    if family == "text" and dtype != pl.String:
        return column.cast(pl.String)
    return column


def _scalars(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Column by column: what one pass of simple reductions gives."""
    wanted: list[pl.Expr] = []
    for index, (name, dtype) in enumerate(frame.schema.items()):
        column = pl.col(name)
        wanted.append(column.null_count().alias(f"{index}.nulls"))
        if dtype.is_numeric():
            exact = column.cast(pl.Float64) if dtype == pl.Float32 else column  # Float32 would be rounded
            wanted += [exact.mean().alias(f"{index}.mean"), exact.var(ddof=0).alias(f"{index}.var")]
        if dtype.is_numeric() or dtype == pl.String:
            wanted += [column.min().alias(f"{index}.min"), column.max().alias(f"{index}.max")]
    found = frame.select(wanted).row(0, named=True) if wanted else {}
    rows: list[dict[str, Any]] = [{} for _ in range(frame.width)]
    for key, value in found.items():
        number, what = key.split(".")
        rows[int(number)][what] = value
    return rows


def _moments(column: pl.Series, dtype: pl.DataType, row: dict[str, Any]) -> ColumnPartial:
    family = _family(dtype)
    nans = infinities = 0
    if column.dtype.is_float() and not math.isfinite(row["mean"] or 0.0):
        nans, infinities = int(column.is_nan().sum()), int(column.is_infinite().sum())
        own = pl.col(column.name)
        finite = column.to_frame().select(pl.when(own.is_finite()).then(own).alias(column.name))
        row = _scalars(finite)[0] | {"nulls": row["nulls"]}
    n = column.len() - row["nulls"] - nans - infinities
    return ColumnPartial(
        name=column.name,
        dtype=dtype,
        family=family,
        rows=column.len(),
        nulls=row["nulls"],
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


def _counts(frame: pl.DataFrame, sample: pl.DataFrame, columns: list[ColumnPartial]) -> list[ColumnPartial]:
    """Exact counts for columns of few values, smallest hashes for the others."""
    schema = frame.schema
    values = {column.name: _two_counts(column, schema[column.name]) for column in columns if _two(column)}
    rest = [column for column in columns if column.family != "opaque" and not _two(column)]
    long = _long_texts(frame, [column.name for column in rest if column.family == "text"])
    in_sample = sample.select(pl.col(column.name).n_unique() for column in rest).row(0) if rest else ()
    distinct = {column.name: count for column, count in zip(rest, in_sample, strict=True)}
    # Null, NaN and the infinities are counted here, so 4 more are allowed.
    few = [name for name, count in distinct.items() if count <= VALUES + 4 and name not in long]
    counted = _value_counts(frame, few)
    values |= {name: counts for name, counts in counted.items() if counts.height <= VALUES}
    # There are at least as many values as in the sample, so about 1.5 * HASHES hashes or more lie below the limit.
    limits = {
        name: min(HASH_SPACE - 1, int(HASH_SPACE * 1.5 * HASHES / max(count, 1)))
        for name, count in distinct.items()
        if name not in values
    }
    special = {c.name for c in columns if c.finite < c.rows}
    hashes = _smallest_hashes(frame, limits, special)
    return [replace(c, values=values.get(c.name), hashes=hashes.get(c.name)) for c in columns]


def _two(column: ColumnPartial) -> bool:
    """A mask, a label, a constant: its mean says how many there are of each value."""
    low, high = column.min, column.max
    return isinstance(low, int) and column.rows < 2**52 and (low == high or (low, high) == (0, 1))


def _two_counts(column: ColumnPartial, dtype: pl.DataType) -> pl.DataFrame:
    high = round(column.mean * column.finite) if column.min != column.max else column.finite
    counts = {column.min: column.finite - high, column.max: high}
    return pl.DataFrame(
        {"value": list(counts), "count": list(counts.values())}, schema={"value": dtype, "count": pl.UInt64}
    )


def _long_texts(frame: pl.DataFrame, names: list[str]) -> set[str]:
    if not names:
        return set()
    longest = frame.select(pl.col(name).str.len_bytes().max() for name in names).row(0, named=True)
    return {name for name, length in longest.items() if (length or 0) > TEXT}


def _finite(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    return column.is_finite() if dtype.is_float() else column.is_not_null()


def _value_counts(frame: pl.DataFrame, names: Iterable[str]) -> dict[str, pl.DataFrame]:
    wanted = set(names)
    queries = {
        column.name: column.alias("value")
        .to_frame()
        .lazy()
        .group_by("value")
        .agg(pl.len().cast(pl.UInt64).alias("count"))
        .filter(_finite(pl.col("value"), column.dtype))
        .with_columns(pl.col("value") + 0.0 if column.dtype.is_float() else pl.col("value"))
        .sort("value")
        for column in frame.get_columns()
        if column.name in wanted
    }
    frames = pl.collect_all(list(queries.values()), engine="streaming") if queries else []
    return dict(zip(queries, frames, strict=True))


def _smallest_hashes(frame: pl.DataFrame, limits: dict[str, int], special: set[str]) -> dict[str, pl.Series]:
    schema = frame.schema

    def below(name: str, limit: int) -> pl.Expr:
        hashed = hash_values(pl.col(name), schema[name])
        keep = hashed < pl.lit(limit, dtype=pl.UInt64)
        if name in special:
            keep = keep & _finite(pl.col(name), schema[name])
        return hashed.filter(keep).unique().implode().alias(name)

    if not limits:
        return {}
    found = frame.select(below(name, limit) for name, limit in limits.items())
    hashes = {name: smallest(found[name].explode(empty_as_null=False)) for name in limits}
    # An unlucky limit: too few hashes lie below it for them to be the smallest of all.
    whole = HASH_SPACE - 1
    again = {name: whole for name, hashed in hashes.items() if len(hashed) < HASHES and limits[name] < whole}
    return hashes | _smallest_hashes(frame, again, special)
