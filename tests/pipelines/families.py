"""Pipelines with operators of every family, over rows that are awkward: nulls, ties, repeated keys, bad rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from headrace.pipelines.model import Pipeline, Source
from headrace.schemas.contract import Column, Contract

STEPS: list[dict[str, Any]] = [
    {"Filter": {"where": "x IS NULL OR x < 90"}},
    {"FillNull": {"columns": ["kind"], "value": "none"}},
    {"LookupJoin": {"table": "shops", "on": "shop"}},
    {"AsOfJoin": {"table": "prices", "on": "at", "by": "shop", "columns": ["price"], "lag": "1h"}},
    {"Derive": {"half": "x / 2", "late": "y = 1"}},
    {"Lag": {"columns": ["x"], "by": ["shop"], "order": "at"}},
    {
        "RollingStats": {
            "columns": ["x"],
            "by": ["shop"],
            "order": "at",
            "window": "1d",
            "statistics": ["mean", "count"],
        }
    },
    {"Diff": {"columns": ["x"], "by": ["shop"], "order": "at"}},
    {"TimeSinceLast": {"by": ["shop", "kind"], "order": "at"}},
    {"Expanding": {"columns": ["x"], "by": ["kind"], "order": "at", "statistics": ["count", "mean"]}},
    {"GroupStats": {"by": ["shop"], "of": ["x"], "statistics": ["mean", "std", "count"]}},
    {"DateParts": {"columns": "at", "parts": ["hour", "weekday"]}},
    {"Cyclic": {"columns": "at_hour", "period": 24}},
    {"TargetEncode": {"columns": ["shop"], "target": "late", "fold_on": ["id"], "output": "shop_late"}},
    {"Drop": {"columns": ["late"]}},
    {"FillNull": {"columns": ["x", "x_lag1", "price"], "statistic": "median", "mask": True}},
    {"FillNull": {"columns": ["half", "x_mean_1d", "size"], "statistic": "mean"}},
    {"Filter": {"where": "x > -90"}},
    {"Log1p": {"columns": ["price"]}},
    {"Clip": {"columns": ["half"], "lower": -40, "upper": 40}},
    {"QuantileBucketize": {"columns": ["half"], "n": 8, "output": "half_bucket"}},
    {"Bucketize": {"columns": ["x"], "boundaries": [-10, 0, 10], "output": "x_bucket"}},
    {"Standardize": {"columns": ["x", "x_lag1", "x_mean_1d", "size", "price"]}},
    {"HashBucket": {"columns": ["kind"], "n": 16, "output": "kind_hash"}},
    {"HashCross": {"columns": ["shop", "kind"], "n": 32, "output": "shop_x_kind"}},
    {"Categorify": {"columns": ["shop", "kind"], "min_count": 2}},
    {"Rename": {"names": {"shop": "shop_id"}}},
    {"Cast": {"columns": ["half"], "dtype": "Float32"}},
    {"Drop": {"columns": ["at_hour"]}},
]


def raw(rows: int) -> pl.DataFrame:
    """Rows of a pure function of their number. Row 5 repeats row 4's key, row 9's code is bad, row 12's id is null."""
    number = pl.int_range(rows, eager=True).alias("id")
    mixed = (number * 7919) % 1009
    return pl.select(
        pl.when(number == 5).then(4).when(number == 12).then(None).otherwise(number).alias("id"),
        pl.when(mixed % 13 == 0).then(None).otherwise(mixed * 0.2 - 101.3).alias("x"),
        pl.when(mixed % 17 == 0).then(None).otherwise("k" + (mixed % 5).cast(pl.String)).alias("kind"),
        pl.when(mixed % 23 == 0).then(None).otherwise("s" + (mixed % 7).cast(pl.String)).alias("shop"),
        (pl.datetime(2024, 1, 1) + pl.duration(minutes=number * 10)).alias("at"),
        pl.when(number == 9).then(-1).otherwise(mixed % 3).alias("code"),
        (mixed % 3 == 0).cast(pl.Int64).alias("y"),
    )


