"""Columns of every dtype that can be published from a device."""

from __future__ import annotations

import math

import polars as pl


def every_dtype(count: int, rows: int) -> pl.DataFrame:
    """A column of every dtype that can be on a device, of so many distinct values, with nulls, NaN and infinities."""
    number = pl.int_range(rows, dtype=pl.Int64) * 7919 % count
    half = number.cast(pl.Float64) / 2 - 3
    whole = [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64]
    temporal = [pl.Datetime("ms"), pl.Datetime("us", "UTC"), pl.Datetime("ns", "Europe/Berlin"), pl.Duration("us")]
    special = pl.when(number % 50 == 1).then(math.nan).when(number % 50 == 2).then(-math.inf).otherwise(half)
    columns = {
        **{f"{dtype}": number.cast(dtype, strict=False) for dtype in whole},
        "signed": 10 - number,
        "wide": number * 2**40 - 2**60,
        "float": half,
        "narrow": half.cast(pl.Float32),
        "special": special,
        "special narrow": special.cast(pl.Float32),
        "tiny": half * 1e-310,
        "bool": number % 2 == 0,
        "text": pl.format("Nü{}", number),
        "long": pl.format("{}{}", pl.lit("x" * 300), number),
        "date": (number - 5).cast(pl.Int32).cast(pl.Date),
        **{f"{dtype}": (number * 1000).cast(dtype) for dtype in temporal},
        "decimal": half.cast(pl.Decimal(10, 2)),
        "list": pl.concat_list(number, number),
        "array": pl.concat_list(number, number).list.to_array(2),
        "struct": pl.struct(number),
    }
    missing = pl.int_range(rows) % 10 == 3
    return pl.select(
        pl.when(~missing | (pl.lit(name) == "Int32")).then(expr).alias(name) for name, expr in columns.items()
    )
