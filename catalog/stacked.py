"""The same as `by_column` where a query costs more than its rows: columns of a kind are put on top of each other.

On a GPU a node of a query costs tens of microseconds before a row is looked at. Here their number hardly grows with
the columns: a value goes with the number of its column, and what is done to it is written once for all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import polars as pl

from headrace.catalog import by_column
from headrace.catalog.hashing import bits, mixed
from headrace.catalog.partials import HASHES, VALUES
from headrace.catalog.scalars import finite
from headrace.engines.engine import Engine, Held
from headrace.engines.kernels.xxhash64 import hash64

COLUMN: Final = "column"
VALUE: Final = "value"
HASH: Final = "hash"


def group(rows: Held, names: Collection[str], special: Collection[str], engine: Engine) -> dict[str, pl.DataFrame]:
    """As `by_column.group`; texts, which would have to be copied to be stacked, are left to it.

    Parameters
    ----------
    names
        Columns with at least one finite value.
    special
        The columns where not every value is finite.
    """
    schema = dict(rows.schema)
    kinds = _kinds({name: schema[name] for name in names if schema[name] != pl.String})
    queries = [
        _stack(rows, kind, columns, special)
        .with_columns(pl.col(VALUE) + 0.0 if kind.is_float() else pl.col(VALUE))  # one zero
        .group_by(COLUMN, VALUE)
        .agg(pl.len().cast(pl.UInt64).alias("count"))
        .with_columns(pl.len().over(COLUMN).alias("values"))
        .filter(pl.col("values") <= VALUES)
        .drop("values")
        .sort(COLUMN, VALUE)
        for kind, columns in kinds.items()
    ]
    found: dict[str, pl.DataFrame] = {}
    for columns, counts in zip(kinds.values(), engine.collect(queries, any_order=True), strict=True):
        for name, own in _apart(counts, columns):
            found[name] = own.with_columns(pl.col(VALUE).cast(schema[name]))
    return found | by_column.group(rows, [name for name in names if schema[name] == pl.String], engine)


def smallest_hashes(
    rows: Held, limits: Mapping[str, int], special: Collection[str], engine: Engine
) -> dict[str, pl.Series]:
    """As `by_column.smallest_hashes`, on any engine."""
    schema = dict(rows.schema)
    kinds = _kinds({name: schema[name] for name in limits if schema[name] != pl.String})
    texts = [name for name in limits if schema[name] == pl.String]
    order = [*(name for columns in kinds.values() for name in columns), *texts]
    parts = [
        _stack(rows, kind, columns, special, order.index(columns[0])).select(
            COLUMN, bits(pl.col(VALUE), kind, engine.name).alias(HASH)
        )
        for kind, columns in kinds.items()
    ]
    hashed = [pl.concat(parts).select(COLUMN, mixed(pl.col(HASH)).alias(HASH))] if parts else []
    for name in texts:
        own = hash64(engine, rows.lazy().select(pl.col(name).alias(VALUE)), VALUE, pl.String(), HASH)
        hashed.append(own.select(_number(order.index(name)), HASH).filter(pl.col(HASH).is_not_null()))
    limit = pl.lit(pl.Series([limits[name] for name in order], dtype=pl.UInt64)).gather(pl.col(COLUMN))
    query = pl.concat(hashed).filter(pl.col(HASH) < limit).unique().sort(COLUMN, HASH)
    [found] = engine.collect([query])
    none = {name: pl.Series(HASH, [], pl.UInt64) for name in limits}
    return none | {name: own[HASH].head(HASHES) for name, own in _apart(found, order)}


def _stack(rows: Held, kind: pl.DataType, names: list[str], special: Collection[str], first: int = 0) -> pl.LazyFrame:
    """column, value: the finite values of columns of a kind, with the column's number from `first` on."""
    parts = []
    for number, name in enumerate(names, first):
        part = rows.lazy().select(_number(number), pl.col(name).cast(kind).alias(VALUE))
        parts.append(part.filter(finite(pl.col(VALUE), kind)) if name in special else part)
    return pl.concat(parts)


def _number(number: int) -> pl.Expr:
    return pl.lit(number, pl.Int32).alias(COLUMN)


def _kinds(schema: Mapping[str, pl.DataType]) -> dict[pl.DataType, list[str]]:
    """The columns by the dtype that they are stacked as, which holds their values exactly."""
    kinds: dict[pl.DataType, list[str]] = {}
    for name, dtype in schema.items():
        kind = pl.Float64() if dtype.is_float() else pl.UInt64() if dtype == pl.UInt64 else pl.Int64()
        kinds.setdefault(kind, []).append(name)
    return kinds


def _apart(stacked: pl.DataFrame, names: list[str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each column's own rows."""
    for (number,), own in stacked.partition_by(COLUMN, as_dict=True, maintain_order=True, include_key=False).items():
        yield names[number], own