def every_family(folder: Path, rows: int = 3000, *, files: int = 3, group: int = 128, **fields: Any) -> Pipeline:
    """Write the source and its tables into a folder, and the pipeline over them."""
    folder.mkdir(parents=True)
    frame = raw(rows)
    size = -(-rows // files)
    for i in range(files):
        frame[i * size : (i + 1) * size].write_parquet(folder / f"rows-{i}.parquet", row_group_size=group)
    shops = pl.DataFrame({"shop": [f"s{i}" for i in range(6)], "size": [1.5, 2.0, None, 8.0, 16.0, 1.0]})
    shops.write_parquet(folder / "shops.parquet")
    hours = pl.datetime_range(pl.datetime(2023, 12, 31), pl.datetime(2024, 3, 1), "5h", eager=True)
    prices = pl.DataFrame({"at": hours}).join(shops.select("shop"), how="cross").with_row_index("n")
    prices.select("shop", "at", (pl.col("n") % 97).cast(pl.Float64).alias("price")).write_parquet(
        folder / "prices.parquet"
    )
    contract = Contract(
        name="families",
        columns=tuple(
            Column(name=n, dtype=d, minimum=0 if n == "code" else None, unique=n == "id")
            for n, d in frame.schema.items()
        ),
    )
    checked: dict[str, Any] = {
        "split": {"by": "hash", "columns": ["at"], "fractions": {"train": 0.6, "validation": 0.2, "test": 0.2}},
        "output": {"keep": ["id", "at"]},
        **fields,
    }
    return Pipeline(
        name="families",
        source=Source(
            path="rows-*.parquet", root=str(folder), tables={"shops": "shops.parquet", "prices": "prices.parquet"}
        ),
        contract=contract,
        steps=tuple(STEPS),  # type: ignore[arg-type]
        target="y",
        **checked,
    )


SEQUENCE_STEPS: list[dict[str, Any]] = [
    {"Deduplicate": {"by": ["event"], "order": "seen", "keep": "last"}},
    {"Lag": {"columns": ["x"], "by": ["item"], "order": "id"}},
    {"Categorify": {"columns": ["item"], "min_count": 2, "output": "item_id"}},
    {"Standardize": {"columns": ["x_lag1"]}},
    {"Filter": {"where": "x IS NULL OR x > -9"}},
    {"FillNull": {"columns": ["x"], "value": -1}},
    {"Sequence": {"columns": ["item_id", "x"], "by": ["user"], "order": "at", "max_length": 4, "pad": 0}},
    {"Expanding": {"columns": ["x"], "by": ["item"], "order": "at", "statistics": ["count", "mean"]}},
    {"Sequence": {"columns": ["event"], "by": ["user"], "order": "at", "max_length": 1}},
    {"QuantileBucketize": {"columns": ["x"], "n": 4, "output": "x_bucket"}},
]


def events(rows: int) -> pl.DataFrame:
    """What users did, in no order of time: events seen twice, equal times, without a user, an item or a time."""
    number = pl.int_range(rows, eager=True).alias("id")
    mixed = (number * 7919) % 1009
    return pl.select(
        number,
        (mixed % (rows // 2)).alias("event"),
        pl.when(mixed % 29 == 0).then(None).otherwise("u" + (mixed * 31 % 101 % 23).cast(pl.String)).alias("user"),
        pl.when(mixed % 17 == 0).then(None).otherwise("i" + (mixed % 13).cast(pl.String)).alias("item"),
        pl.when(mixed % 19 == 0)
        .then(None)
        .otherwise(pl.datetime(2024, 1, 1) + pl.duration(hours=(mixed * 13) % 401))
        .alias("at"),
        (pl.date(2024, 2, 1) + pl.duration(days=(number * 11) % 7)).alias("seen"),
        pl.when(mixed % 11 == 0).then(None).otherwise(mixed * 0.3 - 12.7 + number % 5).alias("x"),
        (mixed % 3 == 0).cast(pl.Int64).alias("y"),
    )


def sequences(folder: Path, rows: int = 2000, *, files: int = 3, group: int = 128, **fields: Any) -> Pipeline:
    """Write the events into a folder, and a pipeline over them that makes one row of a user's events."""
    folder.mkdir(parents=True)
    frame = events(rows)
    size = -(-rows // files)
    for i in range(files):
        frame[i * size : (i + 1) * size].write_parquet(folder / f"rows-{i}.parquet", row_group_size=group)
    checked: dict[str, Any] = {
        "split": {"by": "hash", "columns": ["user"], "fractions": {"train": 0.6, "validation": 0.2, "test": 0.2}},
        "output": {
            "features": ["item_id_list", "x_list", "x_count", "x_mean", "x_lag1", "x_bucket", "event_list"],
            "keep": ["id", "user", "at"],
        },
        **fields,
    }
    return Pipeline(
        name="sequences",
        source=Source(path="rows-*.parquet", root=str(folder)),
        contract=Contract(name="events", columns=tuple(Column(name=n, dtype=d) for n, d in frame.schema.items())),
        steps=tuple(SEQUENCE_STEPS),  # type: ignore[arg-type]
        target="y",
        **checked,
    )
