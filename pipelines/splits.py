"""Which split a row belongs to: by time, by the hash of a key, or by a fraction of the rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, time
from itertools import pairwise
from typing import Annotated, Literal

import polars as pl
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from headrace.engines.engine import Engine
from headrace.engines.kernels.xxhash64 import hash64
from headrace.schemas.errors import PipelineError
from headrace.schemas.names import ROW, SPLIT
from headrace.transforms.base import CATEGORY


class _Split(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _shares(fractions: dict[str, float]) -> dict[str, float]:
    if not fractions or any(f <= 0 for f in fractions.values()) or abs(sum(fractions.values()) - 1) > 1e-9:
        raise ValueError(f"fractions must be positive and add up to 1, got {fractions}")
    if "train" in fractions and next(iter(fractions)) != "train":
        raise ValueError("name train first: statistics are learned on the first split")
    _refuse_names(fractions)
    return fractions


def _refuse_names(names: Iterable[str]) -> None:
    wrong = [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) or name in _TAKEN]
    if wrong:
        raise ValueError(
            f"{wrong[0]!r} cannot be a split's name; use lower-case letters, digits and _, not {', '.join(_TAKEN)}"
        )


Fractions = Annotated[dict[str, float], AfterValidator(_shares)]


class TimeSplit(_Split):
    """By time: `train` up to the first of `starts`, then each split from its start to the next.

    Parameters
    ----------
    column
        A date or a datetime, at this point of the steps. A null belongs to no split and is left out.
    starts
        Split name to ISO date or time, ascending. A time without a zone is meant in the column's zone.
    """

    by: Literal["time"] = "time"
    column: str
    starts: dict[str, datetime] = Field(min_length=1)

    @field_validator("starts")
    @classmethod
    def _ascending(cls, starts: dict[str, datetime]) -> dict[str, datetime]:
        if len({start.tzinfo is None for start in starts.values()}) > 1:
            raise ValueError("give all starts a time zone, or none")
        if any(a >= b for a, b in pairwise(starts.values())):
            given = ", ".join(f"{name} {start.isoformat()}" for name, start in starts.items())
            raise ValueError(f"the starts of the splits must ascend, got {given}")
        _refuse_names(starts)
        if "train" in starts:
            raise ValueError("train is what lies before the first start; it has no start of its own")
        return starts

    @property
    def names(self) -> tuple[str, ...]:
        return ("train", *self.starts)

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def rules(self) -> dict[str, str]:
        """Which rows are in each split, in words."""
        times = [start.isoformat() for start in self.starts.values()]
        begins = ["", *(f" from {time}" for time in times)]
        ends = [*(f" before {time}" for time in times), ""]
        return {
            name: self.column + (begin + " and" + end if begin and end else begin + end)
            for name, begin, end in zip(self.names, begins, ends, strict=True)
        }

    def assign(self, frame: pl.LazyFrame, schema: pl.Schema, engine: Engine) -> pl.LazyFrame:
        dtype = schema[self.column]
        if not dtype.is_temporal() or dtype in (pl.Time, pl.Duration):
            raise PipelineError(f"a split by time needs a date or a datetime, got {dtype} in column {self.column!r}")
        part = pl.lit(0, pl.UInt8)
        for index, start in enumerate(self.starts.values(), 1):
            part = (
                pl.when(pl.col(self.column) >= _boundary(start, dtype, self.column))
                .then(pl.lit(index, pl.UInt8))
                .otherwise(part)
            )
        return frame.with_columns(pl.when(pl.col(self.column).is_not_null()).then(part).alias(SPLIT))


def _boundary(start: datetime, dtype: pl.DataType, column: str) -> pl.Expr:
    if dtype == pl.Date:
        if start.time() != time():
            raise PipelineError(f"a split by time starts at {start.isoformat()}, but {column!r} is a date: give dates")
        return pl.lit(start.date(), pl.Date)
    assert isinstance(dtype, pl.Datetime)
    value = pl.Series([start.replace(tzinfo=None)], dtype=pl.Datetime("us"))
    if start.tzinfo is not None:
        if dtype.time_zone is None:
            raise PipelineError(
                f"a split by time starts at {start.isoformat()}, but {column!r} has no time zone",
                hint="leave the zone out, or give the column one",
            )
        value = pl.Series([start.astimezone(UTC)]).dt.convert_time_zone(dtype.time_zone).dt.cast_time_unit("us")
    elif dtype.time_zone is not None:
        value = value.dt.replace_time_zone(dtype.time_zone, ambiguous="earliest", non_existent="null")
        if value.null_count():
            raise PipelineError(f"a split by time starts at {start.isoformat()}, which {dtype.time_zone} skips")
    return pl.lit(value.cast(pl.Datetime(dtype.time_unit, dtype.time_zone)).item(), dtype)


class HashSplit(_Split):
    """By the XXH64 of key columns: rows of one key stay together, and stay where they are when data are added."""

    by: Literal["hash"] = "hash"
    columns: tuple[str, ...] = Field(min_length=1)
    fractions: Fractions
    seed: int = Field(0, ge=0)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.fractions)

    @property
    def reads(self) -> tuple[str, ...]:
        return self.columns

    @property
    def rules(self) -> dict[str, str]:
        """Which rows are in each split, in words."""
        return _in_words(self.fractions, f"the hash of {', '.join(self.columns)}", self.seed)

    def assign(self, frame: pl.LazyFrame, schema: pl.Schema, engine: Engine) -> pl.LazyFrame:
        for column in self.columns:
            if not CATEGORY.test(schema[column]) and schema[column] != pl.Datetime:
                raise PipelineError(
                    f"a split by hash takes {CATEGORY.words}, got {schema[column]} in column {column!r}"
                )
        hashed = hash_columns(frame, self.columns, schema, engine, seed=self.seed, output=_HASH)
        return _by_share(hashed, self.fractions)


class FractionSplit(_Split):
    """By the XXH64 of the row's number in the source: a seeded random part of the rows."""

    by: Literal["fraction"] = "fraction"
    fractions: Fractions
    seed: int = Field(0, ge=0)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.fractions)

    @property
    def reads(self) -> tuple[str, ...]:
        return ()

    @property
    def rules(self) -> dict[str, str]:
        """Which rows are in each split, in words."""
        return _in_words(self.fractions, "the hash of the row number", self.seed)

    def assign(self, frame: pl.LazyFrame, schema: pl.Schema, engine: Engine) -> pl.LazyFrame:
        hashed = hash64(engine, frame, ROW, pl.Int64(), _HASH, seed=self.seed)
        return _by_share(hashed, self.fractions)


