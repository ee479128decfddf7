"""LookupJoin and AsOfJoin: columns of another table of the source, by key or by key and time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal

import polars as pl
from pydantic import Field, model_validator

from headrace.engines.engine import Engine
from headrace.engines.kernels.asof import Direction, JoinAsof
from headrace.engines.utc import utc
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Join, Transform
from headrace.transforms.columns import Columns
from headrace.transforms.duration import Duration, format_duration
from headrace.transforms.table import Table
from headrace.transforms.tables import Keys, brought_columns, check_fit, table_of


class LookupJoin(Join):
    """Add columns of a table that has one row per key.

    Parameters
    ----------
    table
        Name of a table of the source.
    on
        The key: a column, several, or `{column of the rows: column of the table}`.
    columns
        Which of the table's columns to bring; all but the key by default.
    keep
        Which of several rows of one key counts: the `first` or the `last` in the order of the table. By default a table
        with such keys is refused.
    prefix, suffix
        Put around the names of the columns that are brought.

    Raises
    ------
    PipelineError
        A table, a column or a key that is not there, keys of different types, names that the rows already have, or
        several rows of one key without `keep`.

    Notes
    -----
    A row whose key is null or not in the table gets nulls. Rows keep their number and order: a row never becomes
    several, for then ids of rows, folds, splits and counts would no longer mean what they say. Where all rows of a key
    matter, turn the join around (make the many rows the source and look up the one) or sum them up first. Keys are of
    one dtype in rows and table, or integers of any width. The table is held in memory by each worker. The twin of
    NVTabular's `JoinExternal`, which lets rows become several, and of TFT's table lookup. Cost: one pass over the rows,
    which are joined by hash.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> from headrace.transforms.table import Table
    >>> planes = Table(pl.DataFrame({"tail": ["N1", "N2", "N1"], "seats": [100, 50, 120]}))
    >>> joined = LookupJoin(table="planes", on="tail", keep="last").bind({"planes": planes})
    >>> joined.apply(pl.LazyFrame({"tail": ["N2", "N1", None]}), CpuEngine()).collect()["seats"].to_list()
    [50, 120, None]
    """

    on: Keys
    columns: Columns | None = None
    keep: Literal["first", "last"] | None = None
    prefix: str = ""
    suffix: str = ""

    @model_validator(mode="after")
    def _has_a_key(self) -> LookupJoin:
        if not self.on:
            raise ValueError("on must name at least one column")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(self.on)

    def bind(self, tables: Mapping[str, Table]) -> LookupJoined:
        frame = table_of(self, tables)
        brought = brought_columns(self, frame, tuple(self.on.values()), self.on, self.columns, self.prefix, self.suffix)
        keys = list(self.on.values())
        known = frame.drop_nulls(keys)
        if self.keep is not None:
            known = known.unique(keys, keep=self.keep, maintain_order=True)
        repeated = known.group_by(keys).len("rows").filter(pl.col("rows") > 1).sort("rows", *keys, descending=True)
        if repeated.height:
            example = ", ".join(f"{k} = {v!r}" for k, v in zip(keys, repeated.row(0)[:-1], strict=True))
            raise PipelineError(
                f"LookupJoin: table {self.table!r} has several rows for {repeated.height} of its keys "
                f"({example} has {repeated['rows'][0]}); a row would become several",
                hint="name more columns in `on`, or say with `keep` which row of a key counts: first or last",
            )
        left = {right: left for left, right in self.on.items()}
        bound = known.select(
            *(pl.col(k).alias(left[k]) for k in keys), *(pl.col(c).alias(n) for c, n in brought.items())
        )
        return LookupJoined(table_name=self.table, on=tuple(self.on), table=Table(bound.rechunk()))


class LookupJoined(Transform):
    """A left join with a table whose key columns `on` are called as in the rows; all its other columns are added."""

    table_name: str
    on: tuple[str, ...]
    table: Table

    @property
    def reads(self) -> tuple[str, ...]:
        return self.on

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(c for c in self.table.frame.columns if c not in self.on)

    def check(self, schema: pl.Schema) -> None:
        check_fit("LookupJoin", self.table_name, schema, self.table.frame.schema, self.on, self.writes)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        self.check(schema)
        table = self.table.frame.lazy().cast({c: schema[c] for c in self.on}, strict=False).drop_nulls(self.on)
        return frame.join(table, on=list(self.on), how="left", maintain_order="left")


class AsOfJoin(Join):
    """Add the last row of a table, per key, whose time is not after the row's.

    Parameters
    ----------
    table
        Name of a table of the source.
    on
        The row's time: a date or a datetime.
    table_on
        The table's time; called like `on` by default.
    by
        The key: a column, several, or `{column of the rows: column of the table}`; none matches on time alone.
    columns
        Which of the table's columns to bring; all but key and time by default.
    lag
        How long before the row's time a match must lie, at least: `"1h"`. By default a match of the very same time
        counts.
    tolerance
        How long before the row's time it may lie, at most: `"6h"`.
    direction
        `backward`; `forward` takes the first row from `lag` after the row's time on, and only with `allow_future`.
    allow_future
        Whether `forward` may be said: it shows a row what was not known at its time.
    prefix, suffix
        Put around the names of the columns that are brought.

    Notes
    -----
    Of table rows of equal key and time the last one counts, in the order of the table; with `forward` the first. Rows
    and table may come in any order of time. Null keys and times match nothing. Rows keep their number and order. Dates
    count from midnight. Times with a zone are compared as instants, and `lag` and `tolerance` of a day are 24 hours,
    also when the clocks change; both sides are of one zone, or both of none. The table is held in memory by each
    worker. Cost: one sort of the table, and one of each partition by key and time.
    Known elsewhere as merge_asof (pandas), join_asof (Polars) and ASOF JOIN (DuckDB), and as the point-in-time join of
    Feast and Chronon; NVTabular, TFT and Ray Data have none.

    Examples
    --------
    >>> from datetime import datetime
    >>> from headrace.engines.cpu import CpuEngine
    >>> from headrace.transforms.table import Table
    >>> times = [datetime(2024, 1, 1, hour) for hour in (0, 6, 12)]
    >>> weather = Table(pl.DataFrame({"at": times, "wind": [1.0, 2.0, 3.0]}))
    >>> joined = AsOfJoin(table="weather", on="at", lag="1h").bind({"weather": weather})
    >>> rows = pl.LazyFrame({"at": [datetime(2024, 1, 1, 7), datetime(2024, 1, 1, 12), datetime(2024, 1, 1)]})
    >>> joined.apply(rows, CpuEngine()).collect()["wind"].to_list()
    [2.0, 2.0, None]
    """

    on: str
    table_on: str = ""
    by: Keys = Field(default_factory=dict)
    columns: Columns | None = None
    lag: Duration = timedelta(0)
    tolerance: Duration | None = None
    direction: Direction = "backward"
    allow_future: bool = False
    prefix: str = ""
    suffix: str = ""

    @model_validator(mode="after")
    def _fields_agree(self) -> AsOfJoin:
        if self.direction == "forward" and not self.allow_future:
            raise ValueError("direction='forward' looks into the future; write allow_future=true if that is meant")
        if self.tolerance is not None and self.tolerance < self.lag:
            raise ValueError(
                f"tolerance ({format_duration(self.tolerance)}) is below lag ({format_duration(self.lag)}): "
                "nothing could match"
            )
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return (*self.by, self.on)

    def bind(self, tables: Mapping[str, Table]) -> AsOfJoined:
        frame = table_of(self, tables)
        time = self.table_on or self.on
        keys = list(self.by.values())
        brought = brought_columns(self, frame, (*keys, time), self.by, self.columns, self.prefix, self.suffix)
        if frame.schema[time] not in (pl.Date, pl.Datetime):
            raise PipelineError(
                f"AsOfJoin takes a date or a datetime as the table's time, got {frame.schema[time]} "
                f"in column {time!r} of table {self.table!r}"
            )
        left = {right: left for left, right in self.by.items()}
        bound = (
            frame.drop_nulls([*keys, time])
            .sort(time, maintain_order=True)
            .select(
                *(pl.col(k).alias(left[k]) for k in keys),
                pl.col(time).alias(_TABLE_TIME),
                *(pl.col(c).alias(n) for c, n in brought.items()),
            )
        )
        return AsOfJoined(
            table_name=self.table,
            on=self.on,
            by=tuple(self.by),
            lag=self.lag,
            tolerance=self.tolerance,
            direction=self.direction,
            table=Table(bound.rechunk()),
        )


class AsOfJoined(Transform):
    """An as-of join with a table whose keys `by` are called as in the rows; all its columns but the time are added."""

    table_name: str
    on: str
    by: tuple[str, ...]
    lag: Duration
    tolerance: Duration | None
    direction: Direction
    table: Table

    @property
    def reads(self) -> tuple[str, ...]:
        return (*self.by, self.on)

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(c for c in self.table.frame.columns if c not in (*self.by, _TABLE_TIME))

    def check(self, schema: pl.Schema) -> None:
        if schema[self.on] not in (pl.Date, pl.Datetime):
            raise PipelineError(f"AsOfJoin takes a date or a datetime as `on`, got {schema[self.on]} in {self.on!r}")
        table = self.table.frame.schema
        check_fit("AsOfJoin", self.table_name, schema, table, self.by, self.writes)
        if _zone(schema[self.on]) != _zone(table[_TABLE_TIME]):
            raise PipelineError(
                f"AsOfJoin: {self.on!r} is {schema[self.on]}, the time of table {self.table_name!r} is "
                f"{table[_TABLE_TIME]}; the time zones differ",
                hint="bring both to one zone first",
            )

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        self.check(schema)
        # One type for dates and datetimes of any unit; rounded so that the two can only move apart.
        row_type, table_type = schema[self.on], self.table.frame.schema[_TABLE_TIME]
        unit, backward = _unit(row_type, table_type), self.direction == "backward"
        lag = pl.lit(self.lag if backward else -self.lag, pl.Duration(unit))
        left = frame.with_columns((_moment(self.on, row_type, unit, later=not backward) - lag).alias(_ROW_TIME))
        table = self.table.frame.lazy().cast({c: schema[c] for c in self.by}, strict=False)
        table = table.with_columns(_moment(_TABLE_TIME, table_type, unit, later=backward))
        joined = engine.kernel(
            left,
            JoinAsof(
                table=table,
                by=self.by,
                left_on=_ROW_TIME,
                right_on=_TABLE_TIME,
                direction=self.direction,
                tolerance=None if self.tolerance is None else self.tolerance - self.lag,
            ),
        )
        return joined.drop(_ROW_TIME)


_TABLE_TIME: Final = "__table_time"
_ROW_TIME: Final = "__row_time"


def _zone(dtype: pl.DataType) -> str | None:
    return dtype.time_zone if isinstance(dtype, pl.Datetime) else None


def _unit(row: pl.DataType, table: pl.DataType) -> Literal["us", "ns"]:
    """The unit in which two times are compared. Nanoseconds end in 2262, so only where both have them."""
    return "ns" if isinstance(row, pl.Datetime) and row == table and row.time_unit == "ns" else "us"


def _moment(column: str, dtype: pl.DataType, unit: Literal["us", "ns"], *, later: bool) -> pl.Expr:
    """The time in UTC and in that unit; what lies between two microseconds goes to the later or the earlier one."""
    time = utc(column, dtype)
    if isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns" and unit == "us":
        whole = time.cast(pl.Int64)
        time = -(-whole // 1000) if later else whole // 1000
    return time.cast(pl.Datetime(unit))
