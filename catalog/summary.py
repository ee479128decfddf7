"""From merged partial statistics to the numbers in the manifest: JSON, no NaN, dates as ISO 8601."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import polars as pl

from headrace.catalog.hashing import HASH_SPACE
from headrace.catalog.manifest import Histogram, Scalar, Statistics, TopValue
from headrace.catalog.partials import HASHES, ColumnPartial, Partial

QUANTILES: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
BINS: Final = 64
TOP: Final = 10


def summarize(partial: Partial) -> dict[str, Statistics]:
    """The statistics of a split, by column, from the merged partial of all its rows."""
    return {column.name: _summarize(column, partial) for column in partial.columns}


def _summarize(column: ColumnPartial, partial: Partial) -> Statistics:
    if column.values is None and column.family != "opaque":
        return summarize_column(column, _counted(partial.sample[column.name]), exact=partial.stride == 1)
    return summarize_column(column, column.values, exact=True)


def summarize_column(column: ColumnPartial, values: pl.DataFrame | None, *, exact: bool) -> Statistics:
    """The statistics of one column.

    Parameters
    ----------
    values
        value, count of finite values, by value: of all rows if `exact`, else of a sample. Of no use for an opaque
        column.
    """
    counts = Statistics(
        count=column.rows, nulls=column.nulls, nans=column.nans, infinities=column.infinities
    ).model_dump(exclude_defaults=True)
    if column.family == "opaque" or values is None:
        return Statistics(**counts)
    distinct, distinct_error = _distinct(column)
    rows = int(values["count"].sum())
    number = column.family == "number"
    ordered = column.family != "text"
    variance = column.m2 / column.finite if column.finite else math.nan
    mean = column.mean
    if number and column.finite and column.min == column.max:  # what sums of equal floats leave is no spread
        mean, variance = float(column.min or 0), 0.0
    continuous = values.schema["value"].is_float() and column.values is None
    return Statistics(
        **counts,
        min=scalar(column.min, column),
        max=scalar(column.max, column),
        mean=mean if number and column.finite and math.isfinite(mean) else None,
        std=math.sqrt(variance) if number and math.isfinite(variance) else None,
        distinct=distinct,
        distinct_error=distinct_error,
        quantiles=_quantiles(values, column) if ordered else {},
        quantile_error=0.0 if exact or not rows else math.sqrt(math.log(2 / 0.01) / (2 * rows)),
        sample=None if exact else rows,
        histogram=_histogram(values, column) if ordered else None,
        top=() if continuous else _top(values, column),
    )


def sampled(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Of rows with a `value`, those that are finite, with one zero."""
    value = pl.col("value")
    if not rows.collect_schema()["value"].is_float():
        return rows.filter(value.is_not_null())
    return rows.filter(value.is_finite()).with_columns(value + 0.0)


def _counted(sample: pl.Series) -> pl.DataFrame:
    """value, count of the finite values in a sample, by value."""
    values = sampled(sample.alias("value").to_frame().lazy()).collect()["value"]
    return values.sort().rle().struct.unnest().select("value", count=pl.col("len").cast(pl.UInt64))


def _distinct(column: ColumnPartial) -> tuple[int, float]:
    """Number of distinct values, and its relative standard error."""
    if column.values is not None:
        return column.values.height, 0.0
    assert column.hashes is not None
    if len(column.hashes) < HASHES:
        return len(column.hashes), 0.0
    estimate = round((HASHES - 1) * (HASH_SPACE / int(column.hashes[-1])))
    most = column.finite
    if isinstance(column.min, int) and isinstance(column.max, int):
        most = min(most, column.max - column.min + 1)
    return max(HASHES, min(estimate, most)), round(1 / math.sqrt(HASHES - 2), 4)


def _quantiles(values: pl.DataFrame, column: ColumnPartial) -> dict[str, Scalar]:
    """The smallest value that at least the share q of values does not exceed."""
    upto = values["count"].cum_sum()
    if not len(upto):
        return {}
    total = int(upto[-1])
    ranks = pl.Series([max(1, math.ceil(total * q - 1e-9)) for q in QUANTILES], dtype=pl.UInt64)
    found = values["value"].gather(upto.search_sorted(ranks, side="left"))
    named = zip(QUANTILES, found.to_list(), strict=True)
    return {f"{q:g}": value for q, raw in named if (value := scalar(raw, column)) is not None}


def _histogram(values: pl.DataFrame, column: ColumnPartial) -> Histogram | None:
    low, high = column.min, column.max
    if isinstance(low, str) or isinstance(high, str) or low is None or high is None or not values.height:
        return None
    whole = isinstance(low, int) and isinstance(high, int)
    if low == high:
        return Histogram(edges=(float(low), float(high)), counts=(int(values["count"].sum()),))
    if whole and high - low < BINS:
        bins, width = int(high - low) + 1, 1.0
    else:
        bins, width = BINS, float(high) / BINS - float(low) / BINS
    edges = [float(low) + width * i for i in range(bins)] + [float(high) + (1.0 if whole and width == 1.0 else 0.0)]
    if not all(math.isfinite(edge) for edge in edges) or width <= 0:
        return None
    upto = pl.concat([pl.Series([0], dtype=pl.UInt64), values["count"].cum_sum().cast(pl.UInt64)])
    inner = pl.Series(edges[1:-1], dtype=pl.Float64)
    below = upto.gather(values["value"].cast(pl.Float64).search_sorted(inner, side="left")).to_list()
    ends = [0, *below, int(upto[-1])]
    return Histogram(edges=tuple(edges), counts=tuple(b - a for a, b in pairwise(ends)))


def _top(values: pl.DataFrame, column: ColumnPartial) -> tuple[TopValue, ...]:
    """The most frequent values, those of equal count by value."""
    first = values.sort(["count", "value"], descending=[True, False]).head(TOP)
    return tuple(TopValue(value=scalar(value, column), count=int(count)) for value, count in first.iter_rows())


def scalar(value: Scalar | None, column: ColumnPartial) -> Scalar | None:
    """A value as JSON has it: dates and times as ISO 8601."""
    if value is None or column.family != "temporal":
        return value
    integers = pl.Series([value], dtype=pl.Int32 if column.dtype == pl.Date else pl.Int64)
    text: str = integers.cast(column.dtype).dt.to_string("iso:strict").item()
    return text