def hash_columns(
    frame: pl.LazyFrame, columns: tuple[str, ...], schema: pl.Schema, engine: Engine, *, seed: int, output: str
) -> pl.LazyFrame:
    """One UInt64 per row from several columns in order; a null counts as a value of its own."""
    combined: pl.Expr | None = None
    parts = [f"{output}_{i}" for i in range(len(columns))]
    for column, part in zip(columns, parts, strict=True):
        frame = hash64(engine, frame, column, schema[column], part, seed=seed)
        value = pl.col(part).fill_null(_NULL_HASH)
        combined = value if combined is None else combined * pl.lit(_ODD, pl.UInt64) + value
    assert combined is not None
    return frame.with_columns(combined.alias(output)).drop(parts)


def _by_share(frame: pl.LazyFrame, fractions: dict[str, float]) -> pl.LazyFrame:
    # 2^32 steps: the top half of the hash, so that the comparison is exact in Int64.
    place = (pl.col(_HASH) // pl.lit(1 << 32, pl.UInt64)).cast(pl.Int64, wrap_numerical=True)
    part = pl.lit(len(fractions) - 1, pl.UInt8)
    bound = 0.0
    bounds = []
    for fraction in list(fractions.values())[:-1]:
        bound += fraction
        bounds.append(round(bound * (1 << 32)))
    for index in reversed(range(len(bounds))):
        part = pl.when(place < bounds[index]).then(pl.lit(index, pl.UInt8)).otherwise(part)
    return frame.with_columns(part.alias(SPLIT)).drop(_HASH)


def _in_words(fractions: dict[str, float], of: str, seed: int) -> dict[str, str]:
    return {name: f"{fraction:.6g} of the rows, by {of}, seed {seed}" for name, fraction in fractions.items()}


_TAKEN = ("state", "quarantine", "baselines", "models")
_HASH = "__split_hash"
_NULL_HASH = pl.lit(0x9E3779B97F4A7C15, pl.UInt64)
_ODD = 0x9E3779B185EBCA87
