"""Other rows and other tables, by hand."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from benchmarks.byhand.pair import Pair, near
from benchmarks.byhand.rows import cities, weather

_TIES: Final = "a row without an entity or a time gets null and counts for no other; rows of equal time in source order"


def _groups(frame: pl.LazyFrame) -> pl.DataFrame:
    return (
        frame.drop_nulls("user")
        .group_by("user")
        .agg(
            price_count_by_user=pl.col("price").count().cast(pl.Int64),
            price_mean_by_user=pl.col("price").mean(),
            price_max_by_user=pl.col("price").max(),
        )
        .collect()
    )


def _grouped(frame: pl.LazyFrame, groups: pl.DataFrame) -> pl.LazyFrame:
    joined = frame.join(groups.lazy(), on="user", how="left", maintain_order="left")
    return joined.with_columns(pl.col("price_count_by_user").fill_null(0))


def _as_of(frame: pl.LazyFrame, _: Any) -> pl.LazyFrame:
    table = weather().lazy().with_columns(pl.col("at").set_sorted())
    rows = frame.with_row_index("row").sort("moment")
    joined = rows.join_asof(table, left_on="moment", right_on="at", by="city", check_sortedness=False)
    return joined.sort("row").drop("row", "at", strict=False)


def _sequence(frame: pl.LazyFrame, _: Any) -> pl.LazyFrame:
    ordered = frame.with_row_index("row").sort("moment")
    last = ordered.group_by("entity").agg(pl.all().last(), number_list=pl.col("number").tail(10))
    return last.sort("row").select("number", "entity", "moment", "number_list")


HISTORIES: Final = (
    Pair(
        "GroupStats",
        {"by": ["user"], "of": ["price"], "statistics": ["count", "mean", "max"]},
        _grouped,
        _groups,
        agrees=near(1e-12),
        note="sums that are exact in any order (four digits of 32 bits), NaN and infinities left out",
    ),
    Pair(
        "LookupJoin",
        {"table": "cities", "on": ["city"]},
        lambda frame, _: frame.join(cities().lazy(), on="city", how="left", maintain_order="left"),
        columns=("city",),
        tables={"cities": cities},
    ),
    Pair(
        "AsOfJoin",
        {"table": "weather", "on": "moment", "table_on": "at", "by": ["city"]},
        _as_of,
        columns=("city", "moment"),
        tables={"weather": weather},
    ),
    Pair(
        "Lag",
        {"columns": ["number"], "by": ["entity"], "order": "moment"},
        lambda frame, _: frame.with_columns(number_lag1=pl.col("number").shift(1).over("entity", order_by="moment")),
        note=_TIES,
    ),
    Pair(
        "RollingStats",
        {
            "columns": ["number"],
            "by": ["entity"],
            "order": "moment",
            "window": "30d",
            "statistics": ["mean"],
        },
        lambda frame, _: frame.with_columns(
            number_mean_30d=pl.col("number").rolling_mean_by("moment", window_size="30d", closed="left").over("entity")
        ),
        agrees=near(1e-9),
        note=_TIES,
    ),
    Pair(
        "Diff",
        {"columns": ["number"], "by": ["entity"], "order": "moment"},
        lambda frame, _: frame.with_columns(number_diff1=pl.col("number").diff().over("entity", order_by="moment")),
        note=_TIES,
    ),
    Pair(
        "TimeSinceLast",
        {"by": ["entity"], "order": "moment"},
        lambda frame, _: frame.with_columns(
            moment_since_last=pl.col("moment").diff().over("entity", order_by="moment").dt.total_microseconds() / 1e6
        ),
        agrees=near(1e-12),
        note=_TIES,
    ),
    Pair(
        "Expanding",
        {"columns": ["number"], "by": ["entity"], "order": "moment"},
        lambda frame, _: frame.with_columns(
            number_mean=(pl.col("number").fill_null(0).cum_sum().shift(1) / pl.col("number").cum_count().shift(1)).over(
                "entity", order_by="moment"
            )
        ).with_columns(pl.col("number_mean").fill_nan(None)),
        agrees=near(1e-9),
        note=f"running sums that are exact in any order; rows of equal time do not see each other; {_TIES}",
    ),
    Pair(
        "Sequence",
        {"columns": ["number"], "by": ["entity"], "order": "moment", "max_length": 10},
        _sequence,
        results=("number", "entity", "moment", "number_list"),
        note=_TIES,
    ),
    Pair(
        "Deduplicate",
        {"by": ["user"]},
        lambda frame, _: frame.unique("user", keep="first", maintain_order=True),
        columns=("number",),
        results=("user", "number"),
        note="a row of whose key a column is null stays",
    ),
)
