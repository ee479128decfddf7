"""How often each value comes where there are few, and the smallest hashes of the values where there are many."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import polars as pl

from headrace.catalog.hashing import HASH_SPACE, mixed
from headrace.catalog.partials import HASHES, VALUES, ColumnPartial, smallest
from headrace.catalog.scalars import finite
from headrace.engines.engine import Engine, Held


def count_values(
    rows: Held, probe: pl.DataFrame, columns: list[ColumnPartial], long: Collection[str], engine: Engine
) -> list[ColumnPartial]:
    """Columns with exact counts if they have at most VALUES values, and with their smallest hashes otherwise.

    Parameters
    ----------
    rows
        Columns as they are measured: numbers and texts.
    probe
        Some of the rows, to guess from which of the two a column needs; it changes the cost and not the result.
    long
        Text columns whose values may be cut in `probe`, and are too long to be kept.

    Notes
    -----
    Cost: a grouping of each column that seems to have few values, one pass over all others together. At most
    VALUES + 1 rows of a column leave the engine.
    """
    schema = dict(rows.schema)
    values = {c.name: _two_counts(c, schema[c.name]) for c in columns if _two(c)}
    rest = [c.name for c in columns if c.family != "opaque" and c.name not in values]
    seen = probe.select(pl.col(name).n_unique() for name in rest).row(0) if rest else ()
    distinct = dict(zip(rest, seen, strict=True))
    # Null, NaN and the infinities are counted here, so 4 more are allowed.
    few = [name for name, count in distinct.items() if count <= VALUES + 4 and name not in long]
    values |= {name: counts for name, counts in _group(rows, few, engine).items() if counts.height <= VALUES}
    # There are at least as many values as in the probe, so about 1.5 * HASHES hashes or more lie below the limit.
    limits = {
        name: min(HASH_SPACE - 1, int(HASH_SPACE * 1.5 * HASHES / max(count, 1)))
        for name, count in distinct.items()
        if name not in values
    }
    hashes = _smallest_hashes(rows, limits, {c.name for c in columns if c.finite < c.rows}, engine)
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


def _group(rows: Held, names: Collection[str], engine: Engine) -> dict[str, pl.DataFrame]:
    """value, count of each column, by value; finite values only, and of more than VALUES no more than one too many."""
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
    return dict(zip(names, engine.collect(queries, any_order=True), strict=True)) if queries else {}


def _smallest_hashes(
    rows: Held, limits: Mapping[str, int], special: Collection[str], engine: Engine
) -> dict[str, pl.Series]:
    """The HASHES smallest hashes of each column, looked for below its limit first.

    `special` are the columns where not every value counts.
    """
    if not limits:
        return {}
    schema = dict(rows.schema)
    frame = rows.lazy()
    wanted = []
    for number, (name, limit) in enumerate(limits.items()):
        dtype = schema[name]
        if dtype == pl.String:
            frame = engine.hash64(frame, name, dtype, hashed := f"{_HASHED}{number}")
            hashes = pl.col(hashed)
        else:
            hashes = mixed(pl.col(name), dtype, engine.name)
        keep = hashes < pl.lit(limit, dtype=pl.UInt64)
        if name in special:
            keep = keep & finite(pl.col(name), dtype)
        wanted.append(hashes.filter(keep).unique().sort().head(HASHES).implode().alias(name))
    [found] = engine.collect([frame.select(wanted)])
    taken = {name: smallest(found[name].explode(empty_as_null=False)) for name in limits}
    # An unlucky limit: too few hashes lie below it for them to be the smallest of all.
    whole = HASH_SPACE - 1
    again = {name: whole for name, hashed in taken.items() if len(hashed) < HASHES and limits[name] < whole}
    return taken | _smallest_hashes(rows, again, special, engine)


_HASHED = "__hash:"
