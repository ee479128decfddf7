"""A dataset of every type that most formats hold, in shards of several row groups; and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.catalog.conftest import fill

from headrace.catalog.arrow_schema import arrow_fields, fingerprint
from headrace.catalog.build import new_build
from headrace.catalog.commit import publish
from headrace.catalog.manifest import Column, Split
from headrace.catalog.reader import Dataset, open_dataset
from headrace.catalog.shards import shard_path, write_table
from headrace.engines.kernels.parquet import plain_table

Publish = Callable[..., Dataset]

ROWS = 250


def numbers(rows: int = ROWS) -> pl.DataFrame:
    """Values at the ends of each type, and in between; `id` counts the rows."""
    i = pl.int_range(rows, dtype=pl.Int64, eager=True).alias("id")
    unsigned = pl.Series("huge", [2**64 - 1 - n for n in range(rows)], dtype=pl.UInt64)
    return pl.DataFrame([i, unsigned]).with_columns(
        label=(pl.col("id") % 2).cast(pl.Int8),
        mask=(pl.col("id") % 256).cast(pl.UInt8),
        word=(65535 - pl.col("id")).cast(pl.UInt16),
        count=(4294967295 - pl.col("id")).cast(pl.UInt32),
        short=(pl.col("id") - 32768).cast(pl.Int16),
        carrier=(-2147483648 + pl.col("id")).cast(pl.Int32),
        share=(pl.col("id") / 7).cast(pl.Float32),
        exact=1 / (pl.col("id") + 3),
        flag=pl.col("id") % 3 == 0,
    )


def everything(rows: int = ROWS) -> pl.DataFrame:
    """`numbers`, and text, times, lists and embeddings."""
    words = ["", "plain", 'quote " and \\', "line\nbreak", "naïve ☃ 🦉", "0", "null"]
    start = datetime(1969, 12, 31, 23, 59, 59, 999_999)
    return numbers(rows).with_columns(
        text=pl.Series([words[n % len(words)] for n in range(rows)]),
        day=pl.Series([date(1969, 12, 30) + timedelta(days=n) for n in range(rows)]),
        at=pl.Series([start + timedelta(seconds=n, microseconds=n) for n in range(rows)]).dt.replace_time_zone("UTC"),
        local=pl.Series([start + timedelta(hours=n) for n in range(rows)], dtype=pl.Datetime("ms")),
        items=pl.Series([[float(k) / 3 for k in range(n % 4)] for n in range(rows)], dtype=pl.List(pl.Float32)),
        ids=pl.Series([list(range(300 * (n == 7) + n % 3)) for n in range(rows)], dtype=pl.List(pl.Int64)),
        vector=pl.Series([[n / 3, n, -n] for n in range(rows)], dtype=pl.Array(pl.Float32, 3)),
    )


@pytest.fixture
def published(tmp_path: Path, small_groups: int) -> Publish:  # noqa: ARG001
    """Publishes a frame as two shards of `train`, row groups of 100 rows, one of `test`, and a split without rows."""

    def one(frame: pl.DataFrame, *, nullable: tuple[str, ...] = ()) -> Dataset:
        build = new_build(tmp_path / "catalog", "demo")
        shards = {"train": [frame.head(180), frame.slice(180)], "test": [frame.head(3)], "empty": []}
        splits = {
            split: Split(
                rule=split,
                rows=sum(part.height for part in parts),
                files=tuple(
                    write_table(build.path, shard_path(split, n), part.to_arrow(), nullable=nullable)
                    for n, part in enumerate(parts)
                ),
            )
            for split, parts in shards.items()
        }
        fields = arrow_fields(plain_table(frame.to_arrow(), nullable=nullable).schema)
        columns: tuple[Any, ...] = tuple(
            Column(name=name, role="feature", kind="other", dtype=str(dtype)) for name, dtype in frame.schema.items()
        )
        whole = fill(new_build(tmp_path / "other", "demo"))
        manifest = whole.model_copy(
            update={
                "build": build.id,
                "pipeline": None,
                "arrow_schema": fields,
                "schema_fingerprint": fingerprint(fields),
                "columns": columns,
                "splits": splits,
                "files": (),
            }
        )
        publish(tmp_path / "catalog", "demo", build, manifest)
        return open_dataset(tmp_path / "catalog" / "demo")

    return one
