"""Column types by name, and which casts mean the same on every engine."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

import polars as pl

DTYPES: Final[Mapping[str, pl.DataType]] = {
    **{str(dtype): dtype for dtype in (
        pl.Boolean(), pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64(),
        pl.Float32(), pl.Float64(), pl.String(), pl.Date(),
    )},
    "Datetime": pl.Datetime("us"),
    **{f"Datetime[{unit}]": pl.Datetime(unit) for unit in ("ns", "us", "ms")},
}  # fmt: skip


def dtype_name(value: Any) -> str:
    """The name of a type that is given by name or as Polars' own.

    Raises
    ------
    ValueError
        A name that is none of `DTYPES`, with those that look like it.
    """
    if isinstance(value, type) and issubclass(value, pl.DataType):
        value = value()
    if isinstance(value, pl.DataType):
        value = next((name for name, dtype in DTYPES.items() if dtype == value), str(value))
    if value in DTYPES:
        return str(value)
    near = get_close_matches(str(value).capitalize(), DTYPES, n=2) or get_close_matches(str(value), DTYPES, n=2)
    meant = f"; did you mean {' or '.join(near)}?" if near else f"; the types are {', '.join(DTYPES)}"
    raise ValueError(f"unknown type {str(value)!r}{meant}")


def castable(source: pl.DataType, target: pl.DataType) -> bool:
    """Whether a cast is offered: the text of floats and times differs between engines, so those are not."""
    number = source.is_numeric() or source == pl.Boolean
    if source == target:
        return True
    if target.is_numeric():
        return number or source == pl.String or (_is_time(source) and target.is_integer())
    if target == pl.Boolean:
        return number
    if target == pl.String:
        return source.is_integer() or source == pl.Boolean
    return _is_time(source) or source.is_integer()


def _is_time(dtype: pl.DataType) -> bool:
    return dtype in (pl.Date, pl.Datetime)
