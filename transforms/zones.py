"""Time zones: their names, and TimeZone, which shows instants on another zone's clocks or reads times off them."""

from __future__ import annotations

import zoneinfo
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, ClassVar, Final, Literal, Self

import polars as pl
from pydantic import AfterValidator, model_validator

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Accepts, Transform
from headrace.transforms.columns import Columns


def _known(zone: str) -> str:
    try:
        pl.Series([0]).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    except pl.exceptions.ComputeError:
        near = get_close_matches(zone, zoneinfo.available_timezones(), n=2)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"unknown time zone {zone!r}{meant}") from None
    return zone


Zone = Annotated[str, AfterValidator(_known)]
"""The name of a zone that Polars knows, such as `America/New_York`."""

Ambiguous = Literal["earliest", "latest", "null"]

_DAY: Final = timedelta(days=1)


class TimeZone(Transform):
    """Show the same instants in another zone, or read times without a zone as those of a zone's clocks.

    Parameters
    ----------
    columns
        Datetimes. Null stays null.
    zone
        The zone of the result, such as `America/New_York`.
    mode
        `convert`: the instants stay, and are shown in the zone; a time without a zone counts as UTC. `set`: the times
        are those of the zone's clocks, and the instants are found; they must have no zone yet.
    ambiguous
        With `set`: what a time becomes that clocks show twice, when they are set back: the `earliest` of the two
        instants, which no join by time can take for a later one than it was, the `latest`, or `null`.
    missing
        With `set`: what a time becomes that clocks skip, when they are set forward: `null`, for there is no such
        instant, or `shift`: later by as much as they skip, as if they had not been set yet.
    output
        Name of the result, a Datetime of the column's unit in that zone; `{column}` stands for the input's.

    Raises
    ------
    PipelineError
        An unknown zone, a column that is no datetime, or with `set` one that has a zone.
    ValueError
        `ambiguous` or `missing` with `convert`: each instant is shown once.

    Notes
    -----
    With `convert` no instant moves: of the two that a clock shows alike when it is set back, each stays what it is.
    Only the type changes, which is free. With `set`, the rules are those of Python's zoneinfo (PEP 495) for `fold=0` if
    `missing` is `shift`, which goes by what clocks were ahead of UTC a day before. Zones change by the tables of
    Polars, which end in 2099. No twin in NVTabular, TFT, Ray Data or Feast. One pass, no state.

    Examples
    --------
    >>> from datetime import datetime
    >>> from headrace.engines.cpu import CpuEngine
    >>> frame = pl.LazyFrame({"at": [datetime(2013, 1, 1, 5)]})
    >>> str(TimeZone(columns="at", zone="America/New_York").apply(frame, CpuEngine()).collect()["at"].item())
    '2013-01-01 00:00:00-05:00'
    >>> local = TimeZone(columns="at", zone="America/New_York", mode="set")
    >>> str(local.apply(frame, CpuEngine()).collect()["at"].item())
    '2013-01-01 05:00:00-05:00'
    """

    accepts: ClassVar[Accepts] = Accepts(lambda dtype: dtype == pl.Datetime, "a datetime")
    elementwise: ClassVar[bool] = True

    columns: Columns
    zone: Zone
    mode: Literal["convert", "set"] = "convert"
    ambiguous: Ambiguous = "earliest"
    missing: Literal["null", "shift"] = "null"
    output: str = "{column}"

    @model_validator(mode="after")
    def _rules_where_they_matter(self) -> Self:
        for name in ("ambiguous", "missing") if self.mode == "convert" else ():
            if name in self.model_fields_set:
                raise ValueError(f"`{name}` is for mode `set`; with `convert` each instant is shown once")
        return self

    def check(self, schema: pl.Schema) -> None:
        for column in self.columns:
            zone = getattr(schema[column], "time_zone", None)
            if self.mode == "set" and zone is not None:
                raise PipelineError(
                    f"TimeZone(set) takes times without a zone, got column {column!r} in {zone}",
                    hint="mode convert shows the same instants in another zone",
                )

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        return frame.with_columns(
            (
                self._read(pl.col(column)) if self.mode == "set" else in_zone(pl.col(column), schema[column], self.zone)
            ).alias(output)
            for column, output in zip(self.columns, self.writes, strict=True)
        )

    def _read(self, clock: pl.Expr) -> pl.Expr:
        instant = clock.dt.replace_time_zone(self.zone, ambiguous=self.ambiguous, non_existent="null")
        if self.missing == "null":
            return instant
        if self.ambiguous == "null":
            exists = clock.dt.replace_time_zone(self.zone, ambiguous="earliest", non_existent="null").is_not_null()
        else:
            exists = instant.is_not_null()
        day_before = (clock - _DAY).dt.replace_time_zone(self.zone, ambiguous="latest", non_existent="null")
        shifted = (day_before.dt.convert_time_zone("UTC").dt.replace_time_zone(None) + _DAY).dt.replace_time_zone("UTC")
        return pl.when(exists).then(instant).otherwise(shifted.dt.convert_time_zone(self.zone))


def in_zone(time: pl.Expr, dtype: pl.DataType, zone: str) -> pl.Expr:
    """The same instants in a zone; times without one count as UTC."""
    aware = time if getattr(dtype, "time_zone", None) else time.dt.replace_time_zone("UTC")
    return aware.dt.convert_time_zone(zone)
