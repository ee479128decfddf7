"""Several key columns as one: a text that tells any two combinations apart, a hash over all of them."""

from __future__ import annotations

import polars as pl

from headrace.engines.engine import Engine
from headrace.engines.kernels import xxhash64


def combined(columns: tuple[str, ...], schema: pl.Schema) -> pl.Expr:
    """The columns as one String, different for different combinations; null where one of them is null.

    Each value is written with its length in bytes before it, so that no separator inside a value can mislead.
    """
    parts: list[pl.Expr] = []
    for column in columns:
        text = _text(pl.col(column), schema[column])
        parts += [text.str.len_bytes().cast(pl.String), pl.lit(":"), text]
    return pl.concat_str(parts)


def hash64(
    frame: pl.LazyFrame, columns: tuple[str, ...], schema: pl.Schema, output: str, engine: Engine
) -> pl.LazyFrame:
    """`output` (UInt64): the XXH64 of one column, or that of several, hash by hash in order; a null hashes to 0."""
    hashes = [f"{output}:{i}" for i in range(len(columns))]
    for column, hashed in zip(columns, hashes, strict=True):
        frame = xxhash64.hash64(engine, frame, column, schema[column], hashed)
    frame = frame.with_columns(pl.col(hashes[0]).fill_null(0).alias(output))
    for hashed in hashes[1:]:
        frame = frame.with_columns(pl.col(hashed).fill_null(0))
        frame = xxhash64.hash64_pair(engine, frame, output, hashed, output)
    return frame.drop(hashes)


def _text(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if dtype == pl.String:
        return value
    if dtype.is_temporal():
        return value.to_physical().cast(pl.String)
    return value.cast(pl.Int64 if dtype == pl.Boolean else dtype).cast(pl.String)
