"""The rows that operators are compared on: the same numbers of rows give the same values, column by column."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

Draw = np.random.Generator
Ints = npt.NDArray[np.int64]

START: Final = 1_577_836_800_000_000
"""2020-01-01 in microseconds."""

_WORDS: Final = 5_000
_LONGEST: Final = 8


def rows_of(columns: Iterable[str], rows: int) -> pl.DataFrame:
    """These columns, each drawn on its own, in one chunk."""
    return pl.DataFrame([column(name, rows) for name in columns]).rechunk()


def column(name: str, rows: int) -> pl.Series:
    """One column; raises KeyError for a name that is none."""
    return COLUMNS[name](np.random.default_rng(zlib.crc32(name.encode())), rows).alias(name)


def cities() -> pl.DataFrame:
    """The table that is joined by key: a row per city."""
    draw = np.random.default_rng(1)
    names = pl.Series("city", [f"City {n}" for n in range(1_000)])
    return pl.DataFrame([names, pl.Series("people", draw.integers(1_000, 9_000_000, 1_000))])


def weather() -> pl.DataFrame:
    """The table that is joined by key and time: a row per city and week, in the order of time."""
    draw = np.random.default_rng(2)
    weeks, city = np.repeat(np.arange(160), 1_000), np.tile(np.arange(1_000), 160)
    return pl.DataFrame(
        {
            "city": pl.Series(city).cast(pl.String).str.replace("^", "City "),
            "at": pl.Series(START + weeks * 604_800_000_000).cast(pl.Datetime("us")),
            "wind": draw.gamma(2.0, 3.0, len(city)),
        }
    )


def _with_nulls(values: pl.Series, draw: Draw, share: float = 0.05) -> pl.Series:
    return values.zip_with(pl.Series(draw.random(len(values)) >= share), pl.Series([None], dtype=values.dtype))


def _zipf(draw: Draw, rows: int, values: int) -> Ints:
    """Numbers below `values`, small ones more often."""
    return np.minimum((values ** draw.random(rows)).astype(np.int64) - 1, values - 1)


def _labels(numbers: Ints, prefix: str) -> pl.Series:
    return pl.DataFrame({"n": numbers}).select(pl.format(f"{prefix}{{}}", "n")).to_series()


def _moments(draw: Draw, rows: int) -> pl.Series:
    """Three years in random order, no two of them equal."""
    step = 3 * 365 * 86_400_000_000 // max(rows, 1)
    return pl.Series(START + draw.permutation(rows) * step).cast(pl.Datetime("us"))


def _texts(draw: Draw, rows: int) -> pl.Series:
    """Four words, some in capitals, with white space at the ends of some."""
    lengths = draw.integers(2, 10, _WORDS)
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
    words = [letters[draw.integers(0, 26, length)].tobytes().decode() for length in lengths]
    words = [word.capitalize() if n % 3 == 0 else word.upper() if n % 17 == 0 else word for n, word in enumerate(words)]
    known = pl.Series([w.replace("e", "é", 1) if n % 20 == 0 else w for n, w in enumerate(words)])
    parts = {str(i): known.gather(_zipf(draw, rows, _WORDS)) for i in range(4)}
    parts["0"] = pl.Series(np.array(["", " ", "\t"])[draw.integers(0, 3, rows)]) + parts["0"]
    return _with_nulls(pl.DataFrame(parts).select(pl.concat_str("0", "1", "2", "3", separator=" ")).to_series(), draw)


def _lists(draw: Draw, rows: int, values: Callable[[int], pl.Series]) -> pl.Series:
    lengths = draw.integers(0, _LONGEST + 1, rows)
    row = pl.Series(np.repeat(np.arange(rows), lengths))
    made = pl.DataFrame({"row": row, "value": values(int(lengths.sum()))})
    lists = made.group_by("row", maintain_order=True).agg("value")
    every = pl.DataFrame({"row": np.arange(rows)}).join(lists, on="row", how="left", maintain_order="left")["value"]
    return _with_nulls(every.fill_null(pl.Series([[]], dtype=every.dtype)), draw)


COLUMNS: Final[Mapping[str, Callable[[Draw, int], pl.Series]]] = {
    "key": lambda draw, rows: pl.Series(draw.permutation(rows)),
    "number": lambda draw, rows: _with_nulls(pl.Series(draw.normal(20.0, 30.0, rows)), draw),
    "price": lambda draw, rows: _with_nulls(pl.Series(draw.lognormal(3.0, 1.0, rows)), draw),
    "whole": lambda draw, rows: _with_nulls(pl.Series(draw.integers(-1_000, 1_000, rows)), draw),
    "age": lambda draw, rows: _with_nulls(pl.Series(draw.integers(0, 100, rows)), draw),
    "flag": lambda draw, rows: pl.Series(draw.random(rows) < 0.3),
    "moment": _moments,
    "text": _texts,
    "kind": lambda draw, rows: _with_nulls(_labels(_zipf(draw, rows, 8), "kind "), draw),
    "city": lambda draw, rows: _with_nulls(_labels(_zipf(draw, rows, 1_000), "City "), draw),
    "user": lambda draw, rows: _labels(_zipf(draw, rows, 200_000), "user-"),
    "item": lambda draw, rows: _with_nulls(pl.Series(_zipf(draw, rows, 1_000_000)), draw),
    "entity": lambda draw, rows: pl.Series(draw.integers(0, max(rows // 50, 1), rows)),
    "scores": lambda draw, rows: _lists(draw, rows, lambda n: pl.Series(draw.normal(size=n))),
    "tags": lambda draw, rows: _lists(draw, rows, lambda n: _labels(_zipf(draw, n, 100), "tag ")),
}


def columns_of(plain: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that a step's fields name."""
    found: dict[str, None] = {}
    for value in plain.values():
        values = value if isinstance(value, list | tuple) else [value]
        found.update(dict.fromkeys(v for v in values if isinstance(v, str) and v in COLUMNS))
    return tuple(found)
