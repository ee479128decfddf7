"""Times without their zones, so that a day has 24 hours: on zoned times Polars counts days of the zone's calendar."""

from __future__ import annotations

import polars as pl


def utc(column: str, dtype: pl.DataType) -> pl.Expr:
    """The time as the clocks of UTC show it, in its own unit; dates and times without a zone as they are."""
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return pl.col(column).cast(pl.Datetime(dtype.time_unit))
    return pl.col(column)
