"""Small shards with made flights, as a build publishes them: for tests of baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from headrace.catalog.shards import shard_path, write_table

FEATURES = ("delay", "distance", "carrier", "is_null", "hour")


def made(rows: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    delay = rng.normal(0, 1, rows)
    carrier = rng.integers(0, 8, rows)
    score = 1.5 * delay + np.where(carrier % 2 == 0, 1.0, -1.0) - 1
    return pl.DataFrame(
        {
            "delay": delay.astype(np.float32),
            "distance": rng.normal(1e6, 10, rows),
            "carrier": carrier.astype(np.int32),
            "is_null": rng.random(rows) < 0.1,
            "hour": rng.integers(0, 24, rows),
            "late": (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int8),
            "minutes": 10 * score + rng.normal(0, 1, rows),
        }
    )


def publish(build: Path, frames: dict[str, pl.DataFrame], shard_rows: int = 700) -> dict[str, list[Path]]:
    splits: dict[str, list[Path]] = {}
    for split, frame in frames.items():
        nullable = [name for name in frame.columns if frame[name].null_count()]
        parts = [frame.slice(start, shard_rows) for start in range(0, frame.height, shard_rows)] or [frame]
        names = [shard_path(split, number) for number in range(len(parts))]
        for name, part in zip(names, parts, strict=True):
            write_table(build, name, part.to_arrow(), nullable=nullable)
        splits[split] = [build / name for name in names]
    return splits
