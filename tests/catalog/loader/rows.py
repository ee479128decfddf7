"""Rows of every kind, and what batches of them are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from headrace.catalog.device import Ragged

OPTIONS: dict[str, Any] = {"batch_size": 48, "lanes": 4, "seed": 1}


def rows(count: int) -> pa.Table:
    """Rows of every kind, each of which can be told from its `id`."""
    numbers = np.arange(count)
    return pa.table(
        {
            "id": numbers,
            "x": numbers.astype(np.float32) / 2,
            "odd": numbers % 2 == 1,
            "pair": pa.array([[n, -n] for n in range(count)], pa.list_(pa.float32(), 2)),
            "items": pa.array([list(range(n, n + n % 3)) for n in range(count)], pa.list_(pa.int32())),
        }
    )


def check(batch: dict[str, Any]) -> None:
    """Every entry of a batch is what belongs to its ids; padding is zeros."""
    valid = batch.get("_valid", np.ones(len(batch["id"]), bool))
    ids = np.where(valid, batch["id"], 0)
    assert batch["id"].tolist() == ids.tolist()
    assert batch["x"].dtype == np.float32
    assert batch["x"].tolist() == (ids / 2).tolist()
    assert batch["odd"].tolist() == (ids % 2 == 1).tolist()
    assert batch["pair"].tolist() == np.stack([ids, -ids], axis=1).tolist()
    items = batch["items"]
    assert (items.values.dtype, items.offsets.dtype) == (np.int32, np.int64)
    lists = [items.values[a:z].tolist() for a, z in zip(items.offsets, items.offsets[1:], strict=False)]
    assert lists == [list(range(n, n + n % 3)) for n in ids.tolist()]
    assert len(items.values) == items.offsets[-1]


def plain(batch: dict[str, Any]) -> dict[str, Any]:
    """A copy of a batch's bytes, types and shapes."""
    arrays: dict[str, Any] = {}
    for name, value in batch.items():
        parts = value if isinstance(value, Ragged) else (value,)
        arrays[name] = [(part.dtype.str, part.shape, part.tobytes()) for part in parts]
    return arrays


def ids(batches: Any) -> list[int]:
    """The ids of real rows, batch after batch."""
    found: list[int] = []
    for batch in batches:
        found += batch["id"][batch["_valid"]].tolist() if "_valid" in batch else batch["id"].tolist()
    return found
