"""A constant of a column's own type: what a value in a step means for the column it meets."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import polars as pl
from pydantic import BeforeValidator

from headrace.schemas.values import integer_range, literal

__all__ = ["Value", "integer_range", "lit", "literal"]

Value = Annotated[
    bool | int | float | str,
    BeforeValidator(lambda value: value.isoformat() if isinstance(value, (date, datetime)) else value),
]
"""A constant as it stands in YAML and JSON; dates and times as ISO 8601 text."""


def lit(value: bool | int | float | str, dtype: pl.DataType) -> pl.Expr:
    """The value as an expression of exactly that type."""
    return pl.lit(literal(value, dtype), dtype=dtype)
