"""Which columns a query depends on: what Polars asks of a source that runs it, on no rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl
from polars.io.plugins import register_io_source


def asked(schema: pl.Schema, query: Callable[[pl.LazyFrame], pl.LazyFrame]) -> set[str]:
    """The columns of `schema` that the query needs, filters included."""
    found: set[str] = set()

    def nothing(columns: list[str] | None, predicate: pl.Expr | None, *_: int | None) -> Iterator[pl.DataFrame]:
        found.update(schema if columns is None else columns)
        found.update(() if predicate is None else predicate.meta.root_names())
        empty = pl.DataFrame(schema=schema)
        yield empty if columns is None else empty.select(columns)

    query(register_io_source(nothing, schema=schema)).collect()
    return found
