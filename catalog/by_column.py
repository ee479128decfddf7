"""Counts and smallest hashes with a query, or an expression, per column."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from headrace.catalog.hashing import hash_values
from headrace.catalog.partials import HASHES, VALUES
from headrace.catalog.scalars import finite
from headrace.engines.engine import Engine, Held


def group(rows: Held, names: Collection[str], engine: Engine) -> dict[str, pl.DataFrame]:
    """value, count of each column of at most VALUES finite values, by value.

    Of a column of more values one too many are copied to the host.
    """
    if not names:
        return {}
    schema = dict(rows.schema)
    value = pl.col("value")
    queries = [
        rows.lazy()
        .select(pl.col(name).alias("value"))
        .group_by("value")
        .agg(pl.len().cast(pl.UInt64).alias("count"))
        .filter(finite(value, schema[name]))
        .with_columns(value + 0.0 if schema[name].is_float() else value)  # one zero
        .sort("value")
        .head(VALUES + 1)
        for name in names
    ]
    found = zip(names, engine.collect(queries, any_order=True), strict=True)
    return {name: counts for name, counts in found if counts.height <= VALUES}


def smallest_hashes(
    rows: Held, limits: Mapping[str, int], special: Collection[str], engine: Engine
) -> dict[str, pl.Series]:
    """The smallest hashes of each column that lie below its limit, each once and at most HASHES; on the CPU."""
    schema = dict(rows.schema)

    def below(name: str, limit: int) -> pl.Expr:
        hashes = hash_values(pl.col(name), schema[name])
        keep = hashes < pl.lit(limit, dtype=pl.UInt64)
        if name in special:
            keep = keep & finite(pl.col(name), schema[name])
        return hashes.filter(keep).unique().sort().head(HASHES).implode().alias(name)

    [found] = engine.collect([rows.lazy().select(below(name, limit) for name, limit in limits.items())])
    return {name: found[name].explode(empty_as_null=False) for name in limits}
